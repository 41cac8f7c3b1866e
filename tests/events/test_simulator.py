"""The simulated log: its form, its dirt, its rhythm and its repeatability."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_tf.config import SimulateConfig
from recsys_tf.errors import InputError
from recsys_tf.events import simulated_dirt, simulated_laws
from recsys_tf.events.schema import BEHAVIOR_ALIASES, EVENTS, ITEMS
from recsys_tf.events.simulator import Simulation, simulate, write_simulation

SMALL = SimulateConfig(users=200, items=400, days=28, categories=20, seed=3, bot_share=0.05)
HOUR = 3_600_000


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(SMALL)


@pytest.fixture(scope="module")
def people(simulation: Simulation) -> pd.DataFrame:
    """Events of real users, with the gap in ms to the same user's event before."""
    bots = set(simulation.users.query("is_bot")["user_id"])
    events = simulation.events[~simulation.events["user_id"].isin(bots)]
    return events.assign(gap=events.groupby("user_id")["timestamp"].diff())


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_events_and_items_keep_the_data_contract(simulation: Simulation) -> None:
    events = simulation.events.copy()
    events.insert(4, "position", events.groupby("user_id").cumcount())
    EVENTS.validate(events)
    ITEMS.validate(simulation.items)
    assert set(events["item_id"]) - {""} <= set(simulation.items["item_id"])
    assert simulation.items["category_id"].nunique() == SMALL.categories
    assert len(simulation.items) == SMALL.items


def test_each_user_has_one_event_at_a_time_in_order(simulation: Simulation) -> None:
    gap = simulation.events.groupby("user_id")["timestamp"].diff().dropna()
    assert gap.min() >= 2_000
    assert (
        simulation.events["timestamp"]
        .between(simulated_laws.LOG_START_MS, simulated_laws.LOG_START_MS + SMALL.days * 24 * HOUR, inclusive="left")
        .all()
    )
    pd.testing.assert_frame_equal(
        simulation.best_guesses[["user_id", "timestamp"]], simulation.events[["user_id", "timestamp"]]
    )


def test_sessions_stand_apart(people: pd.DataFrame) -> None:
    hour = people["timestamp"] // HOUR
    same = hour == hour.groupby(people["user_id"]).shift()
    assert people.loc[same, "gap"].max() <= 8 * 60_000 + 2_000
    assert people.loc[~same, "gap"].min() >= 16 * 60_000


def test_traffic_peaks_in_the_evening_and_at_the_weekend(people: pd.DataFrame) -> None:
    time = pd.to_datetime(people["timestamp"], unit="ms")
    by_hour = time.dt.hour.value_counts()
    assert by_hour.loc[19:22].mean() > 4 * by_hour.reindex(range(1, 6), fill_value=0).mean()
    by_day = time.dt.dayofweek.value_counts()
    assert by_day.loc[5:6].mean() > by_day.loc[0:3].mean()


def test_funnels_act_on_the_item_just_seen(people: pd.DataFrame) -> None:
    before = people.groupby("user_id").shift()
    for behavior, allowed in (("purchase", {"cart"}), ("cart", {"view", "click"}), ("favorite", {"view"})):
        now = people["behavior"] == behavior
        assert now.sum() > 20
        assert set(before.loc[now, "behavior"]) <= allowed
        assert (before.loc[now, "item_id"] == people.loc[now, "item_id"]).all()
    assert set(before.loc[people["behavior"] == "click", "behavior"]) == {"search"}


def test_a_query_names_the_category_that_is_clicked_next(simulation: Simulation, people: pd.DataFrame) -> None:
    category = simulation.items.set_index("item_id")["category_id"]
    after = people["item_id"].groupby(people["user_id"]).shift(-1).map(category)
    searches = people[people["behavior"] == "search"].assign(sought=after)
    words = searches["query"].str.lower().str.split()
    spoken = searches[["sought"]].assign(word=words).explode("word")
    titles = simulation.items.assign(word=simulation.items["title"].str.lower().str.split()).explode("word")
    known = set(zip(titles["category_id"], titles["word"], strict=True))
    # Style and brand words stand in titles of every category; those that name one category only must be the right ones.
    owners = titles.groupby("word")["category_id"].nunique()
    own = spoken[spoken["word"].map(owners) == 1]
    right = pd.Series(list(zip(own["sought"], own["word"], strict=True))).isin(known)
    assert right.mean() > 0.99
    assert 0.85 < own.index.nunique() / len(searches) < 1.0  # a few are misspelled


