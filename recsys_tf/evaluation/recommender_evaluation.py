"""How good recommenders are at the next item, over the whole catalogue, beside the simple ones that everybody has."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys_tf.config import EvaluateConfig
from recsys_tf.evaluation.bootstrap import Interval, clustered_intervals
from recsys_tf.evaluation.interactions import Histories, Interactions
from recsys_tf.evaluation.queries import Ints, Queries
from recsys_tf.evaluation.ranking_metrics import (
    catalogue_coverage,
    evaluate_recommender,
    gini_of_exposure,
    ranking_values,
)
from recsys_tf.evaluation.recommender_baselines import FrequentItems, MostPopular, RecentItems, RecentlyPopular
from recsys_tf.evaluation.recommender_neighbours import MarkovItems, SessionNeighbours
from recsys_tf.events.judge import Judge
from recsys_tf.progress import with_progress
from recsys_tf.sequences.vocabularies import FIRST

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RecommenderFigures:
    """One recommender's row: intervals by metric name, what its lists look like, and what the judge says of them."""

    intervals: dict[str, Interval]
    lists: dict[str, float]
    online: dict[str, Interval] = field(default_factory=dict)


def baseline_scores(train: Interactions, histories: Histories) -> dict[str, Callable[[slice], Scores]]:
    """Fit every simple recommender and return, by name, the function that scores a slice of the queries."""
    fitted: dict[str, Any] = {
        "most popular": MostPopular.fit(train),
        "the user's recent items": RecentItems.fit(train),
        "the user's frequent items": FrequentItems.fit(train),
        "first-order Markov": MarkovItems.fit(train),
        "item-kNN": SessionNeighbours.fit(train),
    }
    if train.timestamp is not None:
        fitted["most popular of 7 days"] = RecentlyPopular.fit(train)
    return {name: _scorer(recommender, histories) for name, recommender in fitted.items()}


def evaluate_recommenders(
    scorers: dict[str, Callable[[slice], Scores]],
    queries: Queries,
    items: tuple[str, ...],
    config: EvaluateConfig,
    truth: Path | None,
) -> dict[str, RecommenderFigures]:
    """Rank the whole catalogue for every query by every recommender.

    truth: the folder of a simulated log's truth, to ask its judge how likely users are to click and to buy.
    """
    targets = queries.target_row - FIRST
    excluded = seen_items(queries, len(items)) if config.remove_seen else None
    if excluded is not None:
        # What has been removed cannot be recommended: a target that the user had before is a miss.
        repeated = np.asarray(excluded[np.arange(len(targets)), targets]).ravel()
        targets = np.where(repeated, -1, targets)
    judge = Judge.load(truth) if truth is not None else None
    figures = {}
    for name, score in with_progress(scorers.items(), "ranking the catalogue", "recommenders", len(scorers)):
        ranking = evaluate_recommender(score, targets, excluded, list_length=max(config.ks))
        values = ranking_values(ranking.ranks, config.ks)
        intervals = clustered_intervals(values, queries.clusters, config.bootstrap_samples, config.seed)
        shown = ranking.lists[:, :10]
        lists = {
            "coverage@10": catalogue_coverage(shown, len(items)),
            "gini@10": gini_of_exposure(shown, len(items)),
        }
        online = simulated_rates(judge, queries, shown, items, config) if judge is not None else {}
        figures[name] = RecommenderFigures(intervals, lists, online)
    return figures


def seen_items(queries: Queries, number_of_items: int) -> sp.csr_matrix:
    """Mark the items of each history: [queries, items]."""
    histories = queries.histories()
    query, position = np.nonzero(histories.known())
    pairs = (query, histories.items[query, position])
    return sp.csr_matrix((np.ones(len(query), bool), pairs), shape=(len(queries), number_of_items))


def simulated_rates(
    judge: Judge, queries: Queries, shown: Ints, items: tuple[str, ...], config: EvaluateConfig
) -> dict[str, Interval]:
    """Ask the simulator's judge about lists [queries, k]: clicks per item shown, purchases per list, both expected."""
    names = np.array([*items, ""], dtype=object)[shown]  # -1, no item, is the last name
    click, buy = judge.click_and_buy(queries.user.tolist(), queries.target_timestamp, names)
    values = {"click-through rate": click.mean(axis=1), "purchases per list": buy.sum(axis=1)}
    return clustered_intervals(values, queries.clusters, config.bootstrap_samples, config.seed)


def _scorer(recommender: Any, histories: Histories) -> Callable[[slice], Scores]:
    return lambda rows: np.asarray(recommender.scores(histories.block(rows)), np.float32)
