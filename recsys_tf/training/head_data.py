"""What every head is fitted and measured on: a finished run's frozen model, and the log that it was made from."""

from pathlib import Path

import pandas as pd

from recsys_tf.errors import InputError
from recsys_tf.events.tables import read_clean_log
from recsys_tf.sequences.dataset import read_users
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.held_out import without_held_out
from recsys_tf.sequences.prepare import encode_users
from recsys_tf.sequences.shards import UserSequences
from recsys_tf.sequences.splits import LEFT_OUT, split_events
from recsys_tf.training.runs import Run, open_run


def open_for_head(folder: Path) -> Run:
    """Open a run whose two-tower model may be asked at every position. Raises InputError for any other."""
    run = open_run(folder)
    if "two_tower" not in run.models or run.config.two_tower.encoder == "bert":
        raise InputError("only a two-tower model with a causal encoder will do", file=folder)
    if run.config.features.devices != "joined":
        raise InputError("only a run whose users' devices are joined will do", file=folder)
    return run


def clean_events(run: Run) -> pd.DataFrame:
    """Return the clean log that the run was made from, bots included, with the side of every event.

    Users who were held out are not in it. Raises InputError where it is not there any more.
    """
    events = without_held_out(clean_log(run), run.config.filters)
    side = split_events(events, run.config.split).side
    sided: pd.DataFrame = events.assign(side=side)[side != LEFT_OUT].reset_index(drop=True)
    return sided


def clean_log(run: Run) -> pd.DataFrame:
    """Return the clean log of all users, those who were held out too.

    Raises InputError where it is not there any more.
    """
    places = [run.directory / "clean", run.config.data]
    folder = next((one for one in places if (one / "events.parquet").is_file()), None)
    if folder is None:
        raise InputError("the clean log that this run was made from is not there any more", file=places[0])
    return read_clean_log(folder)[0]


def users_of_the_run(run: Run) -> set[str]:
    """Return the ids of the users that preparation has kept."""
    return {user.decode("utf-8") for batch in read_users(run.data).as_numpy_iterator() for user in batch["user"]}


def encoded(events: pd.DataFrame, users: set[str], space: FeatureSpace) -> UserSequences:
    """Turn the events of some users into ids."""
    return encode_users(events[events["user_id"].isin(users)].reset_index(drop=True), space)
