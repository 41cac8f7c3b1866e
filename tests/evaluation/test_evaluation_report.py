"""The report's page, its JSON and its pictures."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from recsys_tf.evaluation.bootstrap import Interval
from recsys_tf.evaluation.classification_metrics import confusion, reliability
from recsys_tf.evaluation.plots import (
    Plot,
    comparison_plot,
    confusion_plot,
    learning_curves_plot,
    reliability_plot,
)
from recsys_tf.page import Picture, Report, Section, Table, plain, write_report

NAN = float("nan")


class Page(HTMLParser):
    """What a browser would show: the text of every element, by its tag, and the files of its pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors.update([values["id"]] if "id" in values else [])
        if tag == "img":
            self.pictures.append(values["src"])
        self.links += [values[name] for name in ("href", "src") if name in values]
        key = f"tr.{values['class']}" if tag == "tr" and "class" in values else tag
        if tag not in {"img", "meta"}:
            self.open.append((tag, key))
            self.texts.setdefault(key, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, key in self.open:
            self.texts[key][-1] += data


REPORT = Report(
    title="clothes & shoes <run 3>",
    facts={"users": "1,204", "split": "by <time>"},
    sections=[
        Section(
            "Accuracy",
            "The text says 5 < 6 & more.",
            tables=[
                Table(
                    ["model", "accuracy"], [["rule <b>", "0.1 & up"], ["LSTM", "0.612"]], "Table <one>", emphasis=[1]
                ),
                Table(["", "NDCG@10"], [["most popular", "0.034"]], "Second caption"),
            ],
            pictures=[Picture("a picture #1.png", 'What to "see" & where')],
        ),
        Section("Items"),
        Section("Costs", "Seconds."),
    ],
    numbers={"accuracy": 0.5},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a picture #1.png").write_bytes(b"png")
    return tmp_path


def test_the_page_holds_every_cell_caption_fact_and_paragraph_as_it_was_given(folder: Path) -> None:
    path = write_report(folder, REPORT)
    assert path == folder / "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert page.texts["h1"] == page.texts["title"] == [REPORT.title]
    assert page.texts["th"] == ["model", "accuracy", "rule <b>", "LSTM", "", "NDCG@10", "most popular"]
    assert page.texts["td"] == ["0.1 & up", "0.612", "0.034"]
    assert page.texts["caption"] == ["Table <one>", "Second caption"]
    assert page.texts["figcaption"] == ['What to "see" & where']
    assert dict(zip(page.texts["dt"], page.texts["dd"], strict=True)) == REPORT.facts
    assert page.texts["h2"] == ["Accuracy", "Items", "Costs"]
    assert page.texts["p"] == ["The text says 5 < 6 & more.", "Seconds."]
    assert [text.split() for text in page.texts["tr.emphasis"]] == [["LSTM0.612"]]


def test_pictures_and_contents_point_at_what_is_there_and_nothing_comes_from_the_network(folder: Path) -> None:
    text = write_report(folder, REPORT).read_text(encoding="utf-8")
    page = Page(text)
    assert [unquote(file) for file in page.pictures] == ["a picture #1.png"]
    assert [link.removeprefix("#") for link in page.links if link.startswith("#")] == [
        f"section-{number}" for number in (1, 2, 3)
    ]
    assert all(link.removeprefix("#") in page.anchors for link in page.links if link.startswith("#"))
    assert "//" not in text


def test_the_json_holds_the_raw_figures(folder: Path) -> None:
    numbers: dict[Any, Any] = {
        "interval": Interval(0.5, NAN, float("inf")),
        "array": np.array([[1, 2], [3, 4]]),
        "one": np.float32(0.5),
        "count": np.int64(7),
        "flag": np.bool_(True),
        "path": Path("runs/one"),
        "名": ("中文", None, True, 1),
        3: [],
    }
    report = Report("t", {}, [], numbers)
    write_report(folder, report, name="figures")
    text = (folder / "figures.json").read_text(encoding="utf-8")
    assert json.loads(text) == {
        "interval": {"mean": 0.5, "low": None, "high": None},
        "array": [[1, 2], [3, 4]],
        "one": 0.5,
        "count": 7,
        "flag": True,
        "path": "runs/one",
        "名": ["中文", None, True, 1],
        "3": [],
    }
    assert "中文" in text
    assert plain(json.loads(text)) == json.loads(text)


def test_a_table_of_prose_keeps_its_lines_and_a_table_without_a_caption_has_none(folder: Path) -> None:
    prose = Table(["item", "because"], [["lamp", "60 %: this\n40 %: that"]], "", prose=True)
    numbers = Table(["item", "score"], [["lamp", "1"]], "A caption")
    text = write_report(folder, Report("t", {}, [Section("s", tables=[prose, numbers])])).read_text(encoding="utf-8")
    assert text.count("<table") == 2
    assert text.count('<table class="prose">') == text.count("<caption>") == 1
    assert "<td>60 %: this\n40 %: that</td>" in text


def test_a_value_without_a_place_in_json_is_named(folder: Path) -> None:
    with pytest.raises(TypeError, match="set has no place in JSON"):
        write_report(folder, Report("t", {}, [], {"x": {1, 2}}))
    with pytest.raises(TypeError, match="type has no place in JSON"):
        plain(Interval)
    assert not list(folder.glob("report*"))


@pytest.mark.parametrize("row", [["one"], ["one", "2", "3"], []])
def test_a_row_of_another_length_than_its_header_is_refused(folder: Path, row: list[str]) -> None:
    table = Table(["", "accuracy"], [["fine", "1"], row], "the table's name")
    with pytest.raises(ValueError, match="the table's name"):
        write_report(folder, Report("t", {}, [Section("s", tables=[table])]))
    assert not list(folder.glob("report*"))


def test_a_picture_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"missing\.png"):
        write_report(folder, Report("t", {}, [Section("s", pictures=[Picture("missing.png", "c")])]))
    assert not list(folder.glob("report*"))


def test_a_second_report_replaces_the_first_and_leaves_nothing_else(folder: Path) -> None:
    first = write_report(folder, REPORT).read_bytes()
    assert write_report(folder, REPORT).read_bytes() == first
    write_report(folder, Report("another", {}, []))
    assert "another" in (folder / "report.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in folder.iterdir()) == ["a picture #1.png", "report.html", "report.json"]


@dataclass(frozen=True)
class Nested:
    inner: tuple[Interval, ...]


def test_nested_dataclasses_become_nested_objects() -> None:
    assert plain(Nested((Interval(1.0, 0.5, 1.5),))) == {"inner": [{"mean": 1.0, "low": 0.5, "high": 1.5}]}


def test_intervals_are_written_with_their_ends_where_these_are_known() -> None:
    assert Interval(0.51234, 0.4, 0.6).text() == "0.512 [0.400, 0.600]"
    assert Interval(0.51234, 0.4, 0.6).text(digits=1) == "0.5 [0.4, 0.6]"
    assert Interval(0.51234, NAN, NAN).text() == "0.512"


def confusion_of_three() -> Plot:
    truth, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 0])
    return confusion_plot(confusion(truth, predicted, 2), ["shoes", "hats"])


