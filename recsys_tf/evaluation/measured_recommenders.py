"""Measure a run's recommenders: its models, those of runs beside it, and the simple rules, on the same questions."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from recsys_tf.config import EvaluateConfig
from recsys_tf.errors import InputError
from recsys_tf.evaluation.explained_users import explained_users
from recsys_tf.evaluation.explanations import faithfulness
from recsys_tf.evaluation.last_click import Scorer, last_click
from recsys_tf.evaluation.queries import Queries, TrainingEvents, read_queries
from recsys_tf.evaluation.recommender_evaluation import (
    ALONE,
    BLINDED,
    COSINE,
    TOLD,
    TWO_TOWER,
    RecommenderEvaluation,
    Scores,
    baseline_scores,
    beside_name,
    evaluate_recommenders,
)
from recsys_tf.evaluation.two_tower_scores import TwoTowerScores
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.training.runs import Run, load_two_tower, open_run

# The model that stands behind a row.
_TRAINED = {TWO_TOWER: "two_tower", COSINE: "classifier"}


def measure_recommenders(
    run: Run, cosine: Scorer | None, training: TrainingEvents, config: EvaluateConfig
) -> RecommenderEvaluation | None:
    """Ask everything that can recommend; cosine: the classifier, where there is one. None where nothing can be asked.

    Raises InputError for a run beside it that cannot be compared.
    """
    queries = read_queries(run.data, "next_item", 1, config, earlier=config.remove_seen)
    catalogue = run.data.space.catalogue
    if len(queries) == 0 or not (training.row >= FIRST).any():
        return None
    beside = {beside_name(other): _run_beside(run, other) for other in config.beside}
    answers = TwoTowerScores(load_two_tower(run)) if "two_tower" in run.models else None
    scorers = _two_tower_scorers(answers, queries, run.data.space) if answers is not None else {}
    scorers |= {name: TwoTowerScores(load_two_tower(other)).scorer(queries) for name, other in beside.items()}
    if cosine is not None:
        scorers[COSINE] = cosine(queries)
    baselines, seconds = baseline_scores(training, queries, len(catalogue))
    truth = run.config.data / "truth" if config.online else None
    vectors = answers.retrieval.model.candidates(answers.table).numpy() if answers is not None else None
    found = evaluate_recommenders(scorers | baselines, queries, training, catalogue, config, truth, vectors)
    models = {name: (run, model) for name, model in _TRAINED.items() if model in run.models}
    models |= {name: (other, "two_tower") for name, other in beside.items()}
    trained = {name: sum(one.facts["history"][model]["seconds"]) for name, (one, model) in models.items()}
    parameters = {name: int(one.facts["parameters"][model]) for name, (one, model) in models.items()}
    found = dataclasses.replace(found, training_seconds=seconds | trained, parameters=parameters)
    if answers is None:
        return found
    return dataclasses.replace(
        found,
        faithfulness=faithfulness(answers.retrieval, answers.table, queries, config) if config.explained else None,
        last_click=last_click(answers.scorer, queries, len(catalogue), config),
        explained_users=explained_users(answers, queries, run.data.space, config),
    )


def _two_tower_scorers(
    answers: TwoTowerScores, queries: Queries, space: FeatureSpace
) -> dict[str, Callable[[slice], Scores]]:
    """Return the scorers of the run's own two-tower model, as it is and with something taken from it or told it."""
    scorers = {TWO_TOWER: answers.scorer(queries)}
    if answers.retrieval.mixture is not None:
        towers = Retrieval(answers.retrieval.model, space)
        scorers[ALONE] = TwoTowerScores(towers).scorer(queries)
    if queries.ids["words"].any():
        scorers[BLINDED] = answers.scorer(queries.blinded())
    if len(set(queries.target_behavior.tolist())) > 1:
        scorers[TOLD] = answers.scorer(queries, told=True)
    return scorers


def _run_beside(run: Run, other: Path) -> Run:
    beside = open_run(other)
    if "two_tower" not in beside.models:
        raise InputError("there is no two-tower model in this run", file=other)
    # The hashes are those of vocabularies, catalogue and shards: the same ids, the same questions.
    if beside.data.facts["sha256"] != run.data.facts["sha256"]:
        raise InputError("this run was trained on other data, or prepared otherwise", file=other)
    return beside
