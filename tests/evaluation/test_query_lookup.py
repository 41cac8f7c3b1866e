"""The search box's simple rule counts what followed the same words, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.config import EvaluateConfig
from recsys_tf.evaluation.queries import SEARCH, read_queries, read_training_events
from recsys_tf.evaluation.query_lookup import QueryLookup, equal_lists
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.vocabularies import FIRST

LISTS = st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=2), max_size=8)


@given(LISTS, LISTS)
def test_equal_lists_are_found_in_pairs(first: list[list[int]], second: list[list[int]]) -> None:
    one, other = (np.array(lists, np.int64).reshape(-1, 2) for lists in (first, second))
    found = equal_lists(np.pad(one, [(0, 0), (0, 3)]), other)
    expected = [(i, j) for i, a in enumerate(first) for j, b in enumerate(second) if a == b and any(a)]
    assert sorted(zip(*(side.tolist() for side in found), strict=True)) == expected


def test_the_look_up_agrees_with_counting_by_hand(prepared: PreparedData) -> None:
    queries = read_queries(prepared, "next_item", 1, EvaluateConfig(max_queries=0))
    training = read_training_events(prepared)
    items = len(prepared.space.catalogue)
    lookup = QueryLookup.fit(training.interactions(items), training.searches)
    newest = queries.ids["behavior"][np.arange(len(queries)), queries.held - 1]
    searches = np.flatnonzero(newest == SEARCH)
    known = 0
    for at in searches[:: max(len(searches) // 40, 1)]:
        scores = lookup.scores(queries, slice(at, at + 1))[0]
        words = queries.ids["words"][at, queries.held[at] - 1]
        same = (training.searches.words[:, : len(words)] == words).all(axis=1) & (training.searches.row >= FIRST)
        same &= training.searches.words[:, len(words) :].sum(axis=1) == 0
        counts = np.zeros(items)
        np.add.at(counts, training.searches.row[same] - FIRST, training.searches.count[same])
        order = np.lexsort((-lookup.popularity, -counts))
        assert np.argsort(-scores).tolist() == order.tolist()
        known += bool(same.any())
    assert known > 0
    feed = int(np.flatnonzero(newest != SEARCH)[0])
    assert lookup.scores(queries, slice(feed, feed + 1))[0] == pytest.approx(lookup.popularity)
