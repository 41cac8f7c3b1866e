"""Kinds of questions, worked by hand."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recsys_tf.config import EvaluateConfig
from recsys_tf.evaluation.interactions import Interactions
from recsys_tf.evaluation.queries import SEARCH, Queries, read_queries, read_training_events
from recsys_tf.evaluation.slices import query_slices
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.vocabularies import FIRST, START

Ints = npt.NDArray[np.int64]

VIEW, PURCHASE = FIRST, FIRST + BEHAVIORS.index("purchase")
NO_SEARCHES = np.empty((0, 2), np.int64)
# Items 0 … 3 with 6, 3, 2 and 1 training events; item 4 is new.
TRAIN = Interactions(np.arange(12), np.repeat([0, 1, 2, 3], [6, 3, 2, 1]), None, 5)


def queries_of(*asked: tuple[int, int, Sequence[list[int] | None]]) -> Queries:
    """Queries from (target item, behaviour id, history); an event of the history is None or a search's two words."""
    length = 1 + max(len(history) for _, _, history in asked)
    behavior = np.zeros((len(asked), length), np.int64)
    words = np.zeros((len(asked), length, 2), np.int64)
    behavior[:, 0] = START
    for row, (_, _, history) in enumerate(asked):
        for at, searched in enumerate(history, 1):
            behavior[row, at] = VIEW if searched is None else SEARCH
            words[row, at] = [0, 0] if searched is None else searched
    target, done, histories = zip(*asked, strict=True)
    return Queries(
        ids={"behavior": behavior, "words": words},
        held=np.array([1 + len(history) for history in histories]),
        label=np.zeros(len(asked), np.int64),
        user=np.array([f"u{i}" for i in range(len(asked))]),
        target_row=np.array(target) + FIRST,
        target_behavior=np.array(done),
        target_timestamp=np.zeros(len(asked), np.int64),
        possible=len(asked),
    )


def rows(slices: dict[str, npt.NDArray[np.bool_]]) -> dict[str, list[int]]:
    return {name: np.flatnonzero(mask).tolist() for name, mask in slices.items()}


def test_lengths_count_every_event_but_the_start_token() -> None:
    lengths = [0, 1, 4, 5, 19, 20, 33]
    queries = queries_of(*((0, VIEW, [None] * length) for length in lengths))
    found = query_slices(queries, TRAIN, NO_SEARCHES)
    assert rows(found["length of the history"]) == {
        "empty": [0],
        "1–4": [1, 2],
        "5–19": [3, 4],
        "20 or more": [5, 6],
    }


def test_popularity_cuts_the_training_events_in_thirds() -> None:
    # In the order of their item's events, the 12 events are 1, 2 2, 3 3 3, 6 …: the 4th has 3, the 8th 6.
    queries = queries_of(*((item, VIEW, []) for item in (0, 1, 2, 3, 4, -1)))
    found = query_slices(queries, TRAIN, NO_SEARCHES)
    assert rows(found["popularity of the target"]) == {
        "new (0)": [4, 5],
        "rare (1–3)": [1, 2, 3],
        "medium (4–6)": [0],
    }
    assert rows(found["target item"]) == {"known": [0, 1, 2, 3], "new": [4, 5]}


def test_popularity_has_three_parts_where_the_events_allow() -> None:
    # 1,209 events in the order of their item's events: the 403rd has 400, the 806th 401.
    counts = [1, 1, 1, 3, 400, 401, 402]
    train = Interactions(np.arange(sum(counts)), np.repeat(range(7), counts), None, 7)
    queries = queries_of(*((item, VIEW, []) for item in range(7)))
    assert rows(query_slices(queries, train, NO_SEARCHES)["popularity of the target"]) == {
        "rare (1–400)": [0, 1, 2, 3, 4],
        "medium (401)": [5],
        "popular (402 or more)": [6],
    }


def test_behaviours_that_occur_and_no_group_of_a_single_slice() -> None:
    queries = queries_of((0, VIEW, []), (0, PURCHASE, []), (0, VIEW, []))
    found = query_slices(queries, TRAIN, NO_SEARCHES)
    assert list(found) == ["behaviour of the target"]
    assert rows(found["behaviour of the target"]) == {"view": [0, 2], "purchase": [1]}


def test_a_search_is_the_newest_event_and_its_words_are_seen_as_a_whole_list() -> None:
    searches = np.array([[5, 6], [7, 0]])
    queries = queries_of(
        (0, VIEW, [[5, 6]]),
        (0, VIEW, [[5, 6], None]),
        (0, VIEW, [None, [6, 5]]),
        (0, VIEW, [[5, 6], [7, 0]]),
        (0, VIEW, [[5, 0]]),
        (0, VIEW, []),
    )
    found = query_slices(queries, TRAIN, searches)
    assert rows(found["question"]) == {"search": [0, 2, 3, 4], "feed": [1, 5]}
    assert rows(found["words of the search"]) == {"seen in training": [0, 3], "new": [2, 4]}
    # Without training searches all words are new, which is a single slice.
    assert "words of the search" not in query_slices(queries, TRAIN, NO_SEARCHES)


def test_a_log_without_training_events_has_new_targets_only() -> None:
    nothing = Interactions(np.empty(0, np.int64), np.empty(0, np.int64), None, 5)
    queries = queries_of((0, VIEW, []), (1, VIEW, [None]))
    assert list(query_slices(queries, nothing, NO_SEARCHES)) == ["length of the history"]


def test_slices_of_a_real_log_agree_with_its_tables(prepared: PreparedData, clean_log: CleanLog) -> None:
    queries = read_queries(prepared, "next_item", 1, EvaluateConfig(max_queries=0))
    training = read_training_events(prepared)
    catalogue = prepared.space.catalogue
    found = query_slices(queries, training.interactions(len(catalogue)), training.searches.words)
    for group, slices in found.items():
        covered = np.sum(list(slices.values()), axis=0)
        expected = found["question"]["search"].astype(int) if group == "words of the search" else np.ones(len(queries))
        assert covered.tolist() == expected.tolist(), group
    events = clean_log.events
    seen = events[(events["timestamp"] < prepared.facts["split"]["validation_from"]) & (events["item_id"] != "")]
    known = [catalogue.item_ids[row - FIRST] in set(seen["item_id"]) for row in queries.target_row]
    # Items that only left-out users have seen may differ.
    assert np.mean(found["target item"]["known"] == np.array(known)) > 0.98
    asked = events.groupby("user_id")
    for at in range(0, len(queries), 41):
        past = asked.get_group(queries.user[at])
        past = past[past["timestamp"] < queries.target_timestamp[at]]
        assert found["question"]["search"][at] == (len(past) > 0 and past["behavior"].iloc[-1] == "search")


def test_training_searches_are_those_of_the_training_side(prepared: PreparedData) -> None:
    training = read_training_events(prepared)
    searches = training.searches
    assert searches.words.shape[1] == prepared.space.words
    assert searches.count.sum() == np.count_nonzero(training.behavior == SEARCH)
    following = (training.user[1:] == training.user[:-1]) & (training.row[1:] >= FIRST)
    followed = np.count_nonzero((training.behavior[:-1] == SEARCH) & following)
    assert searches.count[searches.row >= FIRST].sum() == followed > 0
    pairs = np.column_stack([searches.words, searches.row])
    assert len(np.unique(pairs, axis=0)) == len(pairs)
