"""How good recommenders are at the next item, over the whole catalogue, beside the simple ones that everybody has."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_tf.config import EvaluateConfig
from recsys_tf.cost import Cost, cost_between, read_meters
from recsys_tf.evaluation.bootstrap import Difference, Interval, clustered_intervals, paired_differences
from recsys_tf.evaluation.explained_users import ExplainedUser
from recsys_tf.evaluation.explanations import Faithfulness
from recsys_tf.evaluation.interactions import Histories, Interactions
from recsys_tf.evaluation.last_click import LastClick
from recsys_tf.evaluation.list_metrics import (
    catalogue_coverage,
    category_diversity,
    gini_of_exposure,
    intra_list_diversity,
    novelty,
)
from recsys_tf.evaluation.queries import Ints, Queries, TrainingEvents
from recsys_tf.evaluation.query_lookup import QueryLookup
from recsys_tf.evaluation.ranking_metrics import Ranking, evaluate_recommender, ndcg, ranking_values
from recsys_tf.evaluation.recommender_baselines import FrequentItems, MostPopular, RecentItems, RecentlyPopular
from recsys_tf.evaluation.recommender_neighbours import MarkovItems, SessionNeighbours
from recsys_tf.evaluation.seen_items import targets_and_excluded
from recsys_tf.evaluation.slices import BoolArray, query_slices
from recsys_tf.events.judge import Judge
from recsys_tf.progress import with_progress
from recsys_tf.sequences.catalogue import Catalogue
from recsys_tf.sequences.vocabularies import FIRST

Scores = npt.NDArray[np.float32]

TWO_TOWER = "two-tower"
ALONE = "two-tower, without the mixture"
BLINDED = "two-tower, blind to the words"
TOLD = "two-tower, told the behaviour"
COSINE = "cosine of the classifier"
# Items of a list that is judged as a list, and the cut-off of the comparisons between recommenders.
SHOWN = 10


@dataclass(frozen=True)
class RecommenderFigures:
    """One recommender's row: intervals by metric name, what its lists look like, and what the judge says of them.

    slices: NDCG@10 of each kind of question, group → slice → interval.
    """

    intervals: dict[str, Interval]
    lists: dict[str, float]
    online: dict[str, Interval] = field(default_factory=dict)
    slices: dict[str, dict[str, Interval]] = field(default_factory=dict)


@dataclass(frozen=True)
class RecommenderEvaluation:
    """All rows on the same queries.

    rows: figures by the recommender's name. differences: NDCG@10 of the first name minus that of the second.
    slice_sizes: group → slice → queries. queries, possible, users: how many were asked, of how many, by whom.
    training_seconds: what it took to fit each row that was fitted by itself, where that is known. parameters: numbers
    that each trained model has learnt. answering: what it cost to rank the catalogue for all queries. Of the two-
    tower model, where there is one and they were asked for: faithfulness of its explanations, last_click, and
    explained_users.
    """

    rows: dict[str, RecommenderFigures]
    differences: dict[str, dict[str, Difference]]
    slice_sizes: dict[str, dict[str, int]]
    queries: int
    possible: int
    users: int
    training_seconds: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    answering: dict[str, Cost] = field(default_factory=dict)
    faithfulness: Faithfulness | None = None
    last_click: LastClick | None = None
    explained_users: list[ExplainedUser] = field(default_factory=list)


def beside_name(run: Path) -> str:
    """Name the row of another run's two-tower model."""
    return f"{TWO_TOWER} of {run.name}"


def baseline_scores(
    training: TrainingEvents, queries: Queries, number_of_items: int
) -> tuple[dict[str, Callable[[slice], Scores]], dict[str, float]]:
    """Fit every simple recommender.

    Returns, by name, the function that scores a slice of the queries, and the seconds that the fit took.
    """
    train, histories = training.interactions(number_of_items), queries.histories()
    kinds: dict[str, Any] = {
        "most popular": MostPopular,
        "the user's recent items": RecentItems,
        "the user's frequent items": FrequentItems,
        "first-order Markov": MarkovItems,
        "item-kNN": SessionNeighbours,
    }
    if train.timestamp is not None:
        kinds["most popular of 7 days"] = RecentlyPopular
    scorers, seconds = {}, {}
    for name, kind in kinds.items():
        began = time.perf_counter()
        scorers[name] = _scorer(kind.fit(train), histories)
        seconds[name] = time.perf_counter() - began
    if len(training.searches.row):
        began = time.perf_counter()
        lookup = QueryLookup.fit(train, training.searches)
        scorers["query look-up"] = lambda rows: lookup.scores(queries, rows)
        seconds["query look-up"] = time.perf_counter() - began
    return scorers, seconds


