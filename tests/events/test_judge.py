"""The judge of the simulated shop: its probabilities follow from the users' true state."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_tf.config import SimulateConfig
from recsys_tf.errors import InputError
from recsys_tf.events import judge as judge_module
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.judge import Judge
from recsys_tf.events.simulated_visits import start_distribution
from recsys_tf.events.simulator import Simulation, simulate, write_simulation

CONFIG = SimulateConfig(users=200, items=600, days=28, categories=20, seed=3, bot_share=0.05)


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(CONFIG)


@pytest.fixture(scope="module")
def judge(simulation: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    folder = tmp_path_factory.mktemp("simulated")
    write_simulation(simulation, folder)
    return Judge.load(folder / "truth")


@pytest.fixture(scope="module")
def facts(simulation: Simulation) -> pd.DataFrame:
    return pd.DataFrame(simulation.shop["items"]).set_index("item_id")


def old_stock(facts: pd.DataFrame) -> list[str]:
    return facts.index[facts["launch_day"] == 0].tolist()


def appeal(simulation: Simulation, facts: pd.DataFrame, user: str, item: str) -> float:
    """What the item is worth to the user, were its category wanted for certain: old stock only."""
    tastes = simulation.users.set_index("user_id").loc[user]
    tier = laws.TIER_MATCH[abs(int(tastes["price_tier"]) - int(facts.loc[item, "price_tier"]))]
    style = 1.0 if tastes["style"] == facts.loc[item, "style"] else 1.0 / laws.STYLE_MATCH
    return float(tier * style * (0.5 + 0.5 * facts.loc[item, "quality"]) * 0.8)


def click_of(wish: float, worth: float) -> float:
    return judge_module.CLICK_ANYWAY + (judge_module.CLICK_AT_BEST - judge_module.CLICK_ANYWAY) * wish * worth


def test_probabilities_are_probabilities(judge: Judge, simulation: Simulation) -> None:
    events = simulation.events.sample(500, random_state=0)
    shown = np.random.default_rng(0).choice(simulation.items["item_id"].to_numpy(dtype=object), (500, 7))
    click, buy = judge.click_and_buy(events["user_id"].tolist(), events["timestamp"], shown)
    assert click.shape == buy.shape == (500, 7)
    assert ((buy >= 0) & (buy <= click) & (click <= 1)).all()
    assert (click > 0).mean() > 0.8


def test_before_the_first_visit_the_interests_decide(judge: Judge, simulation: Simulation, facts: pd.DataFrame) -> None:
    user = simulation.steps["user_id"].iloc[0]
    wanted = np.zeros(CONFIG.categories)
    for _, row in simulation.interests.query("user_id == @user").head(4).iterrows():
        wanted[simulation.shop["routes"][row["mission"]]] += row["weight"] * start_distribution()
    items = old_stock(facts)[:40]
    click, _ = judge.click_and_buy([user] * 40, [laws.LOG_START_MS] * 40, [[item] for item in items])
    worth = [click_of(wanted[facts.loc[item, "category"]], appeal(simulation, facts, user, item)) for item in items]
    np.testing.assert_allclose(click[:, 0], worth, atol=2e-3)


def test_the_event_that_a_list_answers_is_not_yet_known(
    judge: Judge, simulation: Simulation, facts: pd.DataFrame
) -> None:
    first = simulation.steps.drop_duplicates("user_id")
    # In its first week a user's interests are those from the beginning.
    first = first[first["timestamp"] < laws.LOG_START_MS + 7 * laws.MS_PER_DAY]
    shown = [old_stock(facts)[:100]] * len(first)
    users, times = first["user_id"].tolist(), first["timestamp"]
    at, _ = judge.click_and_buy(users, times, shown)
    before, _ = judge.click_and_buy(users, [laws.LOG_START_MS] * len(first), shown)
    after, _ = judge.click_and_buy(users, times + 1, shown)
    assert len(first) > 50
    np.testing.assert_array_equal(at, before)
    assert (after != before).any(axis=1).all()


def test_within_a_session_the_route_decides(judge: Judge, simulation: Simulation, facts: pd.DataFrame) -> None:
    step = simulation.steps.iloc[0]
    route = simulation.shop["routes"][step["mission"]]
    position = int(step["place"])
    following = route[(position + 1) % 5]
    stock = facts.loc[old_stock(facts)]
    item = stock.index[stock["category"] == following][0]
    click, buy = judge.click_and_buy([step["user_id"]], [step["timestamp"] + 1], [[item]])
    # At least: the session goes on and skips nothing, or it ends and a new one resumes the mission.
    going_on = (1 - judge_module.STILL_WANTED) * (1 - laws.SKIP)
    least = going_on * (1 - laws.SESSION_END + laws.SESSION_END * laws.RESUME)
    worth = appeal(simulation, facts, step["user_id"], item)
    assert click_of(least, worth) - 1e-9 <= click[0, 0] <= click_of(least + 0.2, worth)
    assert 0 < buy[0, 0] < click[0, 0]


def test_it_prefers_what_really_came_next(judge: Judge, simulation: Simulation) -> None:
    bots = set(simulation.users.query("is_bot")["user_id"])
    events = simulation.events[~simulation.events["user_id"].isin(bots) & (simulation.events["item_id"] != "")]
    others = events["item_id"].sample(frac=1.0, random_state=0).to_numpy()
    shown = np.stack([events["item_id"].to_numpy(dtype=object), others.astype(object)], axis=1)
    users, times = events["user_id"].tolist(), events["timestamp"]
    true_click, _ = judge.click_and_buy(users, times, shown[:, :1])
    other_click, _ = judge.click_and_buy(users, times, shown[:, 1:])
    assert true_click.mean() > 3 * other_click.mean()


def test_lower_ranks_are_seen_less(judge: Judge, simulation: Simulation, facts: pd.DataFrame) -> None:
    user, item = simulation.steps["user_id"].iloc[0], old_stock(facts)[0]
    click, buy = judge.click_and_buy([user], [laws.LOG_START_MS + 1], [[item] * 4])
    np.testing.assert_allclose(click[0, 1:] / click[0, :-1], judge_module.ATTENTION)
    np.testing.assert_allclose(buy[0] / click[0], buy[0, 0] / click[0, 0])


def test_padding_unknown_and_unlaunched_items_get_nothing(
    judge: Judge, simulation: Simulation, facts: pd.DataFrame
) -> None:
    late = facts["launch_day"].idxmax()
    day = int(facts.loc[late, "launch_day"])
    launch = laws.LOG_START_MS + day * laws.MS_PER_DAY
    user = simulation.steps["user_id"].iloc[0]
    click, buy = judge.click_and_buy([user, user], [launch - 1, launch], [["", "i99999", late], ["", "i99999", late]])
    assert (click[0] == 0).all()
    assert (buy[0] == 0).all()
    assert (click[1] > 0).tolist() == [False, False, True]


def test_strangers_and_bots_are_judged_as_the_average_user(
    judge: Judge, simulation: Simulation, facts: pd.DataFrame
) -> None:
    bot = simulation.users.query("is_bot")["user_id"].iloc[0]
    items = old_stock(facts)
    time = laws.LOG_START_MS + 5 * laws.MS_PER_DAY
    click, _ = judge.click_and_buy(["nobody", bot], [time, time], [items, items])
    np.testing.assert_array_equal(click[0], click[1])
    assert len(np.unique(click[0] / judge_module.ATTENTION ** np.arange(len(items)))) > 10


def test_answers_do_not_depend_on_company(judge: Judge, simulation: Simulation) -> None:
    events = simulation.events.sample(50, random_state=1)
    shown = np.random.default_rng(1).choice(simulation.items["item_id"].to_numpy(dtype=object), (50, 3))
    together, _ = judge.click_and_buy(events["user_id"].tolist(), events["timestamp"], shown)
    alone = [
        judge.click_and_buy([user], [time], [row])[0][0]
        for user, time, row in zip(events["user_id"], events["timestamp"], shown, strict=True)
    ]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_a_log_without_truth_has_no_judge(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only a simulated log has a judge"):
        Judge.load(tmp_path / "truth")
