"""The README's tables of the two-tower model: against what is published, and against the rules."""

from collections.abc import Mapping, Sequence

from recsys_tf.results.files import DIRECTORY, read_result
from recsys_tf.results.markdown import Result, difference, interval, made_by, markdown_table, training_seconds
from recsys_tf.results.peers import PUBLISHED

_BENCHMARKS = {
    "amazon-beauty-5core": "two-tower-beauty",
    "amazon-sports-5core": "two-tower-sports",
    "ml-1m": "two-tower-ml",
}
_RULES = ("first-order Markov", "item-kNN", "most popular")
_ENCODERS = ("transformer", "gru", "lstm", "rnn", "bert")
_VARIANTS = ("two-tower, without the mixture", "two-tower, told the behaviour", "two-tower, blind to the words")


def public_benchmarks() -> str:
    """Our seeds beside the simple rules of the same runs and beside what others have published."""
    rows, used = [], []
    for data, name in _BENCHMARKS.items():
        results = [read_result(path.stem) for path in sorted(DIRECTORY.glob(f"{name}-*.json"))]
        if not results:
            continue
        used += results
        named = [_figures(result) for result in results]
        ours = [_seeds([row[metric]["mean"] for row in named]) for metric in ("NDCG@10", "HR@10")]
        minutes = sum(training_seconds(result, "two_tower") for result in results) / len(results) / 60
        rows.append([f"**two-tower, ours, on `{data}`**", *ours, f"{minutes:.0f} min"])
        for peer, published in PUBLISHED[data].items():
            rows.append([f"{peer}, published", *(f"{figure:.4f}" for figure in published), "–"])
        for rule in _RULES:
            figures = results[0]["recommenders"][rule]["intervals"]
            rows.append([rule, *(f"{figures[metric]['mean']:.4f}" for metric in ("NDCG@10", "HR@10")), "–"])
    table = markdown_table(["leave-one-out, whole catalogue, seen items removed", "NDCG@10", "HR@10", "training"], rows)
    return f"{table}\n\n{made_by(used)}"


def encoders() -> str:
    """Every encoder by the same recipe, beside the simple rules, on two public logs, the best one against each."""
    sets = {
        "yoochoose": ("`yoochoose-sample`", ("HR@20", "MRR@20")),
        "retailrocket-new": ("`retailrocket`, new item", ("HR@20", "NDCG@20")),
    }
    columns: list[tuple[str, dict[str, str]]] = []
    used = []
    for name, (title, metrics) in sets.items():
        result = read_result(f"{name}-encoders")
        used.append(result)
        named = {row: _encoder_name(row, name) for row in result["recommenders"] if row not in _VARIANTS}
        for metric in metrics:
            recommenders = result["recommenders"]
            cells = {named[row]: interval(recommenders[row]["intervals"][metric]) for row in named}
            columns.append((f"{title}: {metric}", cells))
        differences = result["differences_in_ndcg@10"]
        cells = {named[row]: difference(one) for row, one in differences.items() if row in named}
        columns.append(("transformer's lead in NDCG@10", cells))
    names = sorted(
        dict.fromkeys(row for _, column in columns for row in column),
        key=lambda row: (not row.startswith("two-tower"), [*_ENCODERS, row].index(row.removeprefix("two-tower, "))),
    )
    rows = [[name, *(column.get(name, "–") for _, column in columns)] for name in names]
    rows[0] = [f"**{cell}**" for cell in rows[0]]
    header = ["whole catalogue", *(title for title, _ in columns)]
    return f"{markdown_table(header, rows)}\n\n{made_by(used)}"


def _encoder_name(row: str, prefix: str) -> str:
    if row == "two-tower":
        return "two-tower, transformer"
    return row.replace(f"two-tower of {prefix}-", "two-tower, ")


def search() -> str:
    """Search → click on bestbuy: the two-tower model, the same one blinded, and looking the query up."""
    results = {"": read_result("bestbuy-search"), ", training side only": read_result("bestbuy-search-select")}
    names = ("two-tower", "two-tower, blind to the words", "query look-up", "most popular of 7 days", "most popular")
    rows = []
    for suffix, result in results.items():
        for name in names if not suffix else ("two-tower", "query look-up"):
            row = result["recommenders"][name]
            words = row["slices"]["words of the search"]
            cells = [interval(row["intervals"][metric]) for metric in ("MRR@5", "HR@10")]
            rows.append([name + suffix, *cells, *(interval(words[one]) for one in ("seen in training", "new"))])
    rows[0] = [f"**{cell}**" for cell in rows[0]]
    header = ["`bestbuy-xbox-search`, split by time", "MAP@5", "HR@10", "NDCG@10, words seen", "NDCG@10, words new"]
    return f"{markdown_table(header, rows)}\n\n{made_by(list(results.values()))}"


def groceries() -> str:
    """Repeated purchases on complete-journey: the two-tower model beside the rules."""
    result = read_result("complete-journey-two-tower")
    rows = sorted(result["recommenders"].items(), key=lambda pair: -pair[1]["intervals"]["NDCG@10"]["mean"])
    metrics = ("NDCG@10", "HR@10", "MRR@10")
    cells = [[name, *(interval(row["intervals"][metric]) for metric in metrics)] for name, row in rows]
    return f"{markdown_table(['`complete-journey`, split by time', *metrics], cells)}\n\n{made_by([result])}"


_NEWCOMERS = (
    ("new user (no event yet)", "yoochoose-all-clicks", "`yoochoose-sample`", "length of the history", "empty"),
    ("new user (no event yet)", "embedded-default", "embedded log", "length of the history", "empty"),
    ("new item (not in training)", "embedded-default", "embedded log", "target item", "new"),
    ("new item (not in training)", "bestbuy-search", "`bestbuy-xbox-search`", "target item", "new"),
    ("new item (not in training)", "complete-journey-two-tower", "`complete-journey`", "target item", "new"),
)


def newcomers() -> str:
    """Users without a history and items without a past: the two-tower model beside the best rule and popularity."""
    rows, used = [], []
    for title, name, log, slicing, group in _NEWCOMERS:
        result = read_result(name)
        used.append(result)
        found = {row: one["slices"][slicing][group] for row, one in result["recommenders"].items()}
        rules = {row: one for row, one in found.items() if not row.startswith(("two-tower", "cosine"))}
        best = max(rules, key=lambda row: rules[row]["mean"])
        cells = [interval(found["two-tower"]), f"{interval(rules[best])} ({best})", interval(rules["most popular"])]
        rows.append([title, log, f"{result['slice_sizes'][slicing][group]:,}", *cells])
    header = ["NDCG@10", "log", "questions", "two-tower", "best rule", "most popular"]
    return f"{markdown_table(header, rows)}\n\n{made_by(used)}"


def _figures(result: Result) -> Mapping[str, dict[str, float]]:
    figures: Mapping[str, dict[str, float]] = result["recommenders"]["two-tower"]["intervals"]
    return figures


def _seeds(values: Sequence[float]) -> str:
    """Write the mean over seeds and their smallest and largest value."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"**{mean:.4f}** (1 seed)"
    return f"**{mean:.4f}** ({len(values)} seeds, {min(values):.4f} to {max(values):.4f})"
