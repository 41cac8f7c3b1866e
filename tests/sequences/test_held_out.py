"""Users who are held out leave no trace in what is prepared, and it can be said afterwards who they were."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys_tf.config import FeatureConfig, FilterConfig, SplitConfig
from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.sequences.dataset import open_prepared, read_users
from recsys_tf.sequences.held_out import held_out, without_held_out
from recsys_tf.sequences.prepare import PrepareSettings, prepare

HALF = FilterConfig(held_out_users=0.5, drop_bots=False)


def test_each_users_own_id_and_the_seed_decide() -> None:
    users = pd.Series([f"u{number}" for number in range(4000)])
    out = held_out(users, HALF)
    assert 0.47 < out.mean() < 0.53
    # Neither the order of the users nor who else is there changes anything.
    order = np.random.default_rng(0).permutation(4000)[:100]
    assert (held_out(users.iloc[order], HALF) == out[order]).all()
    assert held_out(pd.concat([users[:3], users[:3]]), HALF).tolist() == [*out[:3], *out[:3]]
    other = held_out(users, dataclasses.replace(HALF, seed=1))
    assert 0.47 < (other == out).mean() < 0.53
    # A larger share holds out the same users and more.
    assert held_out(users, dataclasses.replace(HALF, held_out_users=0.8))[out].all()
    assert not held_out(users, FilterConfig()).any()


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="a share of the users, from 0 to below 1"):
        held_out(pd.Series(["u"]), FilterConfig(held_out_users=share))
    with pytest.raises(InputError, match="a share of the users, from 0 to below 1"):
        without_held_out(pd.DataFrame({"user_id": ["u"]}), FilterConfig(held_out_users=share))


def test_everything_prepared_is_as_if_they_had_never_been_there(clean_log: CleanLog, tmp_path: Path) -> None:
    features = FeatureConfig(max_length=12, words=4, shards=2)
    out = held_out(clean_log.events["user_id"], HALF)
    facts = prepare(
        clean_log.events, clean_log.items, PrepareSettings(SplitConfig(), HALF, features), tmp_path / "half"
    )
    nobody = dataclasses.replace(HALF, held_out_users=0.0)
    without = clean_log.events[~out].reset_index(drop=True)
    prepare(without, clean_log.items, PrepareSettings(SplitConfig(), nobody, features), tmp_path / "without")
    files = sorted(path.name for path in (tmp_path / "half").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "without").iterdir())
    for name in files:
        if name != "dataset.json":
            assert (tmp_path / "half" / name).read_bytes() == (tmp_path / "without" / name).read_bytes(), name
    absent = set(clean_log.events.loc[out, "user_id"])
    assert facts["left_out"]["held_out_users"] == len(absent) > 50
    users = {
        user.decode()
        for batch in read_users(open_prepared(tmp_path / "half")).as_numpy_iterator()
        for user in batch["user"]
    }
    assert users == set(without["user_id"])
    # Not even their number of events is told by a list of names.
    text = (tmp_path / "half" / "dataset.json").read_text(encoding="utf-8")
    assert not [user for user in absent if f'"{user}"' in text]
