"""The page's sections about the next item: figures, kinds of questions, lists, differences, simulated clicks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recsys_tf.config import EvaluateConfig
from recsys_tf.evaluation.bootstrap import Difference
from recsys_tf.evaluation.explained_users_report import explained_users_section
from recsys_tf.evaluation.explanations import Faithfulness
from recsys_tf.evaluation.last_click_report import last_click_section
from recsys_tf.evaluation.plots import comparison_plot, learning_curves_plot, save_plots
from recsys_tf.evaluation.recommender_evaluation import (
    ALONE,
    BLINDED,
    COSINE,
    SHOWN,
    TOLD,
    TWO_TOWER,
    RecommenderEvaluation,
    RecommenderFigures,
)
from recsys_tf.evaluation.recommender_plots import (
    quality_against_parameters_plot,
    quality_against_time_plot,
    slices_plot,
)
from recsys_tf.page import Section, Table
from recsys_tf.training.fit import History

_ABOUT = {
    TWO_TOWER: "The two-tower model ranks items by the product of the user's vector, made from the history, and the "
    "item's; it was trained to tell the next item from others.",
    ALONE: "Without the mixture, the towers answer alone: what counting adds is the difference.",
    BLINDED: "Blind to the words, the same model is given searches without any: what it knows without reading.",
    TOLD: "Told the behaviour, the same model is asked for an item to view, to buy, whatever the user did next: what a "
    "page gains that wants one of them.",
    COSINE: "The article's recommender ranks items by the cosine between the user's representation (the layer before "
    "the softmax) and the item's, encoded as a single view by the same encoder. It was trained to tell "
    "categories apart, not items: compare it with the simple rules before putting it to use.",
}
# Seconds; what is faster is drawn here, since a logarithm knows no zero.
_SHORTEST = 0.01
_LISTS = {
    f"coverage@{SHOWN}": "coverage",
    f"gini@{SHOWN}": "Gini",
    f"novelty@{SHOWN}": "novelty (bits)",
    f"category_diversity@{SHOWN}": "different categories",
    f"diversity@{SHOWN}": "diversity",
}


def recommender_sections(
    evaluation: RecommenderEvaluation, config: EvaluateConfig, history: History | None, directory: Path
) -> list[Section]:
    """Lay out all recommenders and draw their pictures into the directory; history: the two-tower model's, if any."""
    rows = evaluation.rows
    main = f"NDCG@{SHOWN if SHOWN in config.ks else max(config.ks)}"
    order = sorted(rows, key=lambda name: -rows[name].intervals[main].mean)
    models = [name for name in order if is_model(name)]
    learned = [order.index(name) for name in models]
    sections = [
        _ranking_section(rows, order, learned, config, main, history, directory),
        _cost_section(evaluation, order, main, directory),
        _slices_section(evaluation, order, directory),
        Section("The lists of the next item", "", [_lists_table(rows, order, learned)]),
        Section("Which differences are more than chance", "", [differences_table(evaluation.differences, models)]),
    ]
    if evaluation.last_click is not None:
        sections.append(last_click_section(evaluation.last_click, directory))
    if evaluation.explained_users:
        sections.append(explained_users_section(evaluation.explained_users))
    if evaluation.faithfulness is not None:
        sections.append(_faithfulness_section(evaluation.faithfulness))
    if all(row.online for row in rows.values()):
        sections.append(_online_section(rows, order, learned))
    return [section for section in sections if section is not None]


def is_model(name: str) -> bool:
    """Say whether a row is that of a learned model, of this run or of one beside it, and not that of a simple rule."""
    return name in _ABOUT or name.startswith(f"{TWO_TOWER} of ")


def differences_table(differences: Mapping[str, Mapping[str, Difference]], models: Sequence[str] = ()) -> Table:
    """Lay out how much more NDCG@10 each row has than each column, a star where p < 0.05; best row first.

    The rows of the learned `models` are in bold.
    """
    order = by_strength(differences)
    cells = [
        [
            f"{number}  {first}",
            *("–" if first == second else _difference_text(differences[first][second]) for second in order),
        ]
        for number, first in enumerate(order, 1)
    ]
    return Table(
        ["row minus column", *(str(number) for number in range(1, len(order) + 1))],
        cells,
        f"NDCG@{SHOWN} of the row's recommender minus that of the column's, who is named by its number, on the same "
        "queries; * marks p < 0.05 (two-sided, resampling users; each pair by itself, not corrected for their number).",
        [order.index(name) for name in models if name in order],
    )


def by_strength(differences: Mapping[str, Mapping[str, Difference]]) -> list[str]:
    """Return the names, best first, by the sum of their differences from all others."""
    return sorted(differences, key=lambda name: -sum(one.interval.mean for one in differences[name].values()))


def _difference_text(difference: Difference) -> str:
    return f"{difference.interval.mean:+.3f}{'*' if difference.p_value < 0.05 else ''}"


