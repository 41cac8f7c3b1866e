"""What the last click is worth to recommenders of which that is known."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from recsys_tf.config import EvaluateConfig
from recsys_tf.evaluation.bootstrap import Interval
from recsys_tf.evaluation.last_click import LastClick, LessKnown, last_click
from recsys_tf.evaluation.last_click_report import last_click_section
from recsys_tf.evaluation.queries import Queries
from recsys_tf.sequences.vocabularies import FIRST, START

ITEMS = 50
# Mean NDCG@10 of an item at a place that chance decides.
CHANCE = float((1 / np.log2(np.arange(1, 11) + 1)).sum() / ITEMS)
CONFIG = EvaluateConfig(last_click=2000, bootstrap_samples=50)
SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000

Scores = npt.NDArray[np.float32]


def questions(number: int, ages: tuple[int, ...] = (3 * DAY, 2 * HOUR, 30 * SECOND)) -> Queries:
    """Questions after a history of random items, so old: what comes next is the newest event's item again."""
    random = np.random.default_rng(7)
    events = random.integers(FIRST, FIRST + ITEMS, (number, len(ages)))
    start = np.full((number, 1), START)
    now = 10**12
    ids = {
        "row": np.concatenate([start, events], axis=1),
        "behavior": np.concatenate([start, np.full_like(events, FIRST)], axis=1),
        "timestamp": np.concatenate([0 * start, np.broadcast_to(now - np.array(ages), events.shape)], axis=1),
    }
    ids["device"] = np.zeros_like(ids["row"])
    ids["words"] = np.zeros((*ids["row"].shape, 0), np.int64)
    user = np.array([f"u{one % 97}" for one in range(number)])
    target = events[:, -1] if ages else np.full(number, FIRST)
    same = np.full(number, FIRST)
    return Queries(ids, np.full(number, 1 + len(ages)), same, user, target, same, np.full(number, now), number)


def newest_only(queries: Queries) -> Callable[[slice], Scores]:
    """Recommend the newest event's item, and what chance says where there is none or after it."""
    newest = np.take_along_axis(queries.ids["row"], queries.held[:, None] - 1, axis=1)[:, 0] - FIRST
    scores = np.random.default_rng(3).random((len(queries), ITEMS)).astype(np.float32)
    known = np.flatnonzero(newest >= 0)
    scores[known, newest[known]] = 2.0
    return lambda rows: scores[rows]


def all_knowing(queries: Queries) -> Callable[[slice], Scores]:
    return lambda rows: np.eye(ITEMS, dtype=np.float32)[queries.target_row[rows] - FIRST]


def test_one_who_looks_at_the_newest_event_only_is_lost_without_it() -> None:
    found = last_click(newest_only, questions(3000), ITEMS, CONFIG)
    assert found is not None
    assert (found.questions, found.longest) == (2000, 3)
    assert found.everything.mean == 1.0
    assert set(found.by_number) == {0, 1}
    assert found.by_number[1].ndcg.mean == 1.0
    assert found.by_number[1].lost == Interval(0.0, 0.0, 0.0)
    assert found.by_number[0].ndcg.mean == pytest.approx(CHANCE, abs=0.03)
    # The event before it is another one but for chance, and so is what stood there an hour ago.
    assert set(found.by_age) == {"1 minute", "1 hour", "1 day"}
    for less in (found.without_newest, *found.by_age.values()):
        assert less.ndcg.mean == pytest.approx(CHANCE + 1 / ITEMS, abs=0.03)
        assert less.lost.mean == pytest.approx(1.0 - less.ndcg.mean)
        assert less.shortened == 1.0
    assert found.by_age["1 minute"] == found.by_age["1 hour"] == found.without_newest


def test_one_who_knows_without_a_history_loses_nothing() -> None:
    found = last_click(all_knowing, questions(300), ITEMS, CONFIG)
    assert found is not None
    assert found.questions == 300
    for less in (found.without_newest, *found.by_number.values(), *found.by_age.values()):
        assert (less.ndcg.mean, less.lost.mean) == (1.0, 0.0)


