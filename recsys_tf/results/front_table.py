"""The README's first table: the two-tower model beside what is published and beside the best simple rule."""

from recsys_tf.results.files import DIRECTORY, read_result
from recsys_tf.results.markdown import Result, markdown_table
from recsys_tf.results.peers import PUBLISHED

# log, result files (by prefix: several seeds), what to call it, whose published figures belong to it
_LOGS = (
    ("two-tower-beauty", "Amazon Beauty, leave-one-out", "amazon-beauty-5core"),
    ("two-tower-sports", "Amazon Sports, leave-one-out", "amazon-sports-5core"),
    ("two-tower-ml", "MovieLens-1M, leave-one-out", "ml-1m"),
    ("yoochoose-encoders", "YooChoose sample, sessions, by time", ""),
    ("bestbuy-search", "Best Buy, search, by time", ""),
    ("complete-journey-two-tower", "Complete Journey, groceries, by time", ""),
    ("embedded-default", "the embedded log, by time", ""),
)
_OURS = ("two-tower", "cosine")


def front() -> str:
    """NDCG@10 of ours, of the best published by the same protocol, and of the best simple rule, for each log."""
    rows = []
    for name, title, data in _LOGS:
        seeds = [read_result(path.stem) for path in sorted(DIRECTORY.glob(f"{name}-[0-9]*.json"))] or [
            read_result(name)
        ]
        ours = sum(_ndcg(seed, "two-tower") for seed in seeds) / len(seeds)
        rules = {row: _ndcg(seeds[0], row) for row in seeds[0]["recommenders"] if not row.startswith(_OURS)}
        best = max(rules, key=lambda row: rules[row])
        peer = max(PUBLISHED[data].items(), key=lambda pair: pair[1][0]) if data else None
        published = f"{peer[1][0]:.4f} ({peer[0].partition(' (')[0].partition(';')[0]})" if peer else "–"
        rows.append([title, f"**{ours:.4f}**", published, f"{rules[best]:.4f} ({best})"])
    return markdown_table(
        ["NDCG@10, whole catalogue ranked", "two-tower, ours", "best published", "best simple rule"], rows
    )


def _ndcg(result: Result, row: str) -> float:
    figure: float = result["recommenders"][row]["intervals"]["NDCG@10"]["mean"]
    return figure
