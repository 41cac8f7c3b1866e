"""Simple recommenders: what all of them keep, and right answers on small logs that are known beforehand."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_tf.errors import InputError
from recsys_tf.evaluation import recommender_neighbours
from recsys_tf.evaluation.interactions import Histories, Interactions, recency, sessions_by_gap
from recsys_tf.evaluation.ranking_metrics import hit_rate, target_ranks
from recsys_tf.evaluation.recommender_baselines import (
    DAY_MS,
    FrequentItems,
    MostPopular,
    RecentItems,
    RecentlyPopular,
    places,
    popularity_places,
    raised,
)
from recsys_tf.evaluation.recommender_neighbours import MarkovItems, SessionNeighbours, session_cosines

Ints = npt.NDArray[np.int64]

RECOMMENDERS: list[Any] = [MostPopular, RecentlyPopular, RecentItems, FrequentItems, MarkovItems, SessionNeighbours]
ITEMS = 7

every_recommender = pytest.mark.parametrize("recommender", RECOMMENDERS, ids=lambda one: one.__name__)


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


def log_of(*users: list[int], items: int = ITEMS, times: Ints | None = None) -> Interactions:
    user = np.repeat(np.arange(len(users)), [len(one) for one in users])
    return Interactions(user, ints(*(item for one in users for item in one)), times, items)


def histories_of(*rows: list[int], width: int = 0) -> Histories:
    width = max([width, *(len(row) for row in rows)])
    padded = np.array([row + [-1] * (width - len(row)) for row in rows], np.int64).reshape(len(rows), width)
    return Histories(padded, ints(*(len(row) for row in rows)))


def order_of(recommender: Any, *rows: list[int]) -> list[list[int]]:
    order: list[list[int]] = np.argsort(-recommender.scores(histories_of(*rows)), axis=1, kind="stable").tolist()
    return order


# Times are an hour apart: all of the log is within the last days, and one day for everybody.
USERS = ([0, 1, 2], [0, 1, 3], [0, 1, 1, 4], [0, 2, 5, 5])
LOG = log_of(*USERS, times=np.arange(14, dtype=np.int64) * 3_600_000)
# Events per item 4, 4, 2, 1, 1, 2, 0; of equally popular items the lower index first.
POPULARITY = [0, 1, 2, 5, 3, 4, 6]

histories = st.lists(st.lists(st.integers(-1, ITEMS - 1), max_size=8), min_size=1, max_size=5)


@every_recommender
@settings(max_examples=40, deadline=None)
@given(rows=histories)
def test_scores_are_finite_float32_without_ties(recommender: Any, rows: list[list[int]]) -> None:
    scores = recommender.fit(LOG).scores(histories_of(*rows))
    assert scores.shape == (len(rows), ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert all(len(set(row)) == ITEMS for row in scores.tolist())


@every_recommender
def test_an_empty_history_is_answered_with_popularity(recommender: Any) -> None:
    fitted = recommender.fit(LOG)
    assert order_of(fitted, [], [-1], [-1, -1, -1]) == [POPULARITY] * 3
    assert order_of(fitted, []) == [POPULARITY]


@every_recommender
@settings(max_examples=40, deadline=None)
@given(rows=histories, padding=st.integers(1, 5))
def test_padding_changes_nothing(recommender: Any, rows: list[list[int]], padding: int) -> None:
    fitted, narrow = recommender.fit(LOG), histories_of(*rows)
    wide = histories_of(*rows, width=narrow.items.shape[1] + padding)
    assert fitted.scores(wide).tolist() == fitted.scores(narrow).tolist()
    # Whatever stands behind the real positions is padding, even if it looks like an item.
    wide.items[np.arange(wide.items.shape[1]) >= wide.lengths[:, None]] = 6
    assert fitted.scores(wide).tolist() == fitted.scores(narrow).tolist()


@every_recommender
@settings(max_examples=30, deadline=None)
@given(rows=histories)
def test_events_without_a_known_item_are_passed_over(recommender: Any, rows: list[list[int]]) -> None:
    fitted = recommender.fit(LOG)
    without = [[item for item in row if item >= 0] for row in rows]
    assert fitted.scores(histories_of(*rows)).tolist() == fitted.scores(histories_of(*without)).tolist()


@every_recommender
@settings(max_examples=30, deadline=None)
@given(rows=histories)
def test_a_history_is_answered_alone_as_among_others(recommender: Any, rows: list[list[int]]) -> None:
    fitted = recommender.fit(LOG)
    asked = histories_of(*rows)
    together = fitted.scores(asked).tolist()
    alone = [fitted.scores(asked.block(slice(i, i + 1))).tolist()[0] for i in range(len(rows))]
    assert alone == together
    assert recommender.fit(LOG).scores(asked).tolist() == together


@every_recommender
def test_no_queries_give_no_scores(recommender: Any) -> None:
    none = Histories(np.empty((0, 3), np.int64), ints())
    assert recommender.fit(LOG).scores(none).shape == (0, ITEMS)


@every_recommender
def test_a_log_without_events_leaves_the_order_of_the_catalogue(recommender: Any) -> None:
    empty = Interactions(ints(), ints(), ints(), ITEMS, ints())
    assert order_of(recommender.fit(empty), []) == [list(range(ITEMS))]


def test_most_popular_by_hand() -> None:
    assert order_of(MostPopular.fit(LOG), [6, 6], [3]) == [POPULARITY, POPULARITY]
    assert popularity_places(LOG).tolist() == [7, 6, 5, 3, 2, 4, 1]


def test_recently_popular_counts_the_last_days_only_then_all_events() -> None:
    days = ints(0, 1, 2, 3, 11, 12, 13)
    log = log_of([0, 0, 0, 1, 2, 3, 3], times=days * DAY_MS)
    # The last two days: 3 twice, and the event at their very beginning no more; then by all events: 0, 1, 2.
    assert order_of(RecentlyPopular.fit(log, days=2), []) == [[3, 0, 1, 2, 4, 5, 6]]
    assert order_of(RecentlyPopular.fit(log, days=2.5), []) == [[3, 2, 0, 1, 4, 5, 6]]
    assert order_of(RecentlyPopular.fit(log, days=100), []) == [[0, 3, 1, 2, 4, 5, 6]]


def test_recently_popular_needs_times() -> None:
    with pytest.raises(InputError, match="holds only an order has no last 3 days"):
        RecentlyPopular.fit(log_of([0, 1]), days=3)


def test_recent_items_by_hand() -> None:
    fitted = RecentItems.fit(LOG)
    assert order_of(fitted, [3, 6, 3, 4], [6, -1]) == [[4, 3, 6, 0, 1, 2, 5], [6, 0, 1, 2, 5, 3, 4]]


def test_frequent_items_by_hand() -> None:
    fitted = FrequentItems.fit(LOG)
    # 3 twice; 4 and 6 once, 4 later; then the rest by popularity.
    assert order_of(fitted, [3, 3, 6, 4]) == [[3, 4, 6, 0, 1, 2, 5]]
    # However old, two occurrences stand above one.
    assert order_of(fitted, [6, 6, 0, 1, 2, 3, 4, 5])[0][0] == 6


def test_markov_by_hand() -> None:
    fitted = MarkovItems.fit(LOG)
    # After 0 came 1 three times and 2 once; after 1 came 1, 2, 3 and 4 once each, so popularity decides.
    assert order_of(fitted, [5, 0], [1, -1]) == [[1, 2, 0, 5, 3, 4, 6], [1, 2, 3, 4, 0, 5, 6]]
    # Nothing follows 6, and no user's last item is followed by the next user's first.
    assert order_of(fitted, [6], [4]) == [POPULARITY, POPULARITY]


def test_markov_always_finds_the_next_item_of_a_cycle() -> None:
    items = 40
    cycle = np.random.default_rng(0).permutation(items)
    log = log_of(*[np.roll(cycle, -start)[:6].tolist() for start in range(0, items, 5)], items=items)
    asked = histories_of(*[[int(cycle[i - 1]), int(cycle[i])] for i in range(items)])
    targets = np.roll(cycle, -1)
    assert hit_rate(target_ranks(MarkovItems.fit(log).scores(asked), targets), 1).mean() == 1.0
    assert hit_rate(target_ranks(MostPopular.fit(log).scores(asked), targets), 1).mean() == 1 / items


def dense_cosines(session: Ints, item: Ints, items: int) -> npt.NDArray[np.float64]:
    """Cosines between columns of the 0/1 matrix of sessions by items, without an item's own; slow and plain."""
    held = np.zeros((session.max() + 1, items))
    held[session, item] = 1.0
    norm = np.maximum(np.linalg.norm(held, axis=0), 1e-30)
    cosine: npt.NDArray[np.float64] = (held.T @ held) / norm[:, None] / norm[None, :]
    np.fill_diagonal(cosine, 0.0)
    return cosine


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 15))
def test_item_knn_equals_a_dense_cosine(seed: int, last: int) -> None:
    random = np.random.default_rng(seed)
    items, decay = 12, 0.7
    user, item = np.sort(random.integers(10, size=60)), random.integers(items, size=60)
    log = Interactions(user, item, None, items)
    cosine = dense_cosines(user, item, items)
    rows = [random.integers(-1, items, size=random.integers(0, 9)).tolist() for _ in range(4)]
    expected = np.zeros((len(rows), items))
    for query, row in enumerate(rows):
        for age, one in enumerate([one for one in reversed(row) if one >= 0][:last]):
            expected[query] += decay**age * cosine[one]
    fitted = SessionNeighbours.fit(log, neighbours=items, last=last, decay=decay)
    popularity = np.tile(popularity_places(log), (len(rows), 1))
    order = [np.lexsort((-place, -np.round(row, 9))).tolist() for row, place in zip(expected, popularity, strict=True)]
    assert order_of(fitted, *rows) == order


