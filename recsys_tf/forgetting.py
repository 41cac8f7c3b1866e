"""`run.py forget`: take a user out of everything that was imported, prepared and trained below a folder.

Every folder of tables and every prepared data set is written again beside itself and changes places with the old one in
one step. Runs are marked first: broken off at any point, the same command takes up what is left.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recsys_tf.errors import InputError
from recsys_tf.events.forget_in_log import events_of, forget_in_log, is_clean_log, is_written_here, rejects_naming
from recsys_tf.events.pseudonyms import keep_key_apart, pseudonym, read_user_key
from recsys_tf.holding import holds, is_long_enough, is_table_of_users
from recsys_tf.publishing import rewritten_directory
from recsys_tf.sequences.forget_in_prepared import Traces, forget_in_prepared, is_prepared, traces_in
from recsys_tf.serving.origins import exported_versions, origin_of_run
from recsys_tf.training.forgotten import is_marked, mark_forgotten, read_run_facts

_UNFINISHED: Final = ".forgetting-"


@dataclass(frozen=True)
class Found:
    """Where a user stands.

    logs: events and rejected rows by the folder of tables. prepared: by the folder of a prepared data set. runs: what
    the data of each run holds of the user.
    """

    logs: dict[Path, tuple[int, int]]
    prepared: dict[Path, Traces]
    runs: dict[Path, Traces]


def forget_user(user: str, key_file: Path | None, data: Path, models: Path) -> None:
    """Forget a user below the folder `data`, and say what must be trained again (`run.py forget`).

    user: the id as the log has it. key_file: the key under which logs were imported; the id's hash is looked for too.
    models: the folder of exported models, which are named and not changed. Raises InputError for a user who stands in
    nothing that was written there.
    """
    if not data.is_dir():
        raise InputError("no such folder", file=data)
    keep_key_apart(key_file, [data, models])
    names = _names(user, key_file)
    _finish_earlier(data)
    found = find_user(names, data)
    if not (found.logs or found.prepared):
        hint = "" if key_file is not None else "; if it was imported with a key, give --user-key-file"
        raise InputError(f"user {names[0]!r} stands in nothing that was imported or prepared here{hint}", file=data)
    for run, traces in found.runs.items():
        if traces.learned:
            mark_forgotten(run)
    # Told before the sequences go, since they alone know who learned from whom.
    _tell_what_learned(found, data, models)
    for directory, traces in found.prepared.items():
        _rewrite(directory, names, forget_in_prepared)
        print(f"forgotten: {traces.events:,} events of prepared sequences in {directory}")
    for directory, (events, rejects) in found.logs.items():
        _rewrite(directory, names, forget_in_log)
        print(f"forgotten: {events:,} events and {rejects:,} values of rejected rows in {directory}")
    _tell_what_is_left(names, data)


def find_user(names: Sequence[str], data: Path) -> Found:
    """Look a user up in the tables, the prepared data and the runs below `data`."""
    folders = list(_folders(data))
    clean = [folder for folder in folders if is_clean_log(folder)]
    logs = {folder: (events_of(folder, names), rejects_naming(folder, names)) for folder in clean}
    traces = {folder.resolve(): traces_in(folder, names) for folder in folders if is_prepared(folder)}
    runs = {}
    for folder in folders:
        facts = read_run_facts(folder)
        if facts is not None:
            learned_from = (folder / facts["prepared"]).resolve()
            if learned_from not in traces and is_prepared(learned_from):
                # Prepared elsewhere: it is not ours to change, but the run has learned from it.
                runs[folder] = traces_in(learned_from, names)
            else:
                runs[folder] = traces.get(learned_from, Traces())
    held = {folder: traces[folder.resolve()] for folder in folders if folder.resolve() in traces}
    return Found(
        {folder: counts for folder, counts in logs.items() if any(counts)},
        {folder: one for folder, one in held.items() if one.users},
        {run: one for run, one in runs.items() if one.users},
    )


def _names(user: str, key_file: Path | None) -> tuple[str, ...]:
    if not user.strip():
        raise InputError("no user is named")
    raw = user.strip()
    return (raw,) if key_file is None else (raw, pseudonym(raw, read_user_key(key_file)))


def _folders(data: Path) -> Iterator[Path]:
    """Walk the folders below `data`; a hidden one may be another command's that is not finished."""
    yield data
    for path in sorted(data.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            yield from _folders(path)


def _finish_earlier(data: Path) -> None:
    """Remove the old folders that an earlier `forget` was killed before it could remove."""
    beside = data.resolve()
    for path in [*beside.parent.glob(f"{_UNFINISHED}{beside.name}.*"), *sorted(data.rglob(f"{_UNFINISHED}*"))]:
        name = path.name.removeprefix(_UNFINISHED).rpartition(".")[0]
        # Where nothing stands in its place, what is here may be all there is.
        if path.is_dir() and any((path.parent / one).is_dir() for one in (name, name.removesuffix(".old")) if one):
            shutil.rmtree(path)


def _rewrite(directory: Path, names: Sequence[str], forget: Callable[[Path, Sequence[str], Path], None]) -> None:
    # The folder "." has no name to write another beside.
    with rewritten_directory(directory.resolve(), _UNFINISHED) as target:
        forget(directory, names, target)


def _tell_what_learned(found: Found, data: Path, models: Path) -> None:
    for directory, traces in found.prepared.items():
        if traces.training:
            print(f"fitted with this user: vocabularies, scalers and filters of {directory}; prepare it again")
    versions = exported_versions(models) if models.is_dir() else {}
    for run, traces in found.runs.items():
        if traces.learned:
            print(f"trained with this user: {run}; `export` refuses it until it is trained again")
        print(f"measured with this user: {run}; its report counts the user, and may show events, until `evaluate`")
        facts = read_run_facts(run)
        for version, origin in versions.items():
            # A user of the test side may have lent a history to the warm-up requests.
            if facts is not None and origin == origin_of_run(facts):
                anew = f"train {run} again, which exports anew" if is_marked(facts) else "export it anew"
                print(f"exported from it: {version}; {anew}, then delete this folder; a server keeps it until then")
    known = {origin_of_run(facts) for folder in _folders(data) if (facts := read_run_facts(folder)) is not None}
    for version in [version for version, origin in versions.items() if origin not in known]:
        print(f"exported by a run that is not here, so nobody knows whether it saw this user: {version}")


def _tell_what_is_left(names: Sequence[str], data: Path) -> None:
    folders = [one for one in _folders(data) if is_prepared(one) or read_run_facts(one) is not None]
    unsearched = False
    for path in [path for path in sorted(data.rglob("*")) if path.is_file()]:
        table = is_table_of_users(path)
        if _is_handled(path, data, [] if table else folders):
            continue
        if holds(path, names):
            print(f"left alone, and holding this user: {path} (a source, or not written by import, prepare and train)")
        elif not (table or all(is_long_enough(name) for name in names)):
            unsearched = True
    if unsearched:
        print("the id is too short to be looked for as text in files that were not written here: look at them yourself")
    print("the log that was imported is yours and stays as it is: take the user out of it before you import or train")


def _is_handled(path: Path, data: Path, folders: Sequence[Path]) -> bool:
    """Tell whether a file was written here and needs no second look; in a hidden folder nobody has looked yet."""
    if any(part.startswith(".") for part in path.relative_to(data).parts):
        return False
    return is_written_here(path) or any(path.is_relative_to(folder) for folder in folders)
