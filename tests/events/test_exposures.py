"""Ad logs: what is refused, and ads in the simulated shop, which follow the judge's probabilities."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_tf.config import SimulateConfig
from recsys_tf.errors import InputError
from recsys_tf.events.exposures import read_exposures
from recsys_tf.events.judge import Judge
from recsys_tf.events.simulated_exposures import DELAY_MS, Exposures, draw_exposures
from recsys_tf.events.simulator import Simulation, simulate, write_simulation

HEADER = "user_id,timestamp,item_id,clicked,purchased\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulation, Path]:
    folder = tmp_path_factory.mktemp("shop")
    simulation = simulate(SimulateConfig(users=400, items=300, days=30, seed=3))
    write_simulation(simulation, folder)
    return simulation, folder


@pytest.fixture(scope="module")
def ads(shop: tuple[Simulation, Path]) -> Exposures:
    simulation, folder = shop
    return draw_exposures(simulation.events, simulation.users, Judge.load(folder / "truth"), simulation.seed)


def test_clicks_and_purchases_are_as_likely_as_the_judge_says(ads: Exposures) -> None:
    for name, truth in (("clicked", ads.truth["click"]), ("purchased", ads.truth["purchase"])):
        expected, deviation = truth.sum(), np.sqrt((truth * (1 - truth)).sum())
        assert expected > 5
        assert abs(ads.log[name].sum() - expected) < 5 * deviation
    assert (ads.log["purchased"] <= ads.log["clicked"]).all()
    assert (ads.truth["purchase"] <= ads.truth["click"] + 1e-12).all()


def test_people_are_shown_what_is_on_sale_after_what_they_did(ads: Exposures, shop: tuple[Simulation, Path]) -> None:
    simulation, _ = shop
    bots = set(simulation.users.loc[simulation.users["is_bot"].astype(bool), "user_id"])
    assert not bots & set(ads.log["user_id"])
    events = set(zip(simulation.events["user_id"], simulation.events["timestamp"] + DELAY_MS, strict=True))
    assert set(zip(ads.log["user_id"], ads.log["timestamp"], strict=True)) <= events
    launch = dict(zip(simulation.shop["items"]["item_id"], simulation.shop["items"]["launch_day"], strict=True))
    day = (ads.log["timestamp"] - simulation.shop["start"]) // 86_400_000
    assert (ads.log["item_id"].map(launch) <= day).all()


def test_what_is_written_is_read_back(ads: Exposures, shop: tuple[Simulation, Path]) -> None:
    _, folder = shop
    read = read_exposures(folder / "exposures.csv.gz")
    expected = ads.log.astype({"clicked": bool, "purchased": bool})
    pd.testing.assert_frame_equal(read, expected, check_dtype=False)
    truth = pd.read_csv(folder / "truth" / "exposures.csv.gz")
    assert truth["click"].to_numpy() == pytest.approx(ads.truth["click"].to_numpy(), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as CSV"),
        ("user_id,timestamp,item_id,clicked\n", "the column purchased is missing"),
        (HEADER + "a,1,x,0,0\n,2,x,0,0\n", "row 3, column user_id: '' is empty"),
        (HEADER + "a,soon,x,0,0\n", "row 2, column timestamp: 'soon' is no time in ms"),
        (HEADER + "a,-1,x,0,0\n", "row 2, column timestamp"),
        (HEADER + "a,1,x,yes,0\n", "row 2, column clicked: 'yes' is neither 0 nor 1"),
    ],
)
def test_what_is_no_ad_log_is_refused_by_row_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ads.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as refused:
        read_exposures(path)
    assert str(path) in str(refused.value)


def test_an_ad_log_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ad log here"):
        read_exposures(tmp_path / "ads.csv")
