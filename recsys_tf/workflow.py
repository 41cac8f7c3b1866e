"""What each verb does, step by step: the rooms in their order, with a line on screen for every step."""

import dataclasses
import time
from pathlib import Path

from recsys_tf.config import EvaluateConfig, ExportConfig, TrainConfig
from recsys_tf.config_json import to_json
from recsys_tf.errors import InputError
from recsys_tf.evaluation.classifier_evaluation import ClassifierFigures
from recsys_tf.evaluation.evaluate import Evaluation, evaluate_run
from recsys_tf.evaluation.recommender_evaluation import TWO_TOWER, RecommenderFigures
from recsys_tf.events.importers import import_log
from recsys_tf.events.pseudonyms import keep_key_apart
from recsys_tf.events.report import write_clean_log
from recsys_tf.events.tables import read_clean_log
from recsys_tf.importing import print_account
from recsys_tf.page import plain
from recsys_tf.progress import format_seconds
from recsys_tf.publishing import check_replaceable, published_directory
from recsys_tf.results.files import publish_result
from recsys_tf.sequences.dataset import open_prepared
from recsys_tf.sequences.prepare import PrepareSettings, prepare
from recsys_tf.serving.export import export_models, roll_back_run
from recsys_tf.serving.recommend import recommend
from recsys_tf.training.fit import fit_classifier
from recsys_tf.training.fit_two_tower import fit_two_tower
from recsys_tf.training.runs import Fitted, Run, chosen_run, model_names, open_run, run_directory, write_run

RAW_LOG, RAW_ITEMS = "user_behavior_data.csv", "items.csv"
_PREPARED_ENTRIES = ("clean", "prepared")
_RUN_ENTRIES = (
    *_PREPARED_ENTRIES,
    *("config.json", "run.json", "report.html", "report.json"),
    *("classifier", "two_tower", "heads", "attack"),
)


def prepare_data(config: TrainConfig, output: Path) -> None:
    """Clean what is raw, then split, fit and write shards (`run.py prepare`)."""
    if _is_prepared(config.data):
        raise InputError("this is prepared already", file=config.data)
    keep_key_apart(config.cleaning.user_key_file, [output])
    check_replaceable(output, _PREPARED_ENTRIES)
    with published_directory(output) as directory:
        _prepared(config, directory)
    print(f"written to {output}")
    print(f"next: python run.py train --data {output}")


def train(config: TrainConfig) -> Path:
    """Go from a raw log to an exported model (`run.py train`); return the run's folder."""
    started = time.monotonic()
    target = run_directory(config)
    keep_key_apart(config.cleaning.user_key_file, [target, config.export.output])
    check_replaceable(target, _RUN_ENTRIES)
    with published_directory(target) as directory:
        prepared = _prepared(config, directory)
        fitted = {name: _fit(name, config, prepared, directory) for name in model_names(config.model)}
        write_run(directory, config, prepared, fitted)
        print("evaluating on the test side")
        evaluation = evaluate_run(open_run(directory), config.evaluate, directory)
    served = _export(open_run(target), config.export)
    print(f"report: {target}/report.html  ({format_seconds(time.monotonic() - started)} in all)")
    _print_figures(evaluation)
    print(f"next: python run.py serve --model {served}")
    return target


def _fit(name: str, config: TrainConfig, prepared: Path, directory: Path) -> Fitted:
    data = open_prepared(prepared)
    (directory / name).mkdir()
    if name == "classifier":
        print(f"training the classifier ({config.classifier.inputs} → {config.classifier.target})")
        model, history = fit_classifier(data, config.classifier, config.fit, directory / name)
        return Fitted(history, model.count_params())
    print(f"training the two-tower model ({config.two_tower.encoder}, {config.two_tower.loss} loss)")
    retrieval, history = fit_two_tower(data, config.two_tower, config.two_tower_fit, config.evaluate, directory / name)
    return Fitted(history, sum(int(weight.shape.num_elements()) for weight in retrieval.model.trainable_variables))


def _export(run: Run, config: ExportConfig) -> str:
    """Export every model of the run; return how to name them all to `run.py serve`."""
    exported = export_models(run, config)
    for folder in exported:
        print(f"exported to {folder}")
    return " ".join(f"{folder.parent.name}={folder.parent}" for folder in exported)


def evaluate(run: str, config: EvaluateConfig, publish: str) -> None:
    """Measure a finished run again (`run.py evaluate`)."""
    opened = open_run(chosen_run(run))
    evaluation = evaluate_run(opened, config, opened.directory)
    _print_comparison(evaluation)
    if publish:
        print(f"published as {publish_result(publish, _result(opened, evaluation, config))}")
    print(f"report: {evaluation.page}")
    _print_figures(evaluation)


def export(run: str, config: ExportConfig) -> None:
    """Publish a finished run (`run.py export`)."""
    opened = open_run(chosen_run(run))
    if not config.rollback:
        print(f"next: python run.py serve --model {_export(opened, config)}")
        return
    print("\n".join(roll_back_run(opened, config.output)))


def print_recommendation(model: Path, items: list[str], behaviors: list[str], k: int, server: str) -> None:
    """Answer for one history (`run.py recommend`)."""
    answer = recommend(model, items, behaviors, k, server)
    if answer.classes:
        print("the next event, most likely first:")
        for label, probability in answer.classes:
            print(f"  {probability:6.1%}  {label}")
        print("items most similar to this history (cosine):")
    else:
        print("items to show, best first:")
    for item_id, title, score in answer.items:
        print(f"  {score:6.3f}  {item_id}  {title}")