@pytest.mark.parametrize("block", [1, 4, 512])
def test_only_the_nearest_neighbours_are_kept_in_blocks_of_any_size(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommender_neighbours, "BLOCK", block)
    random = np.random.default_rng(1)
    session, item = np.sort(random.integers(30, size=150)), random.integers(10, size=150)
    popularity = popularity_places(Interactions(session, item, None, 10))
    cosine = dense_cosines(session, item, 10)
    order = np.lexsort((np.tile(-popularity, (10, 1)), -np.round(cosine, 12)), axis=1)
    kept = np.zeros_like(cosine)
    np.put_along_axis(kept, order[:, :3], np.take_along_axis(cosine, order[:, :3], axis=1), axis=1)
    found = session_cosines(session, item, 10, 3, popularity)
    assert sp.issparse(found)
    assert found.toarray() == pytest.approx(kept)
    assert (found != 0).sum(axis=1).max() == 3


def test_of_equally_near_neighbours_the_more_popular_is_kept() -> None:
    # 1 and 2 share 0's only session, but 2 was seen twice in it.
    fitted = SessionNeighbours.fit(log_of([0, 1, 2, 2]), neighbours=1)
    assert fitted.similarities[0].toarray()[0].tolist() == pytest.approx([0, 0, 1, 0, 0, 0, 0])


