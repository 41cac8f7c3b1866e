"""Make the tables of the README and of its page of figures from the result files, so that no figure is typed by hand.

In the page, a table stands between `<!-- table NAME -->` and `<!-- end of table -->`.
"""

import re
from collections.abc import Callable
from pathlib import Path

from recsys_tf.errors import InputError
from recsys_tf.publishing import published_file
from recsys_tf.results import head_tables
from recsys_tf.results.files import read_result
from recsys_tf.results.front_table import front, front_in_chinese
from recsys_tf.results.markdown import interval, made_by, markdown_table, training_seconds
from recsys_tf.results.membership_tables import membership, membership_by_length
from recsys_tf.results.recipe_tables import ablations, losses, sizes, training_speed
from recsys_tf.results.reference import reference
from recsys_tf.results.serving_tables import explanations, serving_speed
from recsys_tf.results.two_tower_tables import encoders, groceries, newcomers, public_benchmarks, search

_PLACE = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def write_tables(page: Path) -> None:
    """Replace every table of a page by what the result files say now.

    Raises InputError for a page without such places, an unknown table and a result that is not published.
    """
    if not page.is_file():
        raise InputError("no such page", file=page)
    text = page.read_text(encoding="utf-8")
    if not _PLACE.search(text):
        raise InputError("the page has no place for a table", file=page)

    def fill(place: re.Match[str]) -> str:
        name = place.group(2)
        if name not in TABLES:
            raise InputError(f"unknown table {name!r}; known are {', '.join(TABLES)}", file=page)
        return f"{place.group(1)}\n{TABLES[name]()}\n\n{place.group(3)}"

    with published_file(page) as partial:
        partial.write_text(_PLACE.sub(fill, text), encoding="utf-8")


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
        f"ceiling. {made_by([default, article, numeric])}"
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
                f"{training_seconds(result, 'classifier') / 60:.1f} min",
            ]
        )
    header = ["log", "rows read", "rejected (most often)", "events used", "users", "items", "target"]
    header += ["classifier accuracy", "best simple rule", "macro F1", "training"]
    return f"{markdown_table(header, rows)}\n\n{made_by(results)}"


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
    return f"{markdown_table(header, rows)}\n\n{made_by(results)}"


TABLES: dict[str, Callable[[], str]] = {
    "front": front,
    "front-zh": front_in_chinese,
    "reference": reference,
    "embedded": _embedded,
    "recommenders": _recommenders,
    "two-tower": public_benchmarks,
    "losses": losses,
    "ablations": ablations,
    "sizes": sizes,
    "encoders": encoders,
    "search": search,
    "groceries": groceries,
    "newcomers": newcomers,
    "real-logs": _real_logs,
    "real-recommenders": _real_recommenders,
    "data-speed": _data_speed,
    "training-speed": training_speed,
    "serving-speed": serving_speed,
    "explanations": explanations,
    "heads": head_tables.heads,
    "risk": head_tables.risk,
    "ads": head_tables.ads,
    "service": head_tables.service,
    "last-click": head_tables.last_click,
    "devices": head_tables.devices,
    "pictures": head_tables.pictures,
    "membership": membership,
    "membership-by-length": membership_by_length,
}