def curves() -> Plot:
    history = {"loss": [2.0, 1.0, 0.5], "val_loss": [2.0, 1.5, 1.8], "accuracy": [0.1, 0.2, 0.3]}
    return learning_curves_plot(history)


def comparison() -> Plot:
    intervals = {
        "LSTM": Interval(0.6, 0.55, 0.65),
        "majority": Interval(0.2, NAN, NAN),
        "last": Interval(0.4, 0.3, 0.5),
    }
    return comparison_plot(intervals, "accuracy", ["LSTM"], Interval(0.8, 0.78, 0.82))


def calibration() -> Plot:
    return reliability_plot(reliability(np.array([0.2, 0.6, 0.95]), np.array([0.0, 1.0, 1.0])))


@pytest.mark.parametrize("draw", [confusion_of_three, curves, comparison, calibration], ids=lambda draw: draw.__name__)
def test_a_plot_has_a_caption_and_is_the_same_png_every_time(draw: Callable[[], Plot], tmp_path: Path) -> None:
    plots = [draw(), draw()]
    for number, plot in enumerate(plots):
        assert plot.caption.endswith(".")
        plot.save(tmp_path / f"{number}.png")
    first, second = ((tmp_path / f"{number}.png").read_bytes() for number in (0, 1))
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    assert first == second


def test_the_confusion_plot_shows_each_row_in_percent_of_its_class() -> None:
    axes = confusion_of_three().figure.axes[0]
    # True 0: two thirds right; true 1: half right, half elsewhere; the rest all went to 0.
    shown = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "67", (0, 1): "33", (1, 1): "50", (1, 2): "50", (2, 0): "100"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["shoes  (3)", "hats  (2)", "other  (1)"]


@pytest.mark.parametrize(("monitor", "best"), [("val_loss", 2), ("val_accuracy", 3)])
def test_the_best_epoch_is_the_lowest_loss_or_the_highest_accuracy(monitor: str, best: int) -> None:
    history = {"loss": [3.0, 2.0, 1.0, 0.5], "val_loss": [3.0, 1.0, 2.0, 2.5], "val_accuracy": [0.1, 0.2, 0.4, 0.3]}
    plot = learning_curves_plot(history, monitor)
    assert f"epoch {best}, the best by {monitor}" in plot.caption
    assert f"best epoch: {best}" in plot.figure.axes[0].get_legend_handles_labels()[1]


def bars(plot: Plot) -> tuple[list[str], list[float]]:
    axes = plot.figure.axes[0]
    widths: list[Any] = [bar.get_width() for bar in axes.containers[0]]
    return [label.get_text() for label in axes.get_yticklabels()], [float(width) for width in widths]


def test_the_comparison_is_ordered_and_names_the_ceiling() -> None:
    plot = comparison()
    assert bars(plot) == (["majority", "last", "LSTM"], [0.2, 0.4, 0.6])
    texts = [text.get_text() for text in plot.figure.axes[0].texts]
    assert texts == ["0.200", "0.400", "0.600", "ceiling 0.800"]
    bold = [label.get_fontweight() == "bold" for label in plot.figure.axes[0].get_yticklabels()]
    assert bold == [False, False, True]
    without = comparison_plot({"a": Interval(0.0, 0.0, 0.0)}, "HR@10")
    assert "dashed line" not in without.caption


def test_the_reliability_plot_leaves_empty_bins_out_and_counts_every_answer() -> None:
    upper, lower = calibration().figure.axes
    points = upper.lines[1].get_xydata()
    assert np.asarray(points).tolist() == [pytest.approx(xy) for xy in ([0.2, 0.0], [0.6, 1.0], [0.95, 1.0])]
    heights: list[Any] = [bar.get_height() for bar in lower.containers[0]]
    assert sum(heights) == 3.0
