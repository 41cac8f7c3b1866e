"""The risk head's measures by hand, and its combination by SciPy."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from sklearn.ensemble import IsolationForest

from recsys_tf.heads.isolation_forest import ForestGraph
from recsys_tf.heads.risk import MEASURES, RiskHead, first_of, newest_events, quantiles_of, share_below


@pytest.fixture(scope="module")
def head() -> RiskHead:
    random = np.random.default_rng(0)
    forest = IsolationForest(n_estimators=5, random_state=0).fit(random.normal(size=(60, 4)).astype(np.float32))
    ordinary = {name: quantiles_of(random.gamma(3, size=500).astype(np.float32)) for name in MEASURES}
    return RiskHead(ForestGraph.of(forest), 3, ordinary)


def test_only_the_newest_events_that_count_are_judged() -> None:
    counts = tf.constant([[False, True, False, True, True, False], [False, True, False, False, False, False]])
    assert newest_events(counts, 2).numpy().tolist() == [
        [False, False, False, True, True, False],
        [False, True, False, False, False, False],
    ]
    # Where nothing is marked, the first position after the start token: what comes before it always exists.
    marked = tf.constant([[False, False, True, True], [False, True, False, False], [False] * 4])
    assert first_of(marked).numpy().tolist() == [2, 1, 1]


def test_together_is_fishers_method(head: RiskHead) -> None:
    assert head.ordinary is not None
    measured = {
        name: np.quantile(head.ordinary[name], [0.0, 0.3, 0.8, 1.0]).astype(np.float32) + 1e-4 for name in MEASURES
    }
    p = np.stack([1 - share_below(head.ordinary[name], measured[name]).numpy() for name in MEASURES])
    expected = [1 - stats.combine_pvalues(column, method="fisher").pvalue for column in p.T]
    found = head.together({name: tf.constant(values) for name, values in measured.items()}).numpy()
    assert found == pytest.approx(expected, abs=1e-5)
    assert (np.diff(found) > 0).all()


def test_what_nobody_ever_had_is_rare_but_not_impossible(head: RiskHead) -> None:
    extreme = {name: tf.constant([-1e9, 1e9], tf.float32) for name in MEASURES}
    low, high = head.together(extreme).numpy()
    assert low == pytest.approx(0.0, abs=1e-6)
    assert 0.9999 < high <= 1.0
    assert np.isfinite(high)


def test_a_head_survives_a_round_trip(head: RiskHead, tmp_path: Path) -> None:
    head.save(tmp_path)
    loaded = RiskHead.load(tmp_path)
    assert loaded.recent == 3
    values = {name: tf.constant([1.0, 2.0, 5.0]) for name in MEASURES}
    assert loaded.together(values).numpy().tolist() == head.together(values).numpy().tolist()
    with pytest.raises(ValueError, match="does not know"):
        RiskHead(head.forest, 3).save(tmp_path)
