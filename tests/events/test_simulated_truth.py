"""The ceiling: exact against a filter written out by hand, calibrated, and beaten by no rule."""

import numpy as np
import pandas as pd
import pytest

from recsys_tf.config import SimulateConfig
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.simulated_events import act_out
from recsys_tf.events.simulated_shop import make_shop
from recsys_tf.events.simulated_truth import guess_next
from recsys_tf.events.simulated_visits import make_interests, make_sessions, make_steps, make_users, start_distribution
from recsys_tf.events.simulator import simulate


def scored(config: SimulateConfig) -> pd.DataFrame:
    """Positions whose next event is of an item: what was guessed, what came, and what simple rules may look at."""
    simulation = simulate(config)
    events = simulation.events.assign(
        category=simulation.events["item_id"].map(simulation.items.set_index("item_id")["category_id"]),
        guess=simulation.best_guesses["next_category"],
        probability=simulation.best_guesses["probability"].astype(np.float64),
    )
    by_user = events.groupby("user_id")
    events["next"] = by_user["category"].shift(-1)
    events["time"] = by_user["timestamp"].shift(-1)
    events["last"] = by_user["category"].ffill()
    changed = events["last"] != by_user["last"].shift()
    events["previous"] = by_user["last"].shift().where(changed).groupby(events["user_id"]).ffill().fillna("")
    events["is_bot"] = events["user_id"].map(simulation.users.set_index("user_id")["is_bot"])
    return events.dropna(subset=["next"]).assign(hit=lambda rows: rows["guess"] == rows["next"])


@pytest.fixture(scope="module")
def positions() -> pd.DataFrame:
    return scored(SimulateConfig())


