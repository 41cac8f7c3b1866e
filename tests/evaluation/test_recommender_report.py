"""The pages of runs with either model or both, and the pictures and tables about recommenders."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_tf.config import EvaluateConfig, TrainConfig
from recsys_tf.errors import InputError
from recsys_tf.evaluation.bootstrap import Difference, Interval
from recsys_tf.evaluation.evaluate import evaluate_run
from recsys_tf.evaluation.plots import Plot, learning_curves_plot
from recsys_tf.evaluation.queries import read_queries
from recsys_tf.evaluation.recommender_evaluation import (
    ALONE,
    BLINDED,
    COSINE,
    TOLD,
    TWO_TOWER,
    RecommenderEvaluation,
    RecommenderFigures,
    beside_name,
    compare,
)
from recsys_tf.evaluation.recommender_plots import (
    quality_against_parameters_plot,
    quality_against_time_plot,
    slices_plot,
)
from recsys_tf.evaluation.recommender_report import (
    by_strength,
    differences_table,
    is_model,
    recommender_sections,
)
from recsys_tf.training.runs import open_run
from recsys_tf.workflow import train

CONFIG = EvaluateConfig(bootstrap_samples=50)
SIZES = {"question": {"search": 5, "feed": 1200}, "target item": {"known": 3, "new": 2}}
NAMES = (TWO_TOWER, COSINE, "most popular", "first-order Markov", "item-kNN")
HISTORY = {"loss": [3.0, 2.0, 1.5], "val_NDCG@10": [0.1, 0.3, 0.2], "val_HR@10": [0.2, 0.4, 0.5], "seconds": [1.0] * 3}


def interval(mean: float) -> Interval:
    return Interval(mean, mean - 0.01, mean + 0.02)


def row(quality: float, online: bool = False) -> RecommenderFigures:
    names = [f"{metric}@{k}" for metric in ("NDCG", "HR", "MRR") for k in CONFIG.ks]
    lists = {"coverage@10": 0.5, "gini@10": 0.25, "novelty@10": 9.5, "category_diversity@10": 0.75, "diversity@10": 0.4}
    rates = {"click-through rate": interval(0.02), "purchases per list": interval(0.03)}
    slices = {group: {one: interval(quality) for one in sizes} for group, sizes in SIZES.items()}
    return RecommenderFigures({name: interval(quality) for name in names}, lists, rates if online else {}, slices)


def evaluation_of(*names: str, online: bool = False) -> RecommenderEvaluation:
    ranks = {name: np.array([place, 20, place]) for place, name in enumerate(names, 1)}
    rows = {name: row(0.5 - 0.1 * place, online) for place, name in enumerate(names)}
    seconds = {name: 10.0**place for place, name in enumerate(names)}
    return RecommenderEvaluation(rows, compare(ranks, np.arange(3), CONFIG), SIZES, 3, 9, 3, seconds)


def test_the_sections_of_a_run_with_both_models(tmp_path: Path) -> None:
    sections = recommender_sections(evaluation_of(*NAMES, online=True), CONFIG, HISTORY, tmp_path)
    assert [section.title for section in sections] == [
        "The next item",
        "What quality costs",
        "The next item by kind of question",
        "The lists of the next item",
        "Which differences are more than chance",
        "Simulated clicks and purchases",
    ]
    ranking, _, slices, lists, differences, _ = sections
    assert [table.header for table in ranking.tables] == [
        ["", *(f"{metric}@{k}" for k in CONFIG.ks)] for metric in ("NDCG", "HR", "MRR")
    ]
    assert ranking.tables[0].emphasis == [0, 1]
    assert [picture.file for picture in ranking.pictures] == ["ndcg.png", "two_tower_learning_curves.png"]
    assert slices.tables[0].header == ["", "queries", TWO_TOWER, COSINE, "most popular", "first-order Markov"]
    assert [cells[:2] for cells in slices.tables[0].rows] == [
        ["question: search", "5"],
        ["question: feed", "1,200"],
        ["target item: known", "3"],
        ["target item: new", "2"],
    ]
    assert lists.tables[0].header == ["", "coverage", "Gini", "novelty (bits)", "different categories", "diversity"]
    assert len(differences.tables[0].rows) == len(NAMES)
    files = {picture.file for section in sections for picture in section.pictures}
    assert files == {path.name for path in tmp_path.iterdir()}


def test_without_a_two_tower_model_neither_its_text_nor_its_pictures_nor_its_diversity_are_there(
    tmp_path: Path,
) -> None:
    found = evaluation_of(COSINE, "most popular", "item-kNN")
    for figures in found.rows.values():
        del figures.lists["diversity@10"]
    sections = recommender_sections(dataclasses.replace(found, slice_sizes={}), CONFIG, None, tmp_path)
    assert [section.title for section in sections] == [
        "The next item",
        "What quality costs",
        "The lists of the next item",
        "Which differences are more than chance",
    ]
    assert "two-tower" not in sections[0].text
    assert [picture.file for picture in sections[0].pictures] == ["ndcg.png"]
    assert "diversity" not in sections[2].tables[0].header


def test_the_table_of_differences_is_antisymmetric_and_marks_what_is_more_than_chance() -> None:
    def difference(mean: float, p_value: float) -> Difference:
        return Difference(interval(mean), p_value)

    differences = {
        "weak": {"strong": difference(-0.25, 0.002), "even": difference(-0.05, 0.3)},
        "strong": {"weak": difference(0.25, 0.002), "even": difference(0.2, 0.05)},
        "even": {"weak": difference(0.05, 0.3), "strong": difference(-0.2, 0.05)},
    }
    assert by_strength(differences) == ["strong", "even", "weak"]
    table = differences_table(differences, ["even", "not there"])
    assert table.header == ["row minus column", "1", "2", "3"]
    assert table.rows == [
        ["1  strong", "–", "+0.200", "+0.250*"],
        ["2  even", "-0.200", "–", "+0.050"],
        ["3  weak", "-0.250*", "-0.050", "–"],
    ]
    assert table.emphasis == [1]


def sliced() -> Plot:
    return slices_plot({name: row(0.1 * i).slices for i, name in enumerate(NAMES[:4], 1)}, SIZES, "NDCG@10")


def timed() -> Plot:
    points = {"lstm": (90.0, 0.125), "gru": (95.0, 0.126), "bert": (95.0, 0.126), "popular": (0.3, 0.05)}
    return quality_against_time_plot({name: (cost, interval(mean)) for name, (cost, mean) in points.items()})


def sized() -> Plot:
    return quality_against_parameters_plot({"small": (120_000, interval(0.1)), "large": (3e6, interval(0.2))})


@pytest.mark.parametrize("draw", [sliced, timed, sized], ids=lambda draw: draw.__name__)
def test_a_plot_has_a_caption_and_is_the_same_png_every_time(draw: Callable[[], Plot], tmp_path: Path) -> None:
    plots = [draw(), draw()]
    for number, plot in enumerate(plots):
        assert plot.caption.endswith(".")
        plot.save(tmp_path / f"{number}.png")
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()


def test_the_slices_plot_has_a_panel_per_group_and_a_dot_per_recommender() -> None:
    panels = sliced().figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == list(SIZES)
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["search  (5)", "feed  (1,200)"]
    containers: list[Any] = panels[0].containers
    dots = {container.get_label(): container.lines[0].get_xdata().tolist() for container in containers}
    assert dots == {name: pytest.approx([0.1 * i, 0.1 * i]) for i, name in enumerate(NAMES[:4], 1)}


@pytest.mark.parametrize("draw", [timed, sized], ids=lambda draw: draw.__name__)
def test_every_point_of_a_quality_plot_has_one_name_and_no_name_hides_another(draw: Callable[[], Plot]) -> None:
    figure = draw().figure
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    names = [text.get_text() for text in axes.texts]
    assert sorted(names) == sorted(set(names))
    dots: Any = axes.containers[0]
    assert len(names) == len(dots.lines[0].get_xdata())
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_learning_curves_of_a_two_tower_model_show_what_was_measured() -> None:
    plot = learning_curves_plot(HISTORY, "val_NDCG@10", "Learning curves of the two-tower model")
    assert [axes.get_ylabel() for axes in plot.figure.axes] == ["loss (nats)", "NDCG@10", "HR@10"]
    assert "epoch 2, the best by val_NDCG@10" in plot.caption


def titles(page: Path) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page.read_text(encoding="utf-8"))


NEXT_ITEM = [
    "The next item",
    "What quality costs",
    "The next item by kind of question",
    "The lists of the next item",
    "Which differences are more than chance",
]
TWO_TOWER_ONLY = ["What the last click is worth", "Why these items: five users"]
COST = "What it cost"


def test_the_page_of_a_classifier_and_settings_that_measure_nothing(tiny: TrainConfig) -> None:
    config = dataclasses.replace(tiny, model="classifier")
    directory = train(config)
    evaluation = evaluate_run(open_run(directory), config.evaluate, directory)
    assert evaluation.classifier is not None
    assert TWO_TOWER not in evaluation.recommenders
    assert COSINE in evaluation.recommenders
    assert titles(evaluation.page) == ["The class of the next event", *NEXT_ITEM, COST]
    assert (directory / "learning_curves.png").is_file()
    assert not (directory / "two_tower_learning_curves.png").exists()
    wrong: list[dict[str, Any]] = [{"bootstrap_samples": 0}, {"ks": ()}, {"ks": (0, 5)}]
    for settings in wrong:
        with pytest.raises(InputError, match="at least 1"):
            evaluate_run(open_run(directory), dataclasses.replace(config.evaluate, **settings), directory)


def test_the_page_of_a_two_tower_model(tiny: TrainConfig) -> None:
    config = dataclasses.replace(tiny, model="two_tower")
    directory = train(config)
    online = dataclasses.replace(config.evaluate, online=True)
    evaluation = evaluate_run(open_run(directory), online, directory)
    assert evaluation.classifier is None
    assert TWO_TOWER in evaluation.recommenders
    assert COSINE not in evaluation.recommenders
    assert {TOLD, BLINDED} < set(evaluation.recommenders)
    assert "diversity@10" in evaluation.recommenders[TWO_TOWER].lists
    assert evaluation.queries == min(200, evaluation.possible)
    assert titles(evaluation.page) == [*NEXT_ITEM, *TWO_TOWER_ONLY, "Simulated clicks and purchases", COST]
    page = evaluation.page.read_text(encoding="utf-8")
    assert "two-tower model" in page
    assert "classifier" not in page
    assert (directory / "two_tower_learning_curves.png").is_file()


def test_the_page_of_both_and_its_json(tiny: TrainConfig) -> None:
    config = dataclasses.replace(tiny, model="all")
    directory = train(config)
    evaluation = evaluate_run(open_run(directory), config.evaluate, directory)
    assert evaluation.classifier is not None
    assert {TWO_TOWER, COSINE} < set(evaluation.recommenders)
    assert titles(evaluation.page) == ["The class of the next event", *NEXT_ITEM, *TWO_TOWER_ONLY, COST]
    numbers = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    assert numbers["models"] == ["classifier", "two_tower"]
    assert {model: len(history["cpu_seconds"]) for model, history in numbers["run"]["history"].items()} == {
        "classifier": 1,
        "two_tower": 1,
    }
    assert numbers["last_click"]["questions"] == min(config.evaluate.last_click, evaluation.queries)
    assert {"0", "1", "3"} <= numbers["last_click"]["by_number"].keys()
    assert set(numbers["last_click"]["by_age"]) == {"1 minute", "1 hour", "1 day"}
    users = set(read_queries(open_run(directory).data, "next_item", 1, config.evaluate).user)
    assert users
    assert not [user for user in users if user in evaluation.page.read_text(encoding="utf-8")]
    differences = numbers["differences_in_ndcg@10"]
    for first, others in differences.items():
        assert set(others) == set(evaluation.recommenders) - {first}
        for second, difference in others.items():
            assert difference["interval"]["mean"] == -differences[second][first]["interval"]["mean"]
            assert difference["p_value"] == differences[second][first]["p_value"]
    assert numbers["recommenders"][TWO_TOWER]["slices"].keys() == numbers["slice_sizes"].keys()


def test_what_the_mixture_adds_is_a_row_of_its_own(tiny: TrainConfig) -> None:
    given = dataclasses.replace(tiny.two_tower, mixture_weights=(0.1, 0.9, 0.0, 0.0, 0.0, 0.0))
    config = dataclasses.replace(tiny, model="two_tower", two_tower=given)
    directory = train(config)
    mixed = evaluate_run(open_run(directory), config.evaluate, directory).recommenders
    (directory / "two_tower" / "mixture.npz").unlink()
    plain = evaluate_run(open_run(directory), config.evaluate, directory).recommenders
    assert mixed[ALONE].intervals == plain[TWO_TOWER].intervals
    assert mixed[ALONE].intervals != mixed[TWO_TOWER].intervals
    assert ALONE not in plain


def test_models_of_different_sizes_are_drawn_by_size(tiny: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny, model="two_tower")
    directory = train(config)
    wider = dataclasses.replace(config.two_tower, width=2 * config.two_tower.width)
    other = train(dataclasses.replace(config, two_tower=wider, run=str(tmp_path / "wider")))
    alone = evaluate_run(open_run(directory), config.evaluate, directory)
    assert not (directory / "quality_against_parameters.png").exists()
    both = dataclasses.replace(config.evaluate, beside=(other,))
    evaluation = evaluate_run(open_run(directory), both, directory)
    assert (directory / "quality_against_parameters.png").is_file()
    assert evaluation.parameters[beside_name(other)] > evaluation.parameters[TWO_TOWER] == alone.parameters[TWO_TOWER]
    assert evaluation.training_seconds[beside_name(other)] > 0


def test_another_run_can_stand_beside(tiny: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny, model="two_tower")
    directory = train(config)
    same = tmp_path / "again"
    shutil.copytree(directory, same)
    beside = dataclasses.replace(config.evaluate, beside=(same,))
    evaluation = evaluate_run(open_run(directory), beside, directory)
    name = beside_name(same)
    assert is_model(name)
    assert not is_model("most popular")
    assert evaluation.recommenders[name].intervals == evaluation.recommenders[TWO_TOWER].intervals
    assert evaluation.differences[name][TWO_TOWER].interval.mean == 0
    facts = json.loads((same / "prepared" / "dataset.json").read_text(encoding="utf-8"))
    facts["sha256"] = {}
    (same / "prepared" / "dataset.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(InputError, match="prepared otherwise"):
        evaluate_run(open_run(directory), beside, directory)
