"""Explained users: who they are, what speaks for what, and how it reads."""

import dataclasses
import json

import numpy as np
import pytest

from recsys_tf.config import EvaluateConfig, TwoTowerConfig
from recsys_tf.evaluation.explained_users import (
    ExplainedItem,
    ExplainedUser,
    Reason,
    TimedEvent,
    _drawn,
    explained_users,
    shares,
)
from recsys_tf.evaluation.explained_users_report import explained_users_section, reasons_text
from recsys_tf.evaluation.queries import Queries, read_queries
from recsys_tf.evaluation.two_tower_scores import TwoTowerScores
from recsys_tf.models.mixture import Mixture
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.page import plain
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.training.fit_mixture import count
from recsys_tf.training.fit_two_tower import new_two_tower

CONFIG = EvaluateConfig(max_queries=0)
ONLY_THE_USERS_OWN = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0], np.float32)


@pytest.fixture(scope="module")
def queries(prepared: PreparedData) -> Queries:
    return read_queries(prepared, "next_item", 1, CONFIG, earlier=True)


@pytest.fixture(scope="module")
def answers(prepared: PreparedData) -> TwoTowerScores:
    """A model that recommends the user's last items: what an item owes to which event is known."""
    model = new_two_tower(prepared, TwoTowerConfig(width=8, layers=1))
    return TwoTowerScores(Retrieval(model, prepared.space, Mixture(ONLY_THE_USERS_OWN, count(prepared))))


def test_an_item_of_the_users_own_owes_its_place_to_the_events_with_it(
    prepared: PreparedData, queries: Queries, answers: TwoTowerScores
) -> None:
    users = explained_users(answers, queries, prepared.space, CONFIG)
    assert len(users) == 5
    for user in users:
        assert len(user.history) >= 5
        assert len(user.recommended) == 5
        assert user.recommended[0].reasons
        for item in user.recommended:
            own = [event for event, one in enumerate(user.history) if item.title in one.text]
            assert {one.event for one in item.reasons} <= set(own)
            # A history of fewer than five different items is filled up with what nothing speaks for.
            assert bool(own) == bool(item.reasons)
            if item.reasons:
                assert sum(one.share for one in item.reasons) == pytest.approx(1.0)
                assert item.reasons == sorted(item.reasons, key=lambda one: -one.share)
    assert users == explained_users(answers, queries, prepared.space, CONFIG)
    assert users != explained_users(answers, queries, prepared.space, dataclasses.replace(CONFIG, seed=1))
    written = json.dumps(plain(users))
    assert not [user for user in set(queries.user) if user in written]


def test_what_the_user_had_is_not_recommended_where_it_is_removed(
    prepared: PreparedData, queries: Queries, answers: TwoTowerScores
) -> None:
    users = explained_users(answers, queries, prepared.space, dataclasses.replace(CONFIG, remove_seen=True))
    for user in users:
        for item in user.recommended:
            assert not [one for one in user.history if item.title in one.text]
            assert item.reasons == []


def test_users_with_enough_events_are_drawn_and_asked_their_last_question(queries: Queries) -> None:
    chosen = _drawn(queries, 0)
    assert len(chosen) == 5
    assert len(set(queries.user[chosen])) == 5
    for at in chosen:
        assert queries.held[at] - 1 >= 5
        own = queries.user == queries.user[at]
        assert queries.target_timestamp[at] == queries.target_timestamp[own].max()


def test_without_users_of_enough_events_nobody_is_explained(
    prepared: PreparedData, queries: Queries, answers: TwoTowerScores
) -> None:
    short = dataclasses.replace(queries, held=np.minimum(queries.held, 5))
    assert explained_users(answers, short, prepared.space, CONFIG) == []


def test_shares_are_those_of_what_speaks_for_an_item() -> None:
    found = shares(np.array([9.0, 1.0, -2.0, 3.0, 0.0], np.float32))
    assert found == [Reason(2, 0.75), Reason(0, 0.25)]
    assert shares(np.array([0.0, -1.0, 0.0], np.float32)) == []


def user_of(times: bool) -> ExplainedUser:
    history = [TimedEvent(f"viewed lamp {at}", f"2026-01-{at:02}" if times else "") for at in range(1, 11)]
    items = [
        ExplainedItem("lamp 3", "lamps", False, [Reason(2, 0.5), Reason(0, 0.3), Reason(1, 0.15), Reason(9, 0.05)]),
        ExplainedItem("lamp 4", "", True, []),
    ]
    return ExplainedUser(history, items, TimedEvent("bought lamp 4", "2026-02-01" if times else ""))


def test_the_section_reads_well() -> None:
    section = explained_users_section([user_of(True), user_of(False)])
    assert section.title == "Why these items"
    history, items, untimed, _ = section.tables
    assert history.header == ["user 1: last events, newest first", "when"]
    assert history.rows[0] == ["viewed lamp 10", "2026-01-10"]
    assert history.rows[7:] == [["viewed lamp 3", "2026-01-03"], ["… and 2 earlier events", ""]]
    assert items.caption == "Then the user bought lamp 4, 2026-02-01."
    assert items.emphasis == [1]
    assert items.rows[0][:2] == ["1. lamp 3", "lamps"]
    assert items.rows[1] == ["2. lamp 4", "–", "no event of the user: it is what many want"]
    assert untimed.header == ["user 2: last events, newest first"]
    assert untimed.rows[0] == ["viewed lamp 10"]
    assert all(table.prose for table in section.tables)


def test_reasons_are_named_down_to_one_in_a_hundred() -> None:
    user = user_of(True)
    assert reasons_text(user.recommended[0].reasons, user.history).split("\n") == [
        "50 %: viewed lamp 3, 2026-01-03",
        "30 %: viewed lamp 1, 2026-01-01",
        "15 %: viewed lamp 2, 2026-01-02",
        "5 %: 1 other event",
    ]
    many = [Reason(0, 0.992), Reason(1, 0.004), Reason(2, 0.004)]
    assert reasons_text(many, user.history).split("\n") == [
        "99 %: viewed lamp 1, 2026-01-01",
        "under 1 %: 2 other events",
    ]