def test_nobody_meets_an_item_before_its_launch(simulation: Simulation) -> None:
    items = simulation.shop["items"]
    launch = pd.Series(items["launch_day"], index=items["item_id"])
    events = simulation.events[simulation.events["item_id"] != ""]
    day = (events["timestamp"] - simulated_laws.LOG_START_MS) // (24 * HOUR)
    assert (day >= events["item_id"].map(launch)).all()
    assert 0.2 < (launch > 0).mean() < 0.35


def test_interests_drift_but_slowly(simulation: Simulation) -> None:
    by_period = simulation.interests.groupby(["user_id", "timestamp"])
    assert (by_period.size() == 4).all()
    assert (by_period["mission"].nunique() == 4).all()
    np.testing.assert_allclose(by_period["weight"].sum(), 1.0)
    changes = by_period.ngroups / SMALL.users - 1  # of three weeks that could bring one
    assert 0.5 < changes < 1.5


def test_bots_are_few_regular_and_awake_at_night(simulation: Simulation, people: pd.DataFrame) -> None:
    bots = simulation.users.query("is_bot")["user_id"]
    assert len(bots) == round(200 * 0.05 / 0.95)
    theirs = simulation.events[simulation.events["user_id"].isin(bots)]
    gap = theirs.groupby("user_id")["timestamp"].diff()
    in_run = gap[gap < 60_000].groupby(theirs["user_id"])
    human = people["gap"][people["gap"] < 60_000].groupby(people["user_id"])
    assert (in_run.std() / in_run.mean()).max() < 0.1 < (human.std() / human.mean()).median()
    night = pd.to_datetime(theirs["timestamp"], unit="ms").dt.hour < 6
    assert 0.15 < night.mean() < 0.35
    assert len(theirs) / len(bots) > 2 * len(people) / SMALL.users


def test_every_line_is_a_genuine_event_or_listed_dirt(simulation: Simulation) -> None:
    lines = pd.Series(simulation.lines)
    clean = lines.drop(simulation.dirt["line"] - 2).str.split(",", expand=True)
    clean.columns = pd.Index(simulated_dirt.HEADER.split(","))
    clean["timestamp"] = clean["timestamp"].astype("int64")
    assert clean["timestamp"].is_monotonic_increasing
    aliased = clean["behavior"].isin(BEHAVIOR_ALIASES)
    assert 0.003 < aliased.mean() < 0.02
    assert 0.01 < (clean["device"] == "").mean() < 0.03
    clean["behavior"] = clean["behavior"].replace(BEHAVIOR_ALIASES)
    genuine = simulation.events.sort_values(["timestamp", "user_id"], ignore_index=True)
    clean = clean.sort_values(["timestamp", "user_id"], ignore_index=True)
    for column in ("user_id", "item_id", "behavior", "timestamp", "query"):
        assert clean[column].tolist() == genuine[column].tolist()


def test_every_kind_of_dirt_is_there_in_the_right_amount(simulation: Simulation) -> None:
    kinds = simulation.dirt["kind"].value_counts()
    assert set(kinds.index) == {*simulated_dirt.MALFORMED, *simulated_dirt.COPIES}
    rows = len(simulation.lines)
    assert kinds[list(simulated_dirt.COPIES)].sum() / rows == pytest.approx(SMALL.duplicate_share, abs=2 / rows)
    assert kinds[list(simulated_dirt.MALFORMED)].sum() / rows == pytest.approx(SMALL.malformed_share, abs=2 / rows)
    dirty = pd.Series(simulation.lines)[simulation.dirt["line"] - 2].reset_index(drop=True)
    fields = dirty.str.count(",") + 1
    kind = simulation.dirt["kind"]
    assert (fields[kind == "too few fields"] == 3).all()
    assert (fields[kind == "too many fields"] == 8).all()
    assert (fields[~kind.isin(["too few fields", "too many fields"])] == 6).all()
    assert dirty[kind == "no user"].str.startswith(",").all()
    assert dirty[kind == "unknown behaviour"].str.contains(",hover,").all()
    assert dirty[kind == "unparseable time"].str.contains(",yesterday,").all()


