"""The README's tables of what each choice of the two-tower model's recipe is worth, and what it costs."""

from recsys_tf.results.files import read_result
from recsys_tf.results.markdown import Result, difference, interval, made_by, markdown_table

TWO_TOWER = "two-tower"
_LOSSES = ("full", "sampled", "gbce", "in_batch")
_QUALITY = ("NDCG@10", "HR@10")
_ABLATIONS = {
    TWO_TOWER: "the recipe",
    f"{TWO_TOWER}, without the mixture": "without the mixture",
    f"{TWO_TOWER} of beauty-averaging": "with weight averaging (0.999)",
    f"{TWO_TOWER} of beauty-relative-bias": "with a relative bias in the attention",
    f"{TWO_TOWER} of beauty-item-dropout": "with item dropout (0.1)",
}


def losses() -> str:
    """Every loss by the same recipe on two public sets, the default against each, with what an epoch costs."""
    speed = read_result("training-speed")
    sets = {"beauty": "Beauty", "yoochoose": "yoochoose"}
    results = {name: read_result(f"{name}-losses") for name in sets}
    rows = []
    for loss in _LOSSES:
        cells = []
        for name, result in results.items():
            row = TWO_TOWER if loss == "full" else f"{TWO_TOWER} of {name}-{loss}"
            cells += [*_quality(result, row), _lead(result, row)]
        cost = speed["rows"][f"transformer, {loss}"]
        rows.append([f"`{loss}`", *cells, f"{cost['seconds']:.0f} s", f"{cost['peak_mib']:,.0f} MiB"])
    header = ["loss"]
    for title in sets.values():
        header += [f"{title}: NDCG@10", "HR@10", "`full` leads by"]
    header += ["epoch (Beauty)", "peak memory"]
    return f"{markdown_table(header, rows)}\n\n{made_by([speed, *results.values()])}"


def ablations() -> str:
    """What each part of the recipe is worth on Beauty, on the same questions, one seed each."""
    result, wordless = read_result("beauty-ablations"), read_result("beauty-wordless")
    rows = [[title, *_quality(result, row), _lead(result, row)] for row, title in _ABLATIONS.items()]
    rows.append(["without the words of the items", *_quality(wordless, TWO_TOWER), "–"])
    header = ["`amazon-beauty-5core`, seed 1", *_QUALITY, "the recipe leads by"]
    return f"{markdown_table(header, rows)}\n\n{made_by([result, wordless])}"


def sizes() -> str:
    """The same recipe at four widths."""
    result = read_result("beauty-sizes")
    parameters = result["parameters_of_recommenders"]
    rows = []
    for row in sorted((name for name in parameters if name.startswith(TWO_TOWER)), key=lambda name: parameters[name]):
        figures = result["recommenders"][row]["intervals"]
        width = result["configuration"]["two_tower"]["width"] if row == TWO_TOWER else row.rpartition("-")[2]
        cells = [interval(figures[metric], 4) for metric in _QUALITY]
        rows.append([str(width), f"{parameters[row]:,}", *cells, _lead(result, row)])
    header = ["width, `amazon-beauty-5core`", "parameters", *_QUALITY, "the recipe leads by"]
    return f"{markdown_table(header, rows)}\n\n{made_by([result])}"


def training_speed() -> str:
    """Sequences and answers per second and peak memory of every encoder and loss, beside two references."""
    result = read_result("training-speed")
    rows = [
        [title, f"{row['per_second']:,.0f}", f"{row['answers_per_second']:,.0f}", f"{row['peak_mib']:,.0f} MiB"]
        for title, row in result["rows"].items()
    ]
    ratios = [[f"**{title}**", f"**{ratio:.2f}**", "", ""] for title, ratio in result["ratios"].items()]
    table = markdown_table(["", "sequences/s", "answers/s", "peak memory"], rows + ratios)
    return f"{table}\n\n{made_by([result])}"


def _quality(result: Result, row: str) -> list[str]:
    figures = result["recommenders"][row]["intervals"]
    return [f"{figures[metric]['mean']:.4f}" for metric in _QUALITY]


def _lead(result: Result, row: str) -> str:
    """Write by how much the run's own model is ahead of a row, with what chance says of it."""
    found = result["differences_in_ndcg@10"].get(row)
    return difference(found, 4) if found else "–"
