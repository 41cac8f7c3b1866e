"""The README's first table: the two-tower model beside what is published and beside the best simple rule."""

from recsys_tf.results.files import DIRECTORY, read_result
from recsys_tf.results.markdown import Result, markdown_table
from recsys_tf.results.peers import PUBLISHED

# result files (by prefix: several seeds), the log's name in English and Chinese, whose published figures belong to it
_LOGS = (
    ("two-tower-beauty", "Amazon Beauty, leave-one-out", "Amazon Beauty，留一法", "amazon-beauty-5core"),
    ("two-tower-sports", "Amazon Sports, leave-one-out", "Amazon Sports，留一法", "amazon-sports-5core"),
    ("two-tower-ml", "MovieLens-1M, leave-one-out", "MovieLens-1M，留一法", "ml-1m"),
    ("yoochoose-encoders", "YooChoose sample, sessions, by time", "YooChoose 抽样，会话，按时间切分", ""),
    ("bestbuy-search", "Best Buy, search, by time", "Best Buy，搜索，按时间切分", ""),
    ("complete-journey-two-tower", "Complete Journey, groceries, by time", "Complete Journey，日用品，按时间切分", ""),
    ("embedded-default", "the embedded log, by time", "内置日志，按时间切分", ""),
)
_OURS = ("two-tower", "cosine")
_ENGLISH = ["NDCG@10, whole catalogue ranked", "two-tower, ours", "best published", "best simple rule"]
_CHINESE = ["NDCG@10，全量商品排序", "本项目双塔模型", "已发表的最好结果", "最好的简单规则"]
_RULES = {
    "first-order Markov": "一阶马尔可夫",
    "query look-up": "查询词查表",
    "the user's frequent items": "用户自己的高频商品",
    "the user's recent items": "用户最近的商品",
    "SASRec, softmax over the catalogue": "SASRec，全量 softmax",
}


def front() -> str:
    """NDCG@10 of ours, of the best published by the same protocol, and of the best simple rule, for each log."""
    return _table(_ENGLISH, [(name, english, data) for name, english, _, data in _LOGS], {})


def front_in_chinese() -> str:
    """Return the same table for Chinese readers."""
    return _table(_CHINESE, [(name, chinese, data) for name, _, chinese, data in _LOGS], _RULES)


def _table(header: list[str], logs: list[tuple[str, str, str]], names: dict[str, str]) -> str:
    rows = []
    for name, title, data in logs:
        seeds = [read_result(path.stem) for path in sorted(DIRECTORY.glob(f"{name}-[0-9]*.json"))]
        seeds = seeds or [read_result(name)]
        ours = sum(_ndcg(seed, "two-tower") for seed in seeds) / len(seeds)
        rules = {row: _ndcg(seeds[0], row) for row in seeds[0]["recommenders"] if not row.startswith(_OURS)}
        best = max(rules, key=lambda row: rules[row])
        cells = [f"**{ours:.4f}**", _published(data, names), f"{rules[best]:.4f}{_in_brackets(best, names)}"]
        rows.append([title, *cells])
    return markdown_table(header, rows)


def _published(data: str, names: dict[str, str]) -> str:
    if not data:
        return "–"
    peer, (figure, _) = max(PUBLISHED[data].items(), key=lambda pair: pair[1][0])
    return f"{figure:.4f}{_in_brackets(peer.partition(' (')[0], names)}"


def _in_brackets(name: str, chinese: dict[str, str]) -> str:
    return f"（{chinese.get(name, name)}）" if chinese else f" ({name})"


def _ndcg(result: Result, row: str) -> float:
    figure: float = result["recommenders"][row]["intervals"]["NDCG@10"]["mean"]
    return figure
