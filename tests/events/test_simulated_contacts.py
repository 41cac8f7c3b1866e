"""Contacts with the simulated shop's customer service: as frequent as their laws say, never before their cause."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_tf.config import SimulateConfig
from recsys_tf.events import simulated_contacts as contacts_laws
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.events.simulated_contact_truth import contact_guess_table, contact_rates, reason_probabilities
from recsys_tf.events.simulated_contact_words import (
    MOST_WORDS,
    OWN,
    OWN_WORDS,
    STRAY,
    VOCABULARY,
    WORD_LAW,
    make_words,
    sentences,
    word_log_likelihood,
)
from recsys_tf.events.simulated_contacts import DELAY_MS, MEAN_MS, REASONS, Causes, Contacts, find_causes, make_contacts
from recsys_tf.events.simulated_events import Happenings, act_out
from recsys_tf.events.simulated_laws import LOG_START_MS, MS_PER_DAY, MS_PER_HOUR
from recsys_tf.events.simulated_shop import Shop, make_shop
from recsys_tf.events.simulated_visits import Users, make_interests, make_sessions, make_steps, make_users

CONFIG = SimulateConfig(users=600, items=500, days=40, categories=40, seed=5)
END = LOG_START_MS + CONFIG.days * MS_PER_DAY


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop(CONFIG)


@pytest.fixture(scope="module")
def events(shop: Shop) -> Happenings:
    users = make_users(CONFIG)
    sessions = make_sessions(CONFIG, users)
    steps = make_steps(CONFIG, shop, sessions, make_interests(CONFIG, shop))
    return act_out(CONFIG, shop, users, sessions, steps)


@pytest.fixture(scope="module")
def causes(shop: Shop, events: Happenings) -> Causes:
    return find_causes(shop, make_users(CONFIG), events)


@pytest.fixture(scope="module")
def drawn(causes: Causes, events: Happenings) -> Contacts:
    return make_contacts(CONFIG, causes, events)


def test_contacts_are_as_frequent_as_their_laws_say(causes: Causes, drawn: Contacts, events: Happenings) -> None:
    room = np.minimum(causes.until, END) - causes.start - DELAY_MS[causes.reason]
    come = causes.expected * -np.expm1(-np.maximum(room, 0) / MEAN_MS[causes.reason])
    first = events.timestamp[np.unique(events.user, return_index=True)[1]]
    by_chance = contacts_laws.CHANCE_PER_DAY * ((END - first) / MS_PER_DAY).sum()
    for reason in range(len(REASONS)):
        # Numbers of contacts are Poisson: five standard deviations are left in one of two million seeds.
        expected = come[causes.reason == reason].sum()
        assert expected > 40
        found = np.count_nonzero((drawn.reason == reason) & (drawn.cause >= 0))
        assert abs(found - expected) < 5 * np.sqrt(expected), REASONS[reason]
        unexplained = np.count_nonzero((drawn.reason == reason) & (drawn.cause < 0))
        assert abs(unexplained - by_chance / len(REASONS)) < 5 * np.sqrt(by_chance / len(REASONS)), REASONS[reason]


def test_no_contact_comes_before_its_cause_nor_after_it_is_over(
    causes: Causes, drawn: Contacts, events: Happenings
) -> None:
    explained = drawn.cause >= 0
    cause, time = drawn.cause[explained], drawn.timestamp[explained]
    assert (causes.user[cause] == drawn.user[explained]).all()
    assert (causes.reason[cause] == drawn.reason[explained]).all()
    assert (time >= causes.start[cause] + DELAY_MS[causes.reason[cause]]).all()
    assert (time < causes.until[cause]).all()
    users, at = np.unique(events.user, return_index=True)
    first = dict(zip(users.tolist(), events.timestamp[at].tolist(), strict=True))
    assert all(first[user] < moment for user, moment in zip(drawn.user.tolist(), drawn.timestamp.tolist(), strict=True))
    assert drawn.timestamp.max() < END
    assert (np.diff(drawn.timestamp) >= 0).all()


def one_user(shop: Shop, *rows: tuple[str, int, int, int]) -> Happenings:
    """Events of user 0: behaviour, item, minutes after the log's start, device."""
    behavior, item, minutes, device = (list(column) for column in zip(*rows, strict=True))
    number = len(rows)
    return Happenings(
        user=np.zeros(number, np.int64),
        step=np.zeros(number, np.int64),
        place=np.zeros(number, np.int64),
        timestamp=LOG_START_MS + 60_000 * np.array(minutes),
        item=np.array(item),
        category=shop.category[np.array(item)],
        behavior=np.array([BEHAVIORS.index(one) for one in behavior]),
        device=np.array(device),
        query=np.full(number, "", object),
    )


