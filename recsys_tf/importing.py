"""`run.py import`, step by step; it needs no TensorFlow, and so does not wait for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recsys_tf.config import CleaningConfig
from recsys_tf.events.cleaning import UNKNOWN_BEHAVIOR, CleanLog
from recsys_tf.events.importers import import_log
from recsys_tf.events.judgement import frequent_values
from recsys_tf.events.pseudonyms import keep_key_apart
from recsys_tf.events.report import CLEAN_FILES, write_clean_log
from recsys_tf.page import plain
from recsys_tf.publishing import check_replaceable, published_directory
from recsys_tf.results.files import publish_result


def import_raw(
    layout: str,
    files: Sequence[Path],
    columns: Mapping[str, str],
    behaviors: Mapping[str, str],
    cleaning: CleaningConfig,
    output: Path,
    publish: str,
) -> None:
    """Clean a raw log and write it with its report (`run.py import`)."""
    keep_key_apart(cleaning.user_key_file, [output])
    check_replaceable(output, CLEAN_FILES)
    log = import_log(layout, files, columns=columns, behaviors=behaviors, config=cleaning)
    with published_directory(output) as directory:
        write_clean_log(log, directory)
    print_account(log)
    _print_losses(log, output / "rejects.csv", named=cleaning.user_key_file is None)
    if publish:
        account = {"read": log.account.read, "kept": log.account.kept, "reasons": log.account.reasons}
        print(f"published as {publish_result(publish, {'account': account, 'facts': plain(log.facts)})}")
    print(f"written to {output}; the report is {output}/quality.html")
    print(f"next: python run.py train --data {output} --run data/runs/{output.resolve().name}")


def print_account(log: CleanLog) -> None:
    """Say what became of the rows that were read."""
    account = log.account
    print(f"  {account.read:,} rows read = {account.kept:,} kept + {account.rejected:,} rejected")


def _print_losses(log: CleanLog, rejects: Path, named: bool) -> None:
    """Say what was rejected or not read at all; named: whether values of the log may be shown."""
    if log.account.rejected:
        reasons = dict(sorted(log.account.reasons.items(), key=lambda reason: -reason[1]))
        counts = [f"{rows:,} {reason}" for reason, rows in reasons.items()]
        if UNKNOWN_BEHAVIOR in reasons:
            values = map(repr, frequent_values(log.rejects, UNKNOWN_BEHAVIOR) if named else [])
            at = list(reasons).index(UNKNOWN_BEHAVIOR)
            counts[at] += f" ({'; '.join(filter(None, (', '.join(values), 'see --behaviors')))})"
        print(f"  rejected: {', '.join(counts)}; each in {rejects}")
    items = log.item_account
    if items.rejected:
        print(f"  {items.read:,} item rows read = {items.kept:,} kept + {items.rejected:,} rejected")
    if log.unread:
        parts = [f"{', '.join(name or '(no name)' for name in names)} ({file})" for file, names in log.unread]
        print(f"not read: {'; '.join(parts)}")
