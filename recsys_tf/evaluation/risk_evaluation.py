"""Is the risk head any good? Against the simulator's bots, and against accounts that somebody else went on with.

Only events of the test side are judged: the model has learnt those of its training, so they would not surprise it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

from recsys_tf.config import RiskConfig
from recsys_tf.evaluation.detection import Detection, measure_detector
from recsys_tf.heads.risk import RiskHead
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.filters import user_statistics
from recsys_tf.sequences.newest_windows import newest_windows, spliced
from recsys_tf.sequences.shards import UserSequences
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.training.fit_risk import in_batches

Array = npt.NDArray[Any]

SURPRISE, ISOLATION, TOGETHER = "surprise", "isolation of the representation", "all three together"
ESTRANGEMENT = "surprise to the owner's representation"
_OF_THE_HEAD = {SURPRISE: "surprise", ESTRANGEMENT: "estrangement", ISOLATION: "isolation", TOGETHER: "risk"}
BUSY, STATISTICS = "number of events", "isolation of hand-made statistics"
STRANGE_CATEGORIES, OTHER_DEVICE = "categories that are new to the account", "another device than before"
# Test events that a user must have to be judged at all, and events that an account must have had before it is taken.
_FEWEST_EVENTS = 5
_FEWEST_BEFORE = 10


@dataclass(frozen=True)
class RiskTask:
    """One question: cases, how many are wrong, and a row for every detector."""

    cases: int
    wrong: int
    detectors: dict[str, Detection]


def bots(
    head: RiskHead,
    retrieval: Retrieval,
    table: Any,
    sequences: UserSequences,
    events: pd.DataFrame,
    is_bot: pd.Series,
    length: int,
    config: RiskConfig,
) -> RiskTask | None:
    """Tell bots from people by what they do on the test side; None where there are not both.

    sequences, events: of all users, the bots among them. is_bot: bool by user id. The hand-made statistics are those of
    `user_statistics`, and their forest is fitted on everybody's training events, bots and all, as nobody would know
    better.
    """
    later = np.diff(sequences.first) - sequences.validation_end
    users = np.flatnonzero(later >= _FEWEST_EVENTS)
    names = np.array(sequences.users, object)[users]
    wrong = is_bot.reindex(names, fill_value=False).to_numpy(bool)
    if wrong.all() or not wrong.any():
        return None
    windows = newest_windows(sequences, users, np.diff(sequences.first)[users], length)
    found = in_batches(lambda ids: head(retrieval, ids, table), windows)
    statistics = _isolation_of_statistics(events[events["side"] == 0], events[events["side"] == 2], names, config.seed)
    scores = {
        **{name: found[measure] for name, measure in _OF_THE_HEAD.items()},
        BUSY: later[users].astype(np.float64),
        STATISTICS: statistics,
    }
    return _task(wrong, scores, np.arange(len(users)), config)


def take_over(
    head: RiskHead,
    retrieval: Retrieval,
    table: Any,
    sequences: UserSequences,
    category: Array,
    length: int,
    config: RiskConfig,
) -> RiskTask | None:
    """Tell accounts whose newest events are somebody else's from the same accounts as they are; None for too few.

    sequences: of people. category: int32 [catalogue rows]. Each account is there twice, once as it is and once with the
    newest `recent` test events of another one in place of its own.
    """
    counts, recent = np.diff(sequences.first), config.recent
    able = np.flatnonzero((counts - sequences.validation_end >= recent) & (counts >= recent + _FEWEST_BEFORE))
    if len(able) < 2:
        return None
    order = np.random.default_rng(config.seed).permutation(able)
    # A ring of all accounts in random order: nobody goes on with their own.
    forged = spliced(sequences, order, np.roll(order, 1), recent)
    scores: dict[str, list[Array]] = {}
    for one, users in ((sequences, order), (forged, np.arange(len(order)))):
        ends = np.diff(one.first)[users]
        windows = newest_windows(one, users, ends, length)
        found = in_batches(lambda ids: head(retrieval, ids, table), windows)
        for name, measure in _OF_THE_HEAD.items():
            scores.setdefault(name, []).append(found[measure])
        scores.setdefault(STRANGE_CATEGORIES, []).append(_new_to_the_account(windows, category, recent))
        if windows["device"].max() >= FIRST:
            scores.setdefault(OTHER_DEVICE, []).append(_other_device(windows, recent))
    wrong = np.repeat([False, True], len(order))
    joined = {name: np.concatenate(values) for name, values in scores.items()}
    return _task(wrong, joined, np.tile(order, 2), config)


def _task(wrong: Array, scores: dict[str, Array], clusters: Array, config: RiskConfig) -> RiskTask:
    rows = {
        name: measure_detector(wrong, score, clusters, config.bootstrap_samples, config.seed)
        for name, score in scores.items()
    }
    return RiskTask(len(wrong), int(wrong.sum()), rows)


def _isolation_of_statistics(training: pd.DataFrame, later: pd.DataFrame, names: Array, seed: int) -> Array:
    known, asked = (user_statistics(one.reset_index(drop=True)) for one in (training, later))
    known, asked = (one.assign(events=np.log1p(one["events"])) for one in (known, asked))
    scaler = StandardScaler().fit(known.to_numpy())
    forest = IsolationForest(n_estimators=200, random_state=seed).fit(scaler.transform(known.to_numpy()))
    isolation: Array = -forest.score_samples(scaler.transform(asked.reindex(names).to_numpy()))
    return isolation


def _new_to_the_account(windows: dict[str, Array], category: Array, recent: int) -> Array:
    """Share of the newest item events whose category the window does not hold before them: float64 [windows]."""
    shares = np.zeros(len(windows["row"]))
    for at, row in enumerate(windows["row"]):
        held = int((windows["behavior"][at] != 0).sum())
        before, newest = row[1 : held - recent], row[held - recent : held]
        newest = newest[newest >= FIRST]
        if len(newest):
            shares[at] = 1.0 - np.isin(category[newest], category[before[before >= FIRST]]).mean()
    return shares


def _other_device(windows: dict[str, Array], recent: int) -> Array:
    """Share of the newest events by a device that the window does not hold before them: float64 [windows]."""
    shares = np.zeros(len(windows["row"]))
    for at, device in enumerate(windows["device"]):
        held = int((windows["behavior"][at] != 0).sum())
        shares[at] = 1.0 - np.isin(device[held - recent : held], device[1 : held - recent]).mean()
    return shares