@pytest.fixture(scope="module")
def halves(positions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Real users' positions of the first 85 % of the time and of the last 15 %."""
    cut = positions["time"].quantile(0.85)
    people = positions[~positions["is_bot"]]
    return people[people["time"] < cut], people[people["time"] >= cut]


def looked_up(train: pd.DataFrame, test: pd.DataFrame, keys: list[str]) -> pd.Series:
    """The most frequent next category given `keys`, learned from `train`."""
    counts = train.groupby([*keys, "next"]).size().rename("n").reset_index().sort_values("n", kind="stable")
    best = counts.drop_duplicates(keys, keep="last").rename(columns={"next": "answer"})
    return test[keys].merge(best, on=keys, how="left")["answer"].set_axis(test.index)


def simple_rules(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    answers = {
        "majority": pd.Series(train["next"].mode()[0], index=test.index),
        "last": test["last"],
        "user": looked_up(train, test, ["user_id"]),
        "markov": looked_up(train, test, ["last"]),
        "markov with behaviour": looked_up(train, test, ["last", "behavior"]),
    }
    return {name: float((answer == test["next"]).mean()) for name, answer in answers.items()}


def test_it_is_calibrated_as_a_whole_and_in_every_bin(positions: pd.DataFrame) -> None:
    for rows in (positions[positions["is_bot"]], positions[~positions["is_bot"]]):
        bins = pd.cut(rows["probability"], np.linspace(0.0, 1.0, 21))
        for _, part in [(None, rows), *rows.groupby(bins, observed=True)]:
            p = part["probability"]
            error = np.sqrt((p * (1 - p)).sum()) / len(part)
            assert abs(part["hit"].mean() - p.mean()) <= 4 * error + 1 / len(part)


def test_after_a_search_the_answer_is_certain(positions: pd.DataFrame) -> None:
    after = positions[positions["behavior"] == "search"]
    assert len(after) > 1000
    assert (after["probability"] == 1.0).all()
    assert after["hit"].all()


def test_no_lookup_beats_it(halves: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    train, test = halves
    for keys in (["previous", "last"], ["previous", "last", "behavior"], ["user_id", "last"]):
        assert (looked_up(train, test, keys) == test["next"]).mean() < test["probability"].mean()
    # Even fitted on what it is tested on, the last two categories cannot do more where they have been seen often.
    often = test.groupby(["previous", "last", "behavior"])["next"].transform("size") >= 30
    best = looked_up(test, test, ["previous", "last", "behavior"])[often] == test.loc[often, "next"]
    assert often.sum() > 100
    assert best.mean() < test.loc[often, "probability"].mean() + 0.05


def test_the_embedded_log_is_neither_trivial_nor_hopeless(halves: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    train, test = halves
    ceiling, rule = test["probability"].mean(), max(simple_rules(train, test).values())
    assert 0.58 < ceiling < 0.66
    assert rule < 0.42
    assert rule < 0.70 * ceiling
    pair = looked_up(train, test, ["previous", "last", "behavior"])
    learned = pair.fillna(looked_up(train, test, ["last", "behavior"])).fillna(looked_up(train, test, ["last"]))
    assert ((learned == test["next"]).mean() - rule) / (ceiling - rule) > 0.5


def test_it_equals_a_filter_written_out_by_hand() -> None:
    """One dense transition matrix per kind of step, one user after the other, in float64."""
    config = SimulateConfig(users=6, items=40, days=30, categories=8, seed=5)
    shop, users = make_shop(config), make_users(config)
    interests, sessions = make_interests(config, shop), make_sessions(config, users)
    steps = make_steps(config, shop, sessions, interests)
    events = act_out(config, shop, users, sessions, steps)
    found = guess_next(shop, sessions, steps, interests, events)

    missions, length = shop.routes.shape
    category = shop.routes.ravel()
    move = np.zeros((missions * length, missions * length))
    for mission in range(missions):
        for place in range(length):
            for jump, chance in ((1, 1 - laws.SKIP), (2, laws.SKIP)):
                move[mission * length + place, mission * length + (place + jump) % length] += chance

    def fresh(user: int, session: int) -> np.ndarray:
        prior = np.zeros((missions, length))
        for mission, weight in zip(interests[sessions.period[session], user], laws.INTEREST_WEIGHTS, strict=True):
            prior[mission] += weight * start_distribution()
        return prior.ravel()

    def of_category(belief: np.ndarray) -> np.ndarray:
        routed = np.bincount(category, belief, minlength=config.categories)
        return (1 - laws.NOISE) * routed + laws.NOISE * shop.category_popularity

    checked = 0
    for user in range(config.users):
        belief = np.zeros(missions * length)
        for step in np.flatnonzero(sessions.user[steps.session] == user):
            session = steps.session[step]
            if step == 0 or sessions.user[steps.session[step - 1]] != user:
                belief = fresh(user, session)
            elif steps.opens[step]:
                belief = laws.RESUME * (belief @ move) + (1 - laws.RESUME) * fresh(user, session)
            else:
                belief = belief @ move
            seen = (1 - laws.NOISE) * (category == steps.category[step])
            belief = belief * (seen + laws.NOISE * shop.category_popularity[steps.category[step]])
            belief /= belief.sum()
            inside = of_category(belief @ move)
            more = session + 1 < len(sessions.user) and sessions.user[session + 1] == user
            outside = np.zeros(config.categories)
            if more:
                outside = of_category(laws.RESUME * (belief @ move) + (1 - laws.RESUME) * fresh(user, session + 1))
            for event in np.flatnonzero(events.step == step):
                on = laws.PATTERN_GOES_ON[steps.pattern[step], events.place[event]]
                chance = (1 - on) * (1 - laws.SESSION_END) * (1 - laws.SEARCH_LATER) * inside
                chance += (1 - on) * laws.SESSION_END * (1 - laws.SEARCH_FIRST) * outside
                chance[steps.category[step]] += on
                chance /= chance.sum()
                assert found.probability[event] == pytest.approx(chance.max(), abs=1e-5)
                assert chance[found.category[event]] == pytest.approx(chance.max(), abs=1e-5)
                checked += 1
    assert checked == len(events.user) > 100


def test_how_likely_a_step_goes_on_follows_from_the_table() -> None:
    # A view is the whole step in 70 %; after view, cart a purchase comes in 7 of 15; a search is always answered.
    view, cart = laws.BROWSE_PATTERNS.index((("view",), 0.70)), laws.BROWSE_PATTERNS.index((("view", "cart"), 0.08))
    assert laws.PATTERN_GOES_ON[view, 0] == pytest.approx(0.30)
    assert laws.PATTERN_GOES_ON[cart, 1] == pytest.approx(7 / 15)
    assert (laws.PATTERN_GOES_ON[len(laws.BROWSE_PATTERNS) :, 0] == 1.0).all()
    assert sum(p for _, p in laws.BROWSE_PATTERNS) == pytest.approx(1.0)
    assert sum(p for _, p in laws.SEARCH_PATTERNS) == pytest.approx(1.0)