def test_causes_by_hand(shop: Shop) -> None:
    # One item that suits, and one of another category, style and tier.
    suits = 0
    user = Users(
        tier=shop.tier[[suits]],
        style=shop.style[[suits]],
        sessions_per_day=np.ones(1),
        main_device=np.zeros(1, np.int64),
        second_device=np.ones(1, np.int64),
    )
    strange = next(
        item
        for item in range(len(shop.tier))
        if abs(shop.tier[item] - shop.tier[suits]) == 1
        and shop.style[item] != shop.style[suits]
        and shop.category[item] != shop.category[suits]
    )
    day = 24 * 60
    # Monday: a look and a cart, bought twenty minutes later; Saturday: another device, an open cart, a strange buy.
    happened = one_user(
        shop,
        ("view", suits, 0, 0),
        ("cart", suits, 1, 0),
        ("purchase", suits, 21, 0),
        ("view", strange, 5 * day, 1),
        ("cart", suits, 5 * day + 1, 1),
        ("purchase", strange, 5 * day + 2, 1),
    )
    causes = find_causes(shop, user, happened)
    never = np.iinfo(np.int64).max
    bought = happened.timestamp[2]
    late = contacts_laws.LATE_BY_TIER
    expected = {
        ("price_drop", 1): (contacts_laws.CHEAPER, bought),
        ("payment", 1): (contacts_laws.PAYMENT_FIRST, bought),
        ("late_order", 2): (late[shop.tier[suits]], never),
        ("return", 2): (contacts_laws.RETURN_BY_TIER[0], never),
        ("account", 3): (contacts_laws.OTHER_DEVICE, never),
        ("price_drop", 4): (contacts_laws.CHEAPER, never),
        ("payment", 4): (contacts_laws.PAYMENT_FIRST, never),
        ("late_order", 5): (late[shop.tier[strange]] * contacts_laws.LATE_AT_WEEKEND, never),
        ("return", 5): (contacts_laws.RETURN_BY_TIER[1] * contacts_laws.RETURN_OTHER_STYLE, never),
    }
    at = np.searchsorted(happened.timestamp, causes.start)
    found = {
        (REASONS[reason], event): (weight, until)
        for reason, event, weight, until in zip(causes.reason, at, causes.expected, causes.until, strict=True)
    }
    assert found == expected