def test_copies_follow_their_original(simulation: Simulation) -> None:
    lines = pd.Series(simulation.lines)
    exact = simulation.dirt.query("kind == 'exact copy'")["line"] - 2
    assert lines[exact].isin(lines.drop(simulation.dirt["line"] - 2)).all()
    near = lines[simulation.dirt.query("kind == 'near copy'")["line"] - 2].str.split(",", expand=True)
    own = simulation.events.sort_values("timestamp")
    copies = pd.DataFrame({"user_id": near[0].astype("str"), "at": near[3].astype("int64")}).sort_values("at")
    original = pd.merge_asof(copies, own, left_on="at", right_on="timestamp", by="user_id")
    assert (original["at"] - original["timestamp"]).between(1, 800).all()


def test_the_same_seed_writes_the_same_bytes(simulation: Simulation, tmp_path: Path) -> None:
    write_simulation(simulation, tmp_path / "one")
    write_simulation(simulate(SMALL), tmp_path / "two")
    other = SimulateConfig(users=200, items=400, days=28, categories=20, seed=4, bot_share=0.05)
    write_simulation(simulate(other), tmp_path / "three")
    one = written(tmp_path / "one")
    assert set(one) == {
        "user_behavior_data.csv",
        "items.csv",
        "contacts.csv",
        "exposures.csv.gz",
        *(
            f"truth/{name}.csv.gz"
            for name in ("events", "users", "interests", "steps", "contacts", "exposures", "dirt")
        ),
        "truth/shop.json",
    }
    assert one == written(tmp_path / "two")
    three = written(tmp_path / "three")
    assert all(one[name] != three[name] for name in one)


def test_written_tables_read_back(simulation: Simulation, tmp_path: Path) -> None:
    write_simulation(simulation, tmp_path)
    items = pd.read_csv(tmp_path / "items.csv", dtype={"title": "str"}, keep_default_na=False, na_values={"price": ""})
    pd.testing.assert_frame_equal(items, simulation.items, check_dtype=False)
    guesses = pd.read_csv(tmp_path / "truth/events.csv.gz")
    assert guesses["next_category"].tolist() == simulation.best_guesses["next_category"].tolist()
    np.testing.assert_allclose(guesses["probability"], simulation.best_guesses["probability"], atol=0.5001e-4)
    log = (tmp_path / "user_behavior_data.csv").read_bytes()
    assert log.count(b"\n") == len(simulation.lines) + 1
    assert b"\r" not in log


def test_the_embedded_log_is_what_the_defaults_write(tmp_path: Path) -> None:
    data = Path(__file__).parents[2] / "data"
    write_simulation(simulate(SimulateConfig()), tmp_path)
    for name in ("user_behavior_data.csv", "items.csv", "contacts.csv"):
        assert (tmp_path / name).read_bytes() == (data / name).read_bytes()
    for path in [data / "exposures.csv.gz", *sorted((data / "truth").glob("*.csv.gz"))]:
        # Compressed bytes are another library's affair; what they hold is ours.
        assert gzip.decompress((tmp_path / path.relative_to(data)).read_bytes()) == gzip.decompress(path.read_bytes())
    assert sum(len(content) for content in written(tmp_path).values()) < 5_000_000


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"users": 0}, "--users must be at least 1"),
        ({"items": 10, "categories": 11}, "--items must be at least --categories"),
        ({"days": 0}, "--days"),
        ({"categories": 0}, "--categories"),
        ({"seed": -1}, "--seed"),
        ({"duplicate_share": 0.5}, "--duplicate-share"),
        ({"bot_share": -0.1}, "--bot-share"),
    ],
)
def test_an_impossible_shop_is_refused_in_one_line(fault: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulate(SimulateConfig(**fault))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "config",
    [
        SimulateConfig(users=1, items=1, days=1, categories=1, bot_share=0.0, duplicate_share=0.0, malformed_share=0.0),
        SimulateConfig(users=2, items=7, days=9, categories=7),
    ],
)
def test_the_smallest_shops_work(config: SimulateConfig, tmp_path: Path) -> None:
    simulation = simulate(config)
    write_simulation(simulation, tmp_path)
    assert set(simulation.users["user_id"]) == set(simulation.events["user_id"])
    assert simulation.best_guesses["probability"].between(0, 1).all()