def evaluate_recommenders(
    scorers: Mapping[str, Callable[[slice], Scores]],
    queries: Queries,
    training: TrainingEvents,
    catalogue: Catalogue,
    config: EvaluateConfig,
    truth: Path | None = None,
    vectors: npt.NDArray[np.float32] | None = None,
) -> RecommenderEvaluation:
    """Rank the whole catalogue for every query by every recommender.

    truth: the folder of a simulated log's truth, to ask its judge how likely users are to click and to buy.
    vectors: [items, width] of a model that tells items apart, for the diversity of lists by cosine; without them
    diversity is that of the categories alone.
    """
    train = training.interactions(len(catalogue))
    targets, excluded = targets_and_excluded(queries, len(catalogue), config.remove_seen)
    rankings, answering = {}, {}
    for name, score in with_progress(scorers.items(), "ranking the catalogue", "recommenders", len(scorers)):
        before = read_meters()
        rankings[name] = evaluate_recommender(score, targets, excluded, list_length=SHOWN)
        answering[name] = cost_between(before, read_meters())
    judge = Judge.load(truth) if truth is not None else None
    ranks = {name: ranking.ranks for name, ranking in rankings.items()}
    slices = query_slices(queries, train, training.searches.words)
    by_slice = sliced_ndcg(ranks, slices, queries.clusters, config)
    rows = {
        name: RecommenderFigures(
            _intervals(ranking, queries.clusters, config),
            list_figures(ranking.lists, train, catalogue, vectors),
            simulated_rates(judge, queries, ranking.lists, catalogue.item_ids, config) if judge is not None else {},
            by_slice[name],
        )
        for name, ranking in rankings.items()
    }
    return RecommenderEvaluation(
        rows,
        compare(ranks, queries.clusters, config),
        {group: {name: int(mask.sum()) for name, mask in masks.items()} for group, masks in slices.items()},
        len(queries),
        queries.possible,
        len(np.unique(queries.user)),
        answering=answering,
    )


def compare(ranks: Mapping[str, Ints], clusters: Ints, config: EvaluateConfig) -> dict[str, dict[str, Difference]]:
    """Compare every two recommenders by NDCG@10: first name → second name → difference on the same queries.

    ranks: the target's rank, [queries] int64, by the recommender's name; clusters [queries] int64, the users.
    """
    values = {name: ndcg(one, SHOWN) for name, one in ranks.items()}
    return paired_differences(values, clusters, config.bootstrap_samples, config.seed)


def sliced_ndcg(
    ranks: Mapping[str, Ints], slices: Mapping[str, Mapping[str, BoolArray]], clusters: Ints, config: EvaluateConfig
) -> dict[str, dict[str, dict[str, Interval]]]:
    """Return NDCG@10 by recommender, group and slice; ranks, masks and clusters are [queries]."""
    found: dict[str, dict[str, dict[str, Interval]]] = {name: {group: {} for group in slices} for name in ranks}
    for group, masks in slices.items():
        for one, mask in masks.items():
            values = {name: ndcg(rank[mask], SHOWN) for name, rank in ranks.items()}
            intervals = clustered_intervals(values, clusters[mask], config.bootstrap_samples, config.seed)
            for name, interval in intervals.items():
                found[name][group][one] = interval
    return found


def list_figures(
    lists: Ints, train: Interactions, catalogue: Catalogue, vectors: npt.NDArray[np.float32] | None
) -> dict[str, float]:
    """Say what lists [queries, 10] look like; "diversity@10" is by the cosine of vectors, where these are given."""
    counts = np.bincount(train.item, minlength=train.number_of_items)
    figures = {
        f"coverage@{SHOWN}": catalogue_coverage(lists, len(catalogue)),
        f"gini@{SHOWN}": gini_of_exposure(lists, len(catalogue)),
        f"novelty@{SHOWN}": novelty(lists, counts),
        f"category_diversity@{SHOWN}": category_diversity(lists, catalogue.category[FIRST:].astype(np.int64)),
    }
    if vectors is not None:
        figures[f"diversity@{SHOWN}"] = intra_list_diversity(lists, vectors)
    return figures


def _intervals(ranking: Ranking, clusters: Ints, config: EvaluateConfig) -> dict[str, Interval]:
    values = ranking_values(ranking.ranks, config.ks)
    return clustered_intervals(values, clusters, config.bootstrap_samples, config.seed)


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