@pytest.mark.parametrize("popularity", [[5, 4, 3, 2, 1], [5, 4, 3, 1, 2]])
def test_sums_that_are_equal_on_paper_leave_the_word_to_popularity(popularity: list[int]) -> None:
    # 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1 in the last digit.
    similarities = sp.csr_matrix(([0.1, 0.2, 0.3, 0.3, 0.2, 0.1], ([0, 1, 2] * 2, [3] * 3 + [4] * 3)), shape=(5, 5))
    fitted = SessionNeighbours(np.array(popularity, np.float32), similarities, last=20, decay=1.0)
    first, second = (3, 4) if popularity[3] > popularity[4] else (4, 3)
    assert order_of(fitted, [0, 1, 2])[0] == [first, second, 0, 1, 2]


def test_a_session_counts_an_item_once_and_sessions_split_a_user() -> None:
    whole = log_of([0, 0, 0, 1, 2, 3])
    split = Interactions(whole.user, whole.item, None, ITEMS, ints(0, 0, 0, 0, 1, 1))
    assert SessionNeighbours.fit(whole).similarities[0].toarray()[0].tolist() == pytest.approx([0, 1, 1, 1, 0, 0, 0])
    assert SessionNeighbours.fit(split).similarities[0].toarray()[0].tolist() == pytest.approx([0, 1, 0, 0, 0, 0, 0])


def test_sessions_begin_with_a_user_and_after_a_gap() -> None:
    user, time = ints(3, 3, 3, 3, 8, 8, 9), ints(100, 110, 121, 131, 0, 5, 5)
    assert sessions_by_gap(user, time, gap_ms=10).tolist() == [0, 0, 1, 1, 2, 2, 3]
    # The first event begins the first session however far from 1970 it is; 30 minutes exactly is no gap.
    assert sessions_by_gap(ints(0, 0), ints(10**12, 10**12 + 1_800_000)).tolist() == [0, 0]
    assert sessions_by_gap(ints(), ints()).tolist() == []


def test_recency_by_hand() -> None:
    row, item, age = recency(histories_of([5, -1, 6], [], [2, -1]))
    assert list(zip(row.tolist(), item.tolist(), age.tolist(), strict=True)) == [(0, 5, 1), (0, 6, 0), (2, 2, 0)]


def test_places_by_hand() -> None:
    assert places(ints(5, 1, 5, 3), ints(0, 9, 1, 9)).tolist() == [3, 1, 4, 2]


def test_raised_items_stand_above_popularity_in_the_order_of_their_values() -> None:
    popularity = np.array([4, 3, 2, 1], np.float32)
    asked = histories_of([], [], [])
    row, item, value = ints(2, 0, 0, 0), ints(3, 1, 3, 2), np.array([9.0, 0.5, 0.7, 0.5])
    # Query 0: 3 above 1 and 2, which tie, so that the more popular 1 stands higher.
    assert raised(row, item, value, asked, popularity).tolist() == [[4, 6, 5, 7], [4, 3, 2, 1], [4, 3, 2, 5]]
