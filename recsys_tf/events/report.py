"""The data-quality report: what was read, what was rejected and why, and what the log looks like."""

from pathlib import Path

import pandas as pd

from recsys_tf.events.cleaning import CleanLog
from recsys_tf.events.report_plots import quality_plots
from recsys_tf.events.tables import write_tables
from recsys_tf.page import Picture, Report, Section, Table, write_report

# What `write_clean_log` writes, pictures aside.
CLEAN_FILES = ("events.parquet", "items.parquet", "rejects.csv", "quality.html", "quality.json")
_EXAMPLES = 3


def write_clean_log(log: CleanLog, directory: Path) -> None:
    """Write the two tables, rejects.csv, and the report as quality.html, quality.json and pictures into a folder."""
    write_tables(log.events, log.items, directory)
    log.rejects.to_csv(directory / "rejects.csv", index=False, lineterminator="\n")
    pictures = {}
    for file, plot in quality_plots(log.events, log.account.reasons).items():
        plot.save(directory / file)
        pictures[file] = Picture(file, plot.caption)
    write_report(directory, quality_report(log, pictures), "quality")


def quality_report(log: CleanLog, pictures: dict[str, Picture]) -> Report:
    """Arrange the account, examples, facts and pictures of a log."""
    account = log.account
    facts = {
        "events": f"{account.read:,} read = {account.kept:,} kept + {account.rejected:,} rejected",
        **({"forgotten": f"{account.forgotten:,} events taken out since"} if account.forgotten else {}),
        "item rows": f"{log.item_account.read:,} read = {log.item_account.kept:,} kept + {log.item_account.rejected:,} "
        "rejected",
        **{name: f"{value:,}" if isinstance(value, int | float) else value for name, value in log.facts.items()},
    }
    rejected = [picture for file, picture in pictures.items() if file == "reasons.png"]
    seen = [picture for file, picture in pictures.items() if file != "reasons.png"]
    return Report(
        title="Data quality",
        facts=facts,
        sections=[
            Section("What was rejected, and why", "", [_reason_table(log), _example_table(log.rejects)], rejected),
            Section("What the log looks like", "", [_length_table(log.events)], seen),
        ],
        numbers={
            "account": {
                "read": account.read,
                "kept": account.kept,
                "rejected": account.rejected,
                "forgotten": account.forgotten,
            },
            "reasons": account.reasons,
            "items": {
                "read": log.item_account.read,
                "kept": log.item_account.kept,
                "reasons": log.item_account.reasons,
            },
            "facts": log.facts,
            "behaviors": {str(name): int(count) for name, count in log.events["behavior"].value_counts().items()},
            "sequence_length": _lengths(log.events),
        },
    )


def _reason_table(log: CleanLog) -> Table:
    ordered = sorted(log.account.reasons.items(), key=lambda pair: -pair[1])
    rows = [[reason, f"{count:,}", f"{count / log.account.read:.2%}"] for reason, count in ordered]
    rows.append(["all rejected", f"{log.account.rejected:,}", f"{log.account.rejected / log.account.read:.2%}"])
    return Table(
        ["reason", "rows", "share of all read"], rows, "One reason per row: the first that applies.", [len(rows) - 1]
    )


def _example_table(rejects: pd.DataFrame) -> Table:
    chosen = rejects.groupby("reason", sort=True).head(_EXAMPLES).sort_values(["reason", "line"])
    rows = [
        [reason, f"{file}, line {line:,}", column or "whole row", _short(value) or "(empty)"]
        for file, line, column, value, reason in chosen.itertuples(index=False, name=None)
    ]
    return Table(["reason", "where", "column", "value"], rows, "The first rows rejected for each reason.")


def _length_table(events: pd.DataFrame) -> Table:
    lengths = _lengths(events)
    return Table(["", *lengths], [["events of a user", *(f"{value:,.0f}" for value in lengths.values())]], "Quantiles.")


def _lengths(events: pd.DataFrame) -> dict[str, float]:
    lengths = events["user_id"].value_counts()
    shares = {"smallest": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "largest": 1.0}
    return {name: float(lengths.quantile(share)) for name, share in shares.items()}


def _short(value: str) -> str:
    return value if len(value) <= 60 else value[:57] + "…"
