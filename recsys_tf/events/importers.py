"""From the files of a raw log to a clean one: read, arrange by layout, clean."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from recsys_tf.config import CleaningConfig
from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog, clean
from recsys_tf.events.layouts import HEADERLESS, apply_layout
from recsys_tf.events.pseudonyms import keep_key_apart, pseudonymised, read_user_key, without_values
from recsys_tf.events.reading import read_raw_file
from recsys_tf.events.schema import BEHAVIORS


def import_log(
    layout: str,
    files: Sequence[Path],
    *,
    columns: Mapping[str, str],
    behaviors: Mapping[str, str],
    config: CleaningConfig,
) -> CleanLog:
    """Read and clean a log.

    layout: the name of a column layout (see `layouts`); columns: ours → theirs and behaviors: theirs → ours, for logs
    of any other. Raises InputError for input that cannot be used, naming the file, row and column.
    With a key file in `config`, nothing that is returned holds a user's id as the log has it.
    """
    if not files:
        raise InputError("no file is given")
    for theirs, ours in behaviors.items():
        if ours not in BEHAVIORS:
            known = ", ".join(BEHAVIORS)
            raise InputError(
                f"--behaviors {theirs}={ours}: {ours!r} is none of {known}; write theirs=ours, such as glanced=view"
            )
    keep_key_apart(config.user_key_file, [path.parent for path in files])
    key = read_user_key(config.user_key_file) if config.user_key_file is not None else None
    raw = [
        read_raw_file(
            path, HEADERLESS.get(layout, ()), "::" if path.suffix == ".dat" and layout == "movielens" else ","
        )
        for path in files
    ]
    arranged = apply_layout(layout, raw, columns)
    set_aside = pd.concat([file.rejects for file in raw], ignore_index=True)
    if key is None:
        return clean(arranged, set_aside, dict(behaviors), config)
    # Before cleaning, so that not even the order of simultaneous events, drawn by a hash, tells of the id.
    log = clean(pseudonymised(arranged, key), set_aside, dict(behaviors), config)
    return dataclasses.replace(log, rejects=without_values(log.rejects))
