"""User ids as keyed hashes: the same user has the same name under one key, and nobody without the key can link it.

HMAC-SHA-256, of which 128 bits are kept as 32 hexadecimal digits. The key is read from a file and written nowhere.
"""

import dataclasses
import hmac
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from recsys_tf.errors import InputError
from recsys_tf.events.canonical_columns import Layout
from recsys_tf.events.text_columns import text_column

WITHHELD: Final = "(withheld)"
_FEWEST_KEY_BYTES: Final = 16
_DIGITS: Final = 32


def read_user_key(path: Path) -> bytes:
    """Read a key without the white space around it. Raises InputError when it is missing, empty or short."""
    if not path.is_file():
        raise InputError("there is no such key file", file=path)
    # An editor's line break at the end must not make another key.
    key = path.read_bytes().strip()
    if len(key) < _FEWEST_KEY_BYTES:
        raise InputError(f"the key has {len(key)} bytes; at least {_FEWEST_KEY_BYTES} are needed", file=path)
    return key


def keep_key_apart(key_file: Path | None, folders: Iterable[Path]) -> None:
    """Raise InputError when the key file lies inside one of the folders, by its own path or behind a link."""
    if key_file is None:
        return
    places = {key_file.absolute(), key_file.resolve()}
    for folder in folders:
        if any(place.is_relative_to(one) for place in places for one in (folder.absolute(), folder.resolve())):
            # Whoever is given the folder would be given the key with it.
            raise InputError(f"the key must lie outside of the data, and this file is inside {folder}", file=key_file)


def pseudonym(user_id: str, key: bytes) -> str:
    """Return the name that a user has under this key; no user has none."""
    return hmac.digest(key, user_id.encode("utf-8"), "sha256").hex()[:_DIGITS] if user_id else ""


def pseudonymised(layout: Layout, key: bytes) -> Layout:
    """Replace the user ids of a log in canonical columns, each different one hashed once."""
    ids = text_column(layout.events, "user_id")
    names = pd.Index([pseudonym(text, key) for text in ids.texts], dtype="str")
    return dataclasses.replace(layout, events=layout.events.assign(user_id=pd.Categorical.from_codes(ids.codes, names)))


def without_values(rejects: pd.DataFrame) -> pd.DataFrame:
    """Withhold the value of every rejected row that has one: a broken row may hold a user's id in any column."""
    shown = (rejects["value"].str.strip() != "").to_numpy()
    return rejects.assign(value=pd.Series(np.where(shown, WITHHELD, ""), dtype="str", index=rejects.index))
