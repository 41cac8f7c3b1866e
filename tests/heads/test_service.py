"""The service head's counts by hand, its answers, and a round trip."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.errors import InputError
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.events.simulated_contacts import REASONS
from recsys_tf.heads.answers import read_answers
from recsys_tf.heads.linear_softmax import LinearSoftmax
from recsys_tf.heads.service import ContactWords, ServiceHead
from recsys_tf.heads.service_features import NAMES, ServiceFeatures
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.vocabularies import FIRST, START, Vocabulary

HOUR = 3_600_000
# 1970-01-05 was a Monday.
MONDAY = 4 * 24 * HOUR


def history(*events: tuple[str, int, float, int], padding: int = 0) -> dict[str, Any]:
    """Behaviour, catalogue row, hours after a Monday's begin, device; behind the start token, one row."""
    behavior = [START, *(FIRST + BEHAVIORS.index(one[0]) for one in events)]
    columns = {
        "behavior": behavior,
        "row": [START, *(one[1] for one in events)],
        "timestamp": [0, *(MONDAY + int(one[2] * HOUR) for one in events)],
        "device": [0, *(one[3] for one in events)],
    }
    return {name: tf.constant([values + [0] * padding], tf.int64) for name, values in columns.items()}


def named(prepared: PreparedData, ids: dict[str, Any], contacted: int) -> dict[str, float]:
    """The features that are not 0, by name."""
    found = ServiceFeatures(prepared.space)(ids, tf.constant([[contacted]], tf.int64)).numpy()[0]
    assert len(found) == len(NAMES)
    return {name: float(value) for name, value in zip(NAMES, found, strict=True) if value != 0}


def test_counts_by_hand(prepared: PreparedData) -> None:
    one, two = FIRST, FIRST + 1
    log = np.log1p
    # Saturday noon is hour 132; the contact comes on Sunday at noon, 24 hours after the purchase.
    ids = history(
        ("cart", one, 2, FIRST),
        ("purchase", one, 132, FIRST),
        ("cart", two, 155, FIRST),
        ("favorite", two, 155.5, FIRST + 1),
        padding=3,
    )
    expected = {
        "cart, band 4": log(1),  # 154 hours ago, paid for later
        "cart, band 0": log(1),
        "purchase, band 3": log(1),
        "favorite, band 0": log(1),
        "carts without a purchase, band 0": log(1),
        "favourites without a purchase, band 0": log(1),
        "another device than before, band 0": log(1),
        "purchases at a weekend, band 3": log(1),
        "hours since the last event": log(0.5),
        "hours since the last purchase": log(24),
        "hours since the last cart": log(1),
        "there is the last event": 1,
        "there is the last purchase": 1,
        "there is the last cart": 1,
        "the last event is a favorite": 1,
    }
    found = named(prepared, ids, MONDAY + 156 * HOUR)
    expected["cart, band 1"] = expected.pop("cart, band 0")  # an hour ago to the millisecond is no longer within one
    expected["carts without a purchase, band 1"] = expected.pop("carts without a purchase, band 0")
    assert found == pytest.approx(expected, rel=1e-5)


def test_many_looks_at_a_category_count_until_it_is_bought(prepared: PreparedData) -> None:
    category = np.asarray(prepared.space.catalogue.category)
    row = next(at for at in range(FIRST, len(category)) if (category == category[at]).sum() > 1)
    same = int(np.flatnonzero(category == category[row])[1])
    other = next(at for at in range(FIRST, len(category)) if category[at] != category[row])
    looks = [("view", row, 0, 0), ("view", same, 1, 0), ("view", other, 2, 0), ("click", row, 3, 0)]
    name = "many looks at one category, band 1"
    assert named(prepared, history(*looks), MONDAY + 5 * HOUR)[name] == pytest.approx(np.log(2))
    bought = [*looks, ("purchase", same, 4, 0)]
    assert name not in named(prepared, history(*bought), MONDAY + 5 * HOUR)
    # Not three within a day.
    slow = [("view", row, 0, 0), ("view", row, 30, 0), ("view", row, 60, 0)]
    assert not [one for one in named(prepared, history(*slow), MONDAY + 62 * HOUR) if one.startswith("many")]


def test_nothing_known_is_all_zero_and_no_time_is_right_now(prepared: PreparedData) -> None:
    assert named(prepared, history(padding=2), MONDAY) == {}
    ids = history(("view", FIRST, 0, 0), ("cart", FIRST, 2, 0))
    assert named(prepared, ids, 0) == named(prepared, ids, MONDAY + 2 * HOUR)
    assert named(prepared, ids, 0)["cart, band 0"] == pytest.approx(np.log(2))


def test_words_are_counted_whatever_their_case() -> None:
    words = ContactWords(Vocabulary("words", ("parcel", "late")))
    assert words(tf.constant(["Late parcel, LATE!", "", "hello"])).numpy().tolist() == [[1, 2], [0, 0], [0, 0]]


def test_every_simulated_reason_has_an_answer_in_both_languages() -> None:
    answers = read_answers()
    assert set(answers) == set(REASONS)
    assert all(english.isascii() and not chinese.isascii() for english, chinese in answers.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reason,en\nlate,soon\n", "row 1, column zh: this column is missing"),
        ("reason,en,zh\n,a,b\n", "row 2, column reason: missing reason"),
        ("reason,en,zh\nlate,a,b\nlate,c,d\n", "row 3, column reason: this reason has an answer already"),
        ("reason,en,zh\nlate,a, or so,b\n", "row 2: 4 fields instead of 3"),
    ],
)
def test_answers_that_cannot_be_used_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_answers(path)


def test_a_head_survives_a_round_trip(prepared: PreparedData, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    softmaxes = [
        LinearSoftmax(random.normal(size=(size, 2)).astype(np.float32), random.normal(size=2).astype(np.float32))
        for size in (4, 7)
    ]
    words = Vocabulary("words", ("parcel", "迟到"))
    head = ServiceHead(prepared.space, ("late", "other"), *softmaxes, words, {"late": ("soon", "快了")})
    head.save(tmp_path)
    loaded = ServiceHead.load(tmp_path, prepared.space)
    assert (loaded.reasons, loaded.words.vocabulary) == (("late", "other"), words)
    # A reason of a team's own without an answer has none.
    assert loaded.answers == {"late": ("soon", "快了"), "other": ("", "")}
    for name in ("unsaid", "said"):
        for one in ("weight", "bias"):
            assert np.array_equal(getattr(getattr(loaded, name), one), getattr(getattr(head, name), one))
    (tmp_path / "service.json").write_text("{}")
    with pytest.raises(InputError, match="not what was written here"):
        ServiceHead.load(tmp_path, prepared.space)
