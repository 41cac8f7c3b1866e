"""What each signature of the two-tower model answers, worked out from the model underneath."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.config import TwoTowerConfig
from recsys_tf.models.mixture import VOICES, Mixture
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.serving.two_tower_signatures import TwoTowerSignatures
from recsys_tf.training.fit_mixture import count
from recsys_tf.training.fit_two_tower import new_two_tower

SMALL = TwoTowerConfig(width=16, layers=1)
ALL = 10_000


def signatures(data: PreparedData, mixed: bool, max_k: int = ALL, config: TwoTowerConfig = SMALL) -> TwoTowerSignatures:
    tf.keras.utils.set_random_seed(5)
    model = new_two_tower(data, config)
    for weight in model.trainable_weights:
        weight.assign(tf.random.normal(weight.shape, stddev=0.2))
    shares = np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1], np.float32)
    assert len(shares) == len(VOICES)
    mixture = Mixture(shares, count(data)) if mixed else None
    return TwoTowerSignatures(Retrieval(model, data.space, mixture), data.space, model.table(), max_k)


@pytest.fixture(scope="module", params=[False, True], ids=["towers alone", "mixture"])
def served(request: Any, prepared: PreparedData) -> TwoTowerSignatures:
    return signatures(prepared, request.param)


def history(items: list[list[str]], **more: list[list[Any]]) -> dict[str, Any]:
    """All that is known of each event: an item, unless said otherwise."""
    texts: dict[str, Any] = {"item_id": items, **dict.fromkeys(("behavior", "query", "device"))} | more
    empty = [[""] * len(row) for row in items]
    known = {name: tf.constant(empty if value is None else value, tf.string) for name, value in texts.items()}
    return known | {"timestamp": tf.constant([[0] * len(row) for row in items], tf.int64)}


def asking(number: int, target: str = "", exclude: tuple[str, ...] = (), category: str = "") -> dict[str, Any]:
    return {
        "target_behavior": tf.fill([number], target),
        "exclude": tf.constant([exclude] * number, tf.string, [number, len(exclude)]),
        "category": tf.fill([number], category),
    }


def k(*numbers: int) -> Any:
    return tf.constant(numbers, tf.int32)


def listed(answer: dict[str, Any], row: int = 0) -> list[str]:
    return [item.decode() for item in answer["item_id"].numpy()[row] if item]


def by_item(answer: dict[str, Any], row: int = 0) -> dict[str, float]:
    scores = answer["score"].numpy()[row].tolist()
    return dict(zip(listed(answer, row), scores[: len(listed(answer, row))], strict=True))


def items_of(data: PreparedData, number: int) -> list[str]:
    return list(data.space.catalogue.item_ids[:: len(data.space.catalogue) // number][:number])


def test_the_short_form_is_the_long_one_with_nothing_more(served: TwoTowerSignatures, prepared: PreparedData) -> None:
    items = [items_of(prepared, 4), ["", *items_of(prepared, 3)]]
    short = served.next_items(tf.constant(items), tf.constant([["view"] * 4, ["", *["view"] * 3]]), k(5, 3))
    full = served.recommend(**history(items), **asking(2), k=k(5, 3))
    assert [len(listed(short, row)) for row in (0, 1)] == [5, 3]
    assert (short["item_id"].numpy() == full["item_id"].numpy()).all()
    assert (short["title"].numpy() == full["title"].numpy()).all()
    assert short["score"].numpy() == pytest.approx(full["score"].numpy(), abs=1e-6)
    assert not short["score"].numpy()[1, 3:].any()


def test_excluded_items_do_not_come(served: TwoTowerSignatures, prepared: PreparedData) -> None:
    items = [items_of(prepared, 3)]
    plain = served.recommend(**history(items), **asking(1), k=k(6))
    first, third = listed(plain)[0], listed(plain)[2]
    less = served.recommend(**history(items), **asking(1, exclude=(third, "", "unknown item", first)), k=k(4))
    assert listed(less) == [item for item in listed(plain) if item not in (first, third)]


def test_a_category_is_kept_to(served: TwoTowerSignatures, prepared: PreparedData) -> None:
    catalogue = prepared.space.catalogue
    category = catalogue.categories[0]
    inside = {item for item, own in zip(catalogue.item_ids, catalogue.categories, strict=True) if own == category}
    assert 0 < len(inside) < len(catalogue)
    items = [items_of(prepared, 3)]
    everything = served.recommend(**history(items), **asking(1), k=k(ALL))
    answer = served.recommend(**history(items), **asking(1, category=category), k=k(ALL))
    # All items of the category in the order that they have among all, and nothing else, however large k is.
    assert listed(answer) == [item for item in listed(everything) if item in inside]
    nowhere = served.recommend(**history(items), **asking(1, category="no such category"), k=k(3))
    assert listed(nowhere) == []
    assert not nowhere["score"].numpy().any()


def test_what_is_asked_for_changes_the_answer(prepared: PreparedData) -> None:
    served = signatures(prepared, mixed=False)
    request = history([items_of(prepared, 3)])
    plain, unknown, purchase = (
        served.recommend(**request, **asking(1, target), k=k(ALL)) for target in ("", "stare", "purchase")
    )
    assert by_item(unknown) == by_item(plain)
    assert listed(purchase) != listed(plain)
    vectors = [
        served.embed_query(**request, target_behavior=tf.constant([target]))["vector"].numpy()
        for target in ("", "purchase")
    ]
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_a_search_is_an_event_with_words(served: TwoTowerSignatures, prepared: PreparedData, clean_log: Any) -> None:
    words = clean_log.events.loc[clean_log.events["query"] != "", "query"].iloc[0]
    items = items_of(prepared, 2)
    asked = tf.constant([items, [items[0], ""]])
    answer = served.search(asked, tf.fill([2, 2], ""), tf.constant([words, ""]), k(ALL, ALL))
    long_form = history([[*items, ""]], query=[["", "", words]])
    assert by_item(answer) == pytest.approx(by_item(served.recommend(**long_form, **asking(1), k=k(ALL))), abs=1e-6)
    # Without words there is no search.
    plain = served.next_items(tf.constant([items[:1]]), tf.constant([[""]]), k(ALL))
    assert by_item(answer, 1) == pytest.approx(by_item(plain), abs=1e-6)


def test_given_items_have_the_scores_of_the_list(served: TwoTowerSignatures, prepared: PreparedData) -> None:
    request = history([items_of(prepared, 3), [*items_of(prepared, 2), ""]])
    full = served.recommend(**request, **asking(2, "click"), k=k(ALL, ALL))
    given = [[*items_of(prepared, 5), "unknown item"], ["", *items_of(prepared, 5)]]
    answer = served.score(**request, target_behavior=tf.constant(["click"] * 2), candidate=tf.constant(given))
    assert answer["known"].numpy().tolist() == [[True] * 5 + [False], [False] + [True] * 5]
    for row in (0, 1):
        expected = [by_item(full, row).get(item, 0.0) for item in given[row]]
        assert answer["score"].numpy()[row].tolist() == pytest.approx(expected, abs=1e-6)


def test_vectors_multiply_to_scores(prepared: PreparedData) -> None:
    served = signatures(prepared, mixed=False, config=dataclasses.replace(SMALL, normalise=True, temperature=0.1))
    request, items = history([items_of(prepared, 4)]), items_of(prepared, 6)
    query = served.embed_query(**request, target_behavior=tf.constant(["cart"]))["vector"].numpy()[0]
    candidates = served.embed_candidate(tf.constant([*items, "unknown item"]))
    assert candidates["known"].numpy().tolist() == [True] * 6 + [False]
    expected = served.score(**request, target_behavior=tf.constant(["cart"]), candidate=tf.constant([items]))
    assert candidates["vector"].numpy()[:-1] @ query == pytest.approx(expected["score"].numpy()[0], abs=1e-5)
    assert np.linalg.norm(candidates["vector"].numpy(), axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_contribution_is_what_is_lost_without_the_event(
    served: TwoTowerSignatures, prepared: PreparedData, clean_log: Any
) -> None:
    words = clean_log.events.loc[clean_log.events["query"] != "", "query"].iloc[0]
    first, second, third = items_of(prepared, 3)
    items = [["", first, "", second, third], [second, "", "", "", ""]]
    queries = [["", "", words, "", ""], [""] * 5]
    request = history(items, query=queries)
    answer = served.explain(**request, k=k(4, 2))
    assert answer["contribution"].shape == (2, 4, 5)
    for row in (0, 1):
        everything = by_item(served.recommend(**history([items[row]], query=[queries[row]]), **asking(1), k=k(ALL)))
        for column in range(5):
            less = [[item if at != column else "" for at, item in enumerate(items[row])]]
            unasked = [[text if at != column else "" for at, text in enumerate(queries[row])]]
            without = by_item(served.recommend(**history(less, query=unasked), **asking(1), k=k(ALL)))
            for place, item in enumerate(listed(answer, row)):
                lost = answer["contribution"].numpy()[row, place, column]
                assert lost == pytest.approx(everything[item] - without[item], abs=2e-6)
    # The second row asked for two items only.
    assert not answer["contribution"].numpy()[1, 2:].any()
    assert np.abs(answer["contribution"].numpy()[0]).max() > 1e-4


def test_events_that_are_too_old_to_be_seen_contribute_nothing(
    served: TwoTowerSignatures, prepared: PreparedData
) -> None:
    longest = prepared.space.max_length
    items = items_of(prepared, longest + 3)
    contribution = served.explain(**history([items]), k=k(2))["contribution"].numpy()[0]
    assert not contribution[:, :3].any()
    assert (np.abs(contribution[:, 3:]).max(axis=0) > 0).all()


def test_k_has_bounds(prepared: PreparedData) -> None:
    served = signatures(prepared, mixed=False, max_k=3)
    items = tf.constant([items_of(prepared, 2)])
    for asked, given in ((100, 3), (2, 2), (0, 0), (-5, 0)):
        assert len(listed(served.next_items(items, tf.fill([1, 2], ""), k(asked)))) == given


def test_an_empty_batch_has_an_empty_answer(served: TwoTowerSignatures) -> None:
    nobody = history([])
    nobody = {name: tf.reshape(value, [0, 0]) for name, value in nobody.items()}
    for answer in (
        served.next_items(nobody["item_id"], nobody["behavior"], k()),
        served.recommend(**nobody, **asking(0), k=k()),
        served.explain(**nobody, k=k()),
    ):
        assert {value.shape[0] for value in answer.values()} == {0}


def test_a_new_user_gets_a_list(served: TwoTowerSignatures, prepared: PreparedData) -> None:
    answer = served.next_items(tf.zeros([1, 0], tf.string), tf.zeros([1, 0], tf.string), k(5))
    assert len(set(listed(answer))) == 5
    model = served._retrieval()
    ids = served._history(*[tf.zeros([1, 0], tf.string)] * 4, tf.zeros([1, 0], tf.int64))
    expected = model(ids, tf.constant([ANY_BEHAVIOR]), model.model.table()).numpy()[0]
    best = [prepared.space.catalogue.item_ids[at] for at in np.argsort(-expected, kind="stable")[:5]]
    assert listed(answer) == best