def test_what_users_had_stays_out_of_the_answers_when_the_history_does_not_hold_it_any_more() -> None:
    queries = questions(300)
    fresh = np.arange(300) < 120
    queries.target_row[fresh] = FIRST + 40
    had = (queries.ids["row"] == queries.target_row[:, None]).any(axis=1)
    found = last_click(all_knowing, queries, ITEMS, dataclasses.replace(CONFIG, remove_seen=True))
    assert found is not None
    assert 0.5 < had.mean() < 1
    for less in (found.without_newest, *found.by_number.values(), *found.by_age.values()):
        assert less.ndcg.mean == pytest.approx(1 - had.mean())


def test_cuts_that_shorten_nothing_and_ages_without_times_are_left_out() -> None:
    old = last_click(newest_only, questions(50, (5 * DAY, 2 * DAY)), ITEMS, CONFIG)
    assert old is not None
    assert set(old.by_number) == {0, 1}
    assert old.by_age == {}
    untimed = questions(50)
    untimed = dataclasses.replace(untimed, target_timestamp=0 * untimed.target_timestamp)
    found = last_click(newest_only, untimed, ITEMS, CONFIG)
    assert found is not None
    assert found.by_age == {}
    assert found.without_newest.shortened == 1.0


def test_nothing_to_hide_and_nothing_asked_for_are_no_figures() -> None:
    assert last_click(newest_only, questions(20, ()), ITEMS, CONFIG) is None
    assert last_click(newest_only, questions(20), ITEMS, dataclasses.replace(CONFIG, last_click=0)) is None
    assert last_click(newest_only, questions(0), ITEMS, CONFIG) is None


def test_the_seed_decides_which_questions_are_asked() -> None:
    asked: list[list[int]] = []

    def remember(queries: Queries) -> Callable[[slice], Scores]:
        asked.append(queries.ids["row"].ravel().tolist())
        return newest_only(queries)

    first = []
    for seed in (1, 1, 2):
        asked.clear()
        last_click(remember, questions(200), ITEMS, dataclasses.replace(CONFIG, last_click=30, seed=seed))
        first.append(asked[0])
    assert first[0] == first[1]
    assert first[0] != first[2]
    assert len(first[0]) == 30 * 4


def figures(by_age: dict[str, LessKnown]) -> LastClick:
    def less(ndcg: float) -> LessKnown:
        return LessKnown(Interval(ndcg, ndcg - 0.01, ndcg + 0.02), Interval(0.5 - ndcg, 0.1, 0.2), 0.25)

    by_number = {0: less(0.1), 1: less(0.4)}
    return LastClick(1234, 50, Interval(0.5, 0.4, 0.6), less(0.3), by_number, by_age)


def test_the_section_has_a_row_for_each_cut_and_a_picture(tmp_path: Path) -> None:
    day = LessKnown(Interval(0.2, 0.1, 0.3), Interval(0.3, 0.2, 0.4), 1.0)
    section = last_click_section(figures({"1 day": day}), tmp_path)
    assert "falls by 0.200" in section.text
    (table,) = section.tables
    assert [row[:2] for row in table.rows] == [
        ["everything, up to 50 events", "0.500 [0.400, 0.600]"],
        ["nothing, as of a new user", "0.100 [0.090, 0.120]"],
        ["the newest event", "0.400 [0.390, 0.420]"],
        ["everything but the newest event", "0.300 [0.290, 0.320]"],
        ["the history as it stood 1 day before", "0.200 [0.100, 0.300]"],
    ]
    assert table.rows[-1][2:] == ["0.300 [0.200, 0.400]", "100 %"]
    assert [picture.file for picture in section.pictures] == ["last_click.png"]
    assert (tmp_path / "last_click.png").is_file()


def test_a_single_user_without_times_can_be_drawn(tmp_path: Path) -> None:
    unknown = Interval(0.0, float("nan"), float("nan"))
    less = LessKnown(unknown, unknown, 1.0)
    found = LastClick(1, 1, unknown, less, {0: less})
    section = last_click_section(found, tmp_path)
    assert section.tables[0].rows[0][:2] == ["everything, up to 1 event", "0.000"]
    assert section.pictures
