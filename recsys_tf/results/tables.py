"""Make the README's tables from the published result files, so that no figure is ever typed by hand.

In the page, a table stands between `<!-- table NAME -->` and `<!-- end of table -->`.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recsys_tf.errors import InputError
from recsys_tf.publishing import published_file
from recsys_tf.results.files import DIRECTORY, read_result
from recsys_tf.results.peers import PUBLISHED

_PLACE = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

Result = dict[str, Any]


def write_tables(readme: Path) -> None:
    """Replace every table of a page by what the result files say now.

    Raises InputError for a page without such places, an unknown table and a result that is not published.
    """
    if not readme.is_file():
        raise InputError("no such page", file=readme)
    text = readme.read_text(encoding="utf-8")
    if not _PLACE.search(text):
        raise InputError("the page has no place for a table", file=readme)

    def fill(place: re.Match[str]) -> str:
        name = place.group(2)
        if name not in TABLES:
            raise InputError(f"unknown table {name!r}; known are {', '.join(TABLES)}", file=readme)
        return f"{place.group(1)}\n{TABLES[name]()}\n\n{place.group(3)}"

    with published_file(readme) as partial:
        partial.write_text(_PLACE.sub(fill, text), encoding="utf-8")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table whose first column is text and whose others are numbers."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def interval(value: dict[str, float | None], digits: int = 3) -> str:
    """Write "0.512 [0.498, 0.526]", or the figure alone where the interval is not known."""
    mean, low, high = value["mean"], value["low"], value["high"]
    if low is None or high is None:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _made_by(results: Sequence[Result]) -> str:
    machines = {f"{one['machine']['cores']} cores, {one['machine']['processor']}" for one in results}
    versions = {f"TensorFlow {one['packages']['tensorflow']}" for one in results}
    return f"{'; '.join(sorted(machines))}; {'; '.join(sorted(versions))}."


def _embedded() -> str:
    default, article, numeric = (read_result(f"embedded-{name}") for name in ("default", "article", "numeric"))
    columns = {"accuracy": "accuracy", "top5_accuracy": "top-5", "macro_recall": "macro recall", "macro_f1": "macro F1"}
    names = {"classifier": "**classifier, preset `default`**"}
    rows = {names.get(name, name): row for name, row in default["classifier"].items()}
    rows["classifier, preset `article` (listing of 5.2)"] = article["classifier"]["classifier"]
    rows["classifier, numeric features (listing of 4.3)"] = numeric["classifier"]["classifier"]
    ordered = sorted(rows.items(), key=lambda pair: -pair[1]["accuracy"]["mean"])
    table = markdown_table(
        ["next category, embedded log", *columns.values()],
        [[name, *(interval(row[c]) if c in row else "–" for c in columns)] for name, row in ordered],
    )
    share, scored = default["share_of_the_way"], default["queries"]
    return (
        f"{table}\n\n{scored['scored']:,} test events of {scored['users']:,} users, 95 % intervals over users. "
        f"The default preset covers {share:.0%} of the way from the best simple rule ({default['best_rule']}) to the "
        f"ceiling. {_made_by([default, article, numeric])}"
    )


def _recommenders() -> str:
    result = read_result("embedded-default")
    named = {"two-tower": "**two-tower**"}
    both = {named.get(name, name): row for name, row in result["recommenders"].items()}
    rows = sorted(both.items(), key=lambda pair: -pair[1]["intervals"]["NDCG@10"]["mean"])
    metrics = ("NDCG@10", "HR@10", "MRR@10")
    rates = list(rows[0][1]["online"])
    return markdown_table(
        ["next item, embedded log, whole catalogue", *metrics, *rates],
        [
            [
                name,
                *(interval(row["intervals"][m]) for m in metrics),
                *(f"{row['online'][r]['mean']:.4f}" for r in rates),
            ]
            for name, row in rows
        ],
    )


_REAL = {
    "online-retail": "`online-retail-2009`",
    "complete-journey": "`complete-journey`",
    "bestbuy": "`bestbuy-xbox-search`",
    "retailrocket": "`retailrocket` raw sample",
}


def _real_logs() -> str:
    rows = []
    results = [read_result(name) for name in _REAL]
    for (name, title), result in zip(_REAL.items(), results, strict=True):
        account = read_result(f"import-{name}")["account"]
        most = max(account["reasons"], key=lambda reason: account["reasons"][reason])
        counts, figures, best = result["data"]["counts"], result["classifier"], result["best_rule"]
        rows.append(
            [
                title,
                f"{account['read']:,}",
                f"{account['read'] - account['kept']:,} ({most})",
                f"{counts['training_events'] + counts['validation_events'] + counts['test_events']:,}",
                f"{counts['users']:,}",
                f"{counts['items']:,}",
                result["configuration"]["classifier"]["target"].replace("next_", "next "),
                interval(figures["classifier"]["accuracy"]),
                f"{interval(figures[best]['accuracy'])} ({best})",
                interval(figures["classifier"]["macro_f1"]),
                f"{_training_seconds(result, 'classifier') / 60:.1f} min",
            ]
        )
    header = ["log", "rows read", "rejected (most often)", "events used", "users", "items", "target"]
    header += ["classifier accuracy", "best simple rule", "macro F1", "training"]
    return f"{markdown_table(header, rows)}\n\n{_made_by(results)}"


def _training_seconds(result: Result, model: str) -> float:
    # A run of one model had one number.
    seconds: dict[str, float] | float = result["training_seconds"]
    return seconds[model] if isinstance(seconds, dict) else seconds


_BENCHMARKS = {"amazon-beauty-5core": "two-tower-beauty", "amazon-sports-5core": "two-tower-sports"}
_RULES = ("first-order Markov", "item-kNN", "most popular")


def _two_tower() -> str:
    """Our seeds beside the simple rules of the same runs and beside what others have published."""
    rows, made_by = [], []
    for data, name in _BENCHMARKS.items():
        results = [read_result(path.stem) for path in sorted(DIRECTORY.glob(f"{name}-*.json"))]
        if not results:
            continue
        made_by += results
        named = [result["recommenders"]["two-tower"]["intervals"] for result in results]
        ours = [_seeds([row[metric]["mean"] for row in named]) for metric in ("NDCG@10", "HR@10")]
        minutes = sum(_training_seconds(result, "two_tower") for result in results) / len(results) / 60
        rows.append([f"**two-tower, ours, on `{data}`**", *ours, f"{minutes:.0f} min"])
        for peer, published in PUBLISHED[data].items():
            rows.append([f"{peer}, published", *(f"{figure:.4f}" for figure in published), "–"])
        for rule in _RULES:
            figures = results[0]["recommenders"][rule]["intervals"]
            rows.append([rule, *(f"{figures[metric]['mean']:.4f}" for metric in ("NDCG@10", "HR@10")), "–"])
    table = markdown_table(["leave-one-out, whole catalogue, seen items removed", "NDCG@10", "HR@10", "training"], rows)
    return f"{table}\n\n{_made_by(made_by)}"


def _seeds(values: Sequence[float]) -> str:
    """Write the mean over seeds and their smallest and largest value."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"**{mean:.4f}** (1 seed)"
    return f"**{mean:.4f}** ({len(values)} seeds, {min(values):.4f} to {max(values):.4f})"


