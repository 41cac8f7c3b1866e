"""The README's tables of serving: how fast the local server is, and whether explanations are true."""

from recsys_tf.results.files import read_result
from recsys_tf.results.markdown import interval, made_by, markdown_table

_CPU = "cpu_seconds_per_1000_requests"


def serving_speed() -> str:
    """Latency and throughput of the local server by connections, batching and rows, beside the call in its process."""
    result = read_result("serving-speed")
    # Results of an earlier version do not have it.
    measured = any(_CPU in row for row in result["rows"].values())
    rows = [
        [
            title,
            *(f"{row[f'{name}_ms']:.2f}" for name in ("p50", "p95", "p99")),
            f"{row['per_second']:,.0f}",
            f"{row['rows_per_second']:,.0f}",
            f"{row['refused']:,}",
            *([f"{row[_CPU]:.2f}" if _CPU in row else "–"] if measured else []),
        ]
        for title, row in result["rows"].items()
    ]
    header = ["loopback, 20 events, k = 10", "p50 ms", "p95 ms", "p99 ms", "requests/s", "rows/s", "refused"]
    header += ["CPU s per 1,000 requests"] if measured else []
    empty = [""] * (len(header) - 2)
    rows += [[f"**{title}**", f"**{ratio:.2f}**", *empty] for title, ratio in result["ratios"].items()]
    starts = "; ".join(
        f"{title}: {one['start_seconds']:.1f} s to start, {one['ready_mib']:,.0f} MiB then, {one['peak_mib']:,.0f} MiB "
        "at the peak"
        for title, one in result["start"].items()
    )
    return f"{markdown_table(header, rows)}\n\n{starts}. {made_by([result])}"


def explanations() -> str:
    """How far the item that came first falls without the events that are said to have put it there."""
    result = read_result("embedded-explained")
    found = result["faithfulness"]
    rows = [
        ["without the three events that did most for it", interval(found["rank_without_top"], 1)],
        ["without three events at random", interval(found["rank_without_random"], 1)],
        ["**difference**", f"**{interval(found['difference'], 1)}**"],
        ["it falls further, less where it falls less far", interval(found["falls_further"])],
    ]
    header = [f"rank of the item that came first, {found['questions']:,} questions, embedded log", ""]
    return f"{markdown_table(header, rows)}\n\n{made_by([result])}"