def _ranking_section(
    rows: Mapping[str, RecommenderFigures],
    order: Sequence[str],
    learned: Sequence[int],
    config: EvaluateConfig,
    main: str,
    history: History | None,
    directory: Path,
) -> Section:
    tables = [
        Table(
            ["", *(f"{metric}@{k}" for k in config.ks)],
            [[name, *(rows[name].intervals[f"{metric}@{k}"].text() for k in config.ks)] for name in order],
            f"{metric}@k over the whole catalogue{', seen items removed' if config.remove_seen else ''}; "
            "ties count against a recommender.",
            learned,
        )
        for metric in ("NDCG", "HR", "MRR")
    ]
    names = [name for name in _ABOUT if name in rows]
    plots = {"ndcg.png": comparison_plot({name: rows[name].intervals[main] for name in rows}, main, names)}
    if history is not None:
        monitor = f"val_{main}" if f"val_{main}" in history else "loss"
        title = "Learning curves of the two-tower model"
        plots["two_tower_learning_curves.png"] = learning_curves_plot(history, monitor, title)
    return Section("The next item", " ".join(_ABOUT[name] for name in names), tables, save_plots(plots, directory))


def _cost_section(
    evaluation: RecommenderEvaluation, order: Sequence[str], main: str, directory: Path
) -> Section | None:
    """Draw quality against training time, of the models and of the three best simple rules, and of models by size."""
    known = [name for name in order if name in evaluation.training_seconds]
    if not known:
        return None
    rules = [name for name in known if not is_model(name)]
    points = {
        name: (max(evaluation.training_seconds[name], _SHORTEST), evaluation.rows[name].intervals[main])
        for name in known
        if is_model(name) or name in rules[:3]
    }
    plots = {"quality_against_time.png": quality_against_time_plot(points, main)}
    sized = {name: (size, evaluation.rows[name].intervals[main]) for name, size in evaluation.parameters.items()}
    if len({size for size, _ in sized.values()}) > 1:
        plots["quality_against_parameters.png"] = quality_against_parameters_plot(sized, main)
    return Section("What quality costs", "", [], save_plots(plots, directory))


def _slices_section(evaluation: RecommenderEvaluation, order: Sequence[str], directory: Path) -> Section | None:
    rows, sizes = evaluation.rows, evaluation.slice_sizes
    if not sizes:
        return None
    rules = [name for name in order if not is_model(name)]
    names = [*(name for name in _ABOUT if name in rows), *rules[:2]]
    drawn = [name for name in names if name not in (ALONE, BLINDED, TOLD)]
    table = Table(
        ["", "queries", *names],
        [
            [f"{group}: {one}", f"{size:,}", *(rows[name].slices[group][one].text() for name in names)]
            for group, slices in sizes.items()
            for one, size in slices.items()
        ],
        f"NDCG@{SHOWN} of the learned models and the two best simple rules by kind of question; report.json has all "
        "recommenders. Rare, medium and popular items hold a third of the training events each; in brackets, the "
        "training events of such an item.",
    )
    plot = slices_plot({name: rows[name].slices for name in drawn}, sizes, f"NDCG@{SHOWN}")
    return Section("The next item by kind of question", "", [table], save_plots({"slices.png": plot}, directory))


def _lists_table(rows: Mapping[str, RecommenderFigures], order: Sequence[str], learned: Sequence[int]) -> Table:
    shown = [name for name in _LISTS if all(name in row.lists for row in rows.values())]
    caption = (
        f"Lists of {SHOWN}. Coverage: share of the catalogue that stands in at least one list. Gini: how unevenly "
        "lists show it (1 is most uneven). Novelty: mean self-information of the items shown, higher for items "
        "that are rare in training. Different categories: share of a list's pairs of items that differ in category."
    )
    if f"diversity@{SHOWN}" in shown:
        caption += " Diversity: 1 minus the mean cosine of a list's pairs of items, by the two-tower model's vectors."
    return Table(
        ["", *(_LISTS[name] for name in shown)],
        [[name, *(f"{rows[name].lists[figure]:.3f}" for figure in shown)] for name in order],
        caption,
        learned,
    )


def _faithfulness_section(found: Faithfulness) -> Section:
    table = Table(
        ["the item that came first, ranked again", "rank"],
        [
            ["without the three events that did most for it", found.rank_without_top.text(1)],
            ["without three events at random", found.rank_without_random.text(1)],
            ["difference", found.difference.text(1)],
        ],
        f"{found.questions:,} questions. It falls further without its own three events, less the share where it falls "
        f"less far: {found.falls_further.text()}.",
    )
    return Section("Whether explanations are true", "", [table])


def _online_section(rows: Mapping[str, RecommenderFigures], order: Sequence[str], learned: Sequence[int]) -> Section:
    rates = list(next(iter(rows.values())).online)
    table = Table(
        ["", *rates],
        [[name, *(rows[name].online[rate].text(4) for rate in rates)] for name in order],
        "Expected by the simulator's judge, who knows what the users want: clicks per item shown in a list of ten, "
        "and purchases per list (article section 10.4).",
        learned,
    )
    return Section("Simulated clicks and purchases", "", [table])