def _real_recommenders() -> str:
    results = {title: read_result(name) for name, title in _REAL.items()}
    names = sorted({name for result in results.values() for name in result["recommenders"]})
    rows = [
        [
            name,
            *(
                interval(result["recommenders"][name]["intervals"]["NDCG@10"])
                if name in result["recommenders"]
                else "–"
                for result in results.values()
            ),
        ]
        for name in names
    ]
    return markdown_table(["NDCG@10, next item", *results], rows)


def _data_speed() -> str:
    results = [read_result(name) for name in ("data-1m", "data-10m")]
    header = ["step", *(f"{result['rows']:,} rows" for result in results)]
    steps = list(results[0]["steps"])
    rows = [
        [
            step,
            *(
                f"{one['seconds']:.2f} s, {one['per_second']:,.0f}/s, {one['peak_mib']:,.0f} MiB"
                for one in (result["steps"][step] for result in results)
            ),
        ]
        for step in steps
    ]
    rows += [
        [f"**{name}**", *(f"**{result['ratios'][name]:.1f}**" for result in results)] for name in results[0]["ratios"]
    ]
    return f"{markdown_table(header, rows)}\n\n{_made_by(results)}"


TABLES: dict[str, Callable[[], str]] = {
    "embedded": _embedded,
    "recommenders": _recommenders,
    "two-tower": _two_tower,
    "real-logs": _real_logs,
    "real-recommenders": _real_recommenders,
    "data-speed": _data_speed,
}
