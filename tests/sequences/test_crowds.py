"""Nothing that fewer than k training users saw gets an id, and with k = 1 nothing is held out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_tf.config import FeatureConfig, FilterConfig, SplitConfig
from recsys_tf.errors import InputError
from recsys_tf.sequences import crowds
from recsys_tf.sequences.crowds import users_of_tokens
from recsys_tf.sequences.dataset import open_prepared
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.prepare import PrepareSettings, fit_feature_space, prepare
from recsys_tf.sequences.vocabularies import UNKNOWN

ITEMS = pd.DataFrame(
    {
        "item_id": ["i1", "i2", "i3", "i4"],
        "category_id": ["hats", "lamps", "lamps", "rare"],
        "price": 1.0,
        "title": ["red fez", "red halo", "blue halo", "odd thing"],
    }
)
# user, item or search, device; all of it training.
ROWS = [
    ("a", "i1", "app"), ("a", "i1", "app"), ("a", "i1", "app"), ("a", "?halo", "app"), ("a", "?secret", "lab"),
    ("b", "i1", "app"), ("b", "i2", "web"), ("b", "?odd", "web"),
    ("c", "i3", "web"), ("c", "i4", "web"), ("c", "i4", "web"), ("c", "?secret", "web"),
]  # fmt: skip


def events_of(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    events = pd.DataFrame(rows, columns=["user_id", "what", "device"])
    search = events["what"].str.startswith("?")
    events["item_id"] = events["what"].where(~search, "")
    events["query"] = events["what"].str.removeprefix("?").where(search, "")
    events["behavior"] = np.where(search, "search", "view")
    return events.drop(columns="what")


def space_of(rows: list[tuple[str, str, str]], min_users: int, ngrams: int = 0, min_count: int = 1) -> FeatureSpace:
    features = FeatureConfig(words=6, ngrams=ngrams, word_min_count=min_count, min_users=min_users)
    return fit_feature_space(events_of(rows), ITEMS, PrepareSettings(SplitConfig(), FilterConfig(), features))


def test_each_kind_of_text_needs_its_users() -> None:
    everyone, two = (space_of(ROWS, least) for least in (1, 2))
    assert set(everyone.items.tokens) == {"i1", "i2", "i3", "i4"}
    # i1 was seen by a and b; i4 twice, by c alone.
    assert two.items.tokens == ("i1",)
    # i2 and i3 were seen by one user each, their category by two.
    assert set(two.categories.tokens) == {"hats", "lamps"}
    assert set(two.devices.tokens) == {"app", "web"}
    assert "lab" in everyone.devices.tokens
    # red: a, b (titles); fez: a, b; halo: a (search), b, c (titles); odd: b (search), c (title); secret: a, c.
    # blue and thing: c alone.
    assert set(two.word_vocabulary.tokens) == {"red", "fez", "halo", "odd", "secret"}
    assert {"blue", "thing"} <= set(everyone.word_vocabulary.tokens)
    assert "halo" in space_of([*ROWS, ("c", "i1", "")], 3).word_vocabulary.tokens
    with pytest.raises(InputError, match="min_users is 3: no item was seen by that many"):
        space_of(ROWS, 3)


def test_a_held_out_item_stays_in_the_catalogue_as_an_unknown_one() -> None:
    catalogue = space_of(ROWS, 2).catalogue
    assert catalogue.item_ids == ("i1", "i2", "i3", "i4")
    assert (catalogue.item[-3:] == UNKNOWN).all()
    assert catalogue.category[-1] == UNKNOWN


def test_ngrams_of_a_word_that_one_user_typed_are_held_out_with_it() -> None:
    rows = [("a", "i1", ""), ("b", "i1", ""), ("a", "?zyxwv", ""), ("a", "?zyxwv", ""), ("b", "?fezzan", "")]
    assert any("zyx" in token for token in space_of(rows, 1, ngrams=3).word_vocabulary.tokens)
    kept = space_of(rows, 2, ngrams=3).word_vocabulary.tokens
    assert not any(gram in token for token in kept for gram in ("zyx", "wv", "zan"))
    assert {"#<fe", "#fez", "fez"} <= set(kept)


def test_counts_and_users_must_both_be_enough() -> None:
    assert "odd" not in space_of(ROWS, 2, min_count=3).word_vocabulary.tokens
    assert "halo" in space_of(ROWS, 2, min_count=3).word_vocabulary.tokens


def test_only_training_users_count(tmp_path: Path) -> None:
    # One event a day: "late" is seen by b and c in training's future only.
    rows = [("a", "i1", "app"), ("b", "i1", "app"), ("a", "i2", "app"), ("b", "i2", "app")] * 5
    rows += [("b", "i3", "app"), ("c", "i3", "app"), ("c", "?late", "app"), ("b", "?late", "app")]
    events = events_of(rows).assign(timestamp=np.arange(1, len(rows) + 1) * 86_400_000)
    events = events.sort_values(["user_id", "timestamp"], ignore_index=True)
    events["position"] = events.groupby("user_id").cumcount()
    choice = PrepareSettings(SplitConfig(), FilterConfig(drop_bots=False), FeatureConfig(min_users=2, words=4))
    prepare(events, ITEMS, choice, tmp_path / "data")
    data = open_prepared(tmp_path / "data")
    assert data.min_users == 2
    assert set(data.space.items.tokens) == {"i1", "i2"}
    assert "late" not in data.space.word_vocabulary.tokens


def test_no_limit_is_the_default_and_less_is_refused(tmp_path: Path) -> None:
    assert FeatureConfig().min_users == 1
    events = events_of(ROWS).assign(timestamp=1, position=0)
    choice = PrepareSettings(SplitConfig(), FilterConfig(), FeatureConfig(min_users=0))
    with pytest.raises(InputError, match=r"features\.min_users is 0"):
        prepare(events, ITEMS, choice, tmp_path / "data")


words = st.sampled_from(["red", "blue", "halo", "fez", "odd", "lamp"])
something = st.one_of(st.sampled_from(["i1", "i2", "i3", "i4"]), words.map(lambda word: f"?{word}"))
logs = st.lists(st.tuples(st.sampled_from("abcde"), something, st.sampled_from(["", "app", "web"])), min_size=1)


@settings(deadline=None, max_examples=30)
@given(logs, st.integers(2, 4))
def test_whatever_has_an_id_was_seen_by_enough_users_and_the_others_by_fewer(
    rows: list[tuple[str, str, str]], least: int
) -> None:
    rows = [*rows, *((user, "i1", "app") for user in "abcd")]
    seen: dict[str, dict[str, set[str]]] = {name: {} for name in ("items", "categories", "devices", "words")}
    table = ITEMS.set_index("item_id")
    for user, what, device in rows:
        facts = {"devices": [device]}
        if what.startswith("?"):
            facts["words"] = [what[1:]]
        else:
            facts |= {"items": [what], "categories": [table.loc[what, "category_id"]]}
            facts["words"] = table.loc[what, "title"].split()
        for name, texts in facts.items():
            for text in texts:
                seen[name].setdefault(text, set()).add(user)
    space = space_of(rows, least)
    for name, vocabulary in (
        ("items", space.items), ("categories", space.categories), ("devices", space.devices),
        ("words", space.word_vocabulary),
    ):  # fmt: skip
        expected = {text for text, users in seen[name].items() if text and len(users) >= least}
        assert set(vocabulary.tokens) == expected, name


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=60), st.integers(1, 40))
def test_users_of_tokens_are_the_same_in_one_part_and_in_many(pairs: list[tuple[int, int]], at_once: int) -> None:
    held = np.array([2, 0, 1, 3, 1, 2], np.int64)
    token = np.array([0, 1, 2, 0, 1, 3, 3, 2, 2], np.int64)
    text, user = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    ends = np.cumsum(held)
    tokens = [set(token[end - n : end].tolist()) for end, n in zip(ends, held, strict=True)]
    expected = [len({who for what, who in pairs if one in tokens[what]}) for one in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crowds, "_PAIRS_AT_ONCE", at_once)
        assert users_of_tokens(text, user, held, token).tolist() == expected