def _prepared(config: TrainConfig, directory: Path) -> Path:
    """Return the folder of a prepared data set, made in `directory` from whatever config.data holds."""
    imported = (config.data / "events.parquet").is_file()
    if config.cleaning.user_key_file is not None and (imported or _is_prepared(config.data)):
        # Ids that were written without a key would stay as they are, and look as if they were protected.
        raise InputError("--user-key-file is for a raw log; give it to the import of this folder", file=config.data)
    if _is_prepared(config.data):
        return (config.data / "prepared").resolve()
    clean = config.data
    if not imported:
        if not (config.data / RAW_LOG).is_file():
            raise InputError(
                f"neither a raw log ({RAW_LOG}), nor a folder of `run.py import`, nor of `run.py prepare`",
                file=config.data,
            )
        clean = directory / "clean"
        files = [path for path in (config.data / RAW_LOG, config.data / RAW_ITEMS) if path.is_file()]
        print(f"cleaning {config.data / RAW_LOG}")
        log = import_log("generic", files, columns={}, behaviors={}, config=config.cleaning)
        clean.mkdir()
        write_clean_log(log, clean)
        print_account(log)
    events, items = read_clean_log(clean)
    print("preparing sequences")
    settings = PrepareSettings(config.split, config.filters, config.features)
    facts = prepare(events, items, settings, directory / "prepared")
    counts, left_out = facts["counts"], facts["left_out"]
    held_out = f", {left_out['held_out_users']:,} users held out" if left_out["held_out_users"] else ""
    print(
        f"  {counts['training_events']:,} training, {counts['validation_events']:,} validation and "
        f"{counts['test_events']:,} test events of {counts['users']:,} users; "
        f"{left_out['bot_like_users']:,} bot-like users left out{held_out} ({facts['split']['method']} split)"
    )
    return directory / "prepared"


def _is_prepared(data: Path) -> bool:
    return (data / "prepared" / "dataset.json").is_file()


def _print_comparison(evaluation: Evaluation) -> None:
    print(f"{evaluation.queries:,} of {evaluation.possible:,} test events of {evaluation.users:,} users")
    if evaluation.classifier is not None:
        _print_classes(evaluation.classifier)
    _print_recommenders(evaluation.recommenders)


def _print_classes(figures: ClassifierFigures) -> None:
    rows = figures.rows
    columns = ["accuracy", "top5_accuracy", "weighted_recall", "macro_recall", "macro_f1", "weighted_f1"]
    print(f"{'':<28}" + "".join(f"{column.replace('_', ' '):>23}" for column in columns))
    for name in sorted(rows, key=lambda name: -rows[name]["accuracy"].mean):
        cells = [rows[name][column].text() if column in rows[name] else "–" for column in columns]
        print(f"{name:<28}" + "".join(f"{cell:>23}" for cell in cells))
    share = figures.share_of_the_way
    if share is not None:
        print(f"{share:.0%} of the way from the best simple rule ({figures.best_rule}) to the ceiling")


def _print_recommenders(recommenders: dict[str, RecommenderFigures]) -> None:
    if recommenders:
        metrics = list(next(iter(recommenders.values())).intervals)
        chosen = [metric for metric in ("NDCG@10", "HR@10", "MRR@10") if metric in metrics] or metrics[:3]
        print(f"{'':<28}" + "".join(f"{metric:>23}" for metric in chosen))
        for name in sorted(recommenders, key=lambda name: -recommenders[name].intervals[chosen[0]].mean):
            cells = [recommenders[name].intervals[metric].text() for metric in chosen]
            print(f"{name:<28}" + "".join(f"{cell:>23}" for cell in cells))


def _print_figures(evaluation: Evaluation) -> None:
    found = evaluation.recommenders.get(TWO_TOWER)
    if found is not None:
        shown = [name for name in ("NDCG@10", "HR@10") if name in found.intervals]
        print("two-tower: " + ", ".join(f"{name} {found.intervals[name].text()}" for name in shown))
    if evaluation.classifier is not None:
        print(f"Accuracy: {evaluation.classifier.plain['accuracy']:.4f}")
        print(f"Recall: {evaluation.classifier.plain['macro_recall']:.4f}")


def _result(run: Run, evaluation: Evaluation, config: EvaluateConfig) -> dict[str, object]:
    """What a published result file holds besides the environment: settings, counts, figures."""
    history = run.facts["history"]
    return {
        "configuration": to_json(run.config),
        "evaluation": to_json(config),
        "seeds": run.facts["seeds"],
        "data": {key: run.data.facts[key] for key in ("counts", "left_out", "split")},
        "trained_with": {key: run.facts[key] for key in ("command", "commit", "finished", "machine", "packages")},
        "training_seconds": {name: round(sum(history[name]["seconds"]), 1) for name in run.models},
        "epochs": run.facts["epochs"],
        "parameters": run.facts["parameters"],
        "queries": {"scored": evaluation.queries, "possible": evaluation.possible, "users": evaluation.users},
        **_class_figures(evaluation.classifier),
        "slice_sizes": evaluation.slice_sizes,
        "recommenders": plain({name: dataclasses.asdict(row) for name, row in evaluation.recommenders.items()}),
        "seconds_of_recommenders": {name: round(one, 2) for name, one in evaluation.training_seconds.items()},
        "parameters_of_recommenders": evaluation.parameters,
        "faithfulness": plain(evaluation.faithfulness),
        "last_click": plain(evaluation.last_click),
        "differences_in_ndcg@10": plain(evaluation.differences.get(TWO_TOWER, {})),
    }


def _class_figures(figures: ClassifierFigures | None) -> dict[str, object]:
    if figures is None:
        return {}
    return {
        "classifier": plain(figures.rows),
        "best_rule": figures.best_rule,
        "gain_over_best_rule": plain(figures.gain),
        "share_of_the_way": figures.share_of_the_way,
    }
