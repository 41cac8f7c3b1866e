"""`run.py import`, step by step; it needs no TensorFlow, and so does not wait for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recsys_tf.config import CleaningConfig
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.events.importers import import_log
from recsys_tf.events.pseudonyms import keep_key_apart
from recsys_tf.events.report import write_clean_log
from recsys_tf.page import plain
from recsys_tf.publishing import published_directory
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
    log = import_log(layout, files, columns=columns, behaviors=behaviors, config=cleaning)
    with published_directory(output) as directory:
        write_clean_log(log, directory)
    print_account(log)
    if publish:
        account = {"read": log.account.read, "kept": log.account.kept, "reasons": log.account.reasons}
        print(f"published as {publish_result(publish, {'account': account, 'facts': plain(log.facts)})}")
    print(f"written to {output}; the report is {output}/quality.html")
    print(f"next: python run.py train --data {output}")


def print_account(log: CleanLog) -> None:
    """Say what became of the rows that were read."""
    account = log.account
    print(f"  {account.read:,} rows read = {account.kept:,} kept + {account.rejected:,} rejected")