def test_a_second_open_cart_and_a_third_look_weigh_more(shop: Shop) -> None:
    user = make_users(CONFIG)
    happened = one_user(
        shop, ("view", 0, 0, 0), ("cart", 0, 1, 0), ("view", 0, 30, 0), ("view", 0, 40, 0), ("cart", 0, 41, 0)
    )
    causes = find_causes(shop, user, happened)
    payment = causes.expected[causes.reason == REASONS.index("payment")]
    assert payment.tolist() == [contacts_laws.PAYMENT_FIRST, contacts_laws.PAYMENT_AGAIN]
    product = causes.reason == REASONS.index("product")
    assert causes.start[product].tolist() == [happened.timestamp[3]]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_looking_ahead_and_back_is_what_loops_find(rows: list[tuple[int, int, bool]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    user, of, bought = (np.array(column) for column in zip(*rows, strict=True))
    time = LOG_START_MS + 7 * np.arange(len(rows), dtype=np.int64)
    happened = Happenings(
        user=user,
        step=user,
        place=user,
        timestamp=time,
        item=of,
        category=of,
        behavior=np.where(bought, BEHAVIORS.index("purchase"), 0),
        device=user,
        query=np.full(len(rows), "", object),
    )
    never = np.iinfo(np.int64).max
    places = range(len(rows))
    ahead = [
        min((time[j] for j in places if j > i and bought[j] and user[j] == user[i] and of[j] == of[i]), default=never)
        for i in places
    ]
    assert contacts_laws._next_purchase(happened, of).tolist() == ahead
    back = [
        sum(bool(bought[j]) and user[j] == user[i] and 0 <= time[i] - time[j] <= 21 for j in places) for i in places
    ]
    assert contacts_laws._within(user, time, bought, 21).tolist() == back


def test_the_truth_is_the_share_of_the_rate(causes: Causes, drawn: Contacts) -> None:
    some = np.arange(0, len(drawn.user), 17)
    rates = contact_rates(causes, drawn.user[some], drawn.timestamp[some])
    for at, (user, time) in enumerate(zip(drawn.user[some].tolist(), drawn.timestamp[some].tolist(), strict=True)):
        own = np.full(len(REASONS), contacts_laws.CHANCE_PER_DAY / MS_PER_DAY / len(REASONS))
        for cause in np.flatnonzero(causes.user == user):
            reason = causes.reason[cause]
            delay = time - causes.start[cause] - DELAY_MS[reason]
            if delay >= 0 and time < causes.until[cause]:
                own[reason] += causes.expected[cause] * np.exp(-delay / MEAN_MS[reason]) / MEAN_MS[reason]
        np.testing.assert_allclose(rates[at], own, rtol=1e-9)


def test_the_truth_is_calibrated_and_words_help(causes: Causes, drawn: Contacts) -> None:
    before, after = reason_probabilities(causes, drawn)
    rows = np.arange(len(drawn.reason))
    for probability in (before, after):
        np.testing.assert_allclose(probability.sum(axis=1), 1.0)
        # Every reason, and the best guess, is as frequent as stated, to five standard deviations of independent draws.
        for reason in range(len(REASONS)):
            own = probability[:, reason]
            gap = (drawn.reason == reason).sum() - own.sum()
            assert abs(gap) < 5 * np.sqrt((own * (1 - own)).sum()), REASONS[reason]
        best = probability.max(axis=1)
        hits = (probability.argmax(axis=1) == drawn.reason).sum()
        assert abs(hits - best.sum()) < 5 * np.sqrt((best * (1 - best)).sum())
    assert np.log(after[rows, drawn.reason]).mean() > np.log(before[rows, drawn.reason]).mean() + 0.2


def test_nobody_guesses_better_than_the_table_says(causes: Causes, drawn: Contacts) -> None:
    names = np.array([f"u{user}" for user in range(CONFIG.users)], object)
    table = contact_guess_table(causes, drawn, names)
    assert table["user_id"].tolist() == names[drawn.user].tolist()
    assert (table["top_3"] >= table["probability"]).all()
    assert (table["said_top_3"] <= 1).all()
    assert table["said_probability"].mean() > table["probability"].mean()
    assert 0.4 < table["probability"].mean() < 0.8
    assert table["said_probability"].mean() < 0.95


def test_words_follow_their_law() -> None:
    np.testing.assert_allclose(WORD_LAW.sum(axis=1), 1.0)
    own = VOCABULARY.index("password")
    account = REASONS.index("account")
    assert WORD_LAW[account, own] == pytest.approx((OWN + STRAY / len(OWN_WORDS)) / len(OWN_WORDS[account]))
    reason = np.repeat(np.arange(len(REASONS)), 4000)
    words = make_words(reason, laws.generator(1, 0))
    for one, law in enumerate(WORD_LAW):
        said = words[reason == one]
        counts = np.bincount(said[said >= 0], minlength=len(VOCABULARY))
        spread = np.sqrt(counts.sum() * law * (1 - law))
        assert (np.abs(counts - counts.sum() * law) <= 5 * spread + 1e-9).all()
    held = (words >= 0).sum(axis=1)
    assert (held.min(), held.max()) == (2, MOST_WORDS)
    two = np.array([[own, VOCABULARY.index("my"), -1, -1, -1]])
    assert sentences(two).tolist() == ["password my"]
    expected = np.log(WORD_LAW[:, own]) + np.log(WORD_LAW[:, VOCABULARY.index("my")])
    np.testing.assert_allclose(word_log_likelihood(two)[0], expected)


def test_the_same_seed_draws_the_same_contacts(causes: Causes, drawn: Contacts, events: Happenings) -> None:
    again = make_contacts(CONFIG, causes, events)
    other = make_contacts(dataclasses.replace(CONFIG, seed=6), causes, events)
    for field in dataclasses.fields(Contacts):
        assert np.array_equal(getattr(again, field.name), getattr(drawn, field.name))
    assert not np.array_equal(other.timestamp, drawn.timestamp)


def test_delays_are_as_long_as_their_law_says(causes: Causes, drawn: Contacts) -> None:
    # An account's trouble is never over, and short: the end of the log cuts off next to nothing.
    account = REASONS.index("account")
    own = (drawn.reason == account) & (drawn.cause >= 0)
    delay = drawn.timestamp[own] - causes.start[drawn.cause[own]] - DELAY_MS[account]
    assert DELAY_MS[account] == 2 * 60_000
    assert MEAN_MS[account] == 2 * MS_PER_HOUR
    assert abs(delay.mean() / MEAN_MS[account] - 1) < 5 / np.sqrt(own.sum())
