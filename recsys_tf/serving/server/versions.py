"""The served models and their versions: folders with numeric names are watched, the largest that loads is served.

A new version is loaded before the old one goes; a broken one replaces nothing and is tried again only when its files
change; requests that are under way finish on the version that they began with.
"""

import gc
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recsys_tf.serving.model_folders import version_folders
from recsys_tf.serving.server.errors import Code, ServingError
from recsys_tf.serving.server.loaded_model import LoadedModel, holds_saved_model, load_model

State = Literal["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]
Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass
class Version:
    """One version's life; changed only under its model's lock."""

    number: int
    state: State = "START"
    code: Code = Code.OK
    message: str = ""
    model: LoadedModel | None = None
    # Requests that run on it now.
    users: int = 0
    # What its files looked like when it failed to load.
    broken: Fingerprint | None = None


@dataclass(frozen=True)
class VersionStatus:
    """What a client is told about a version."""

    number: int
    state: State
    code: Code
    message: str


class ServedModel:
    """One model's versions. `refresh` belongs to one thread, everything else may be called from any."""

    def __init__(self, name: str, folder: Path, announce: Callable[[str], None]) -> None:
        self.name, self.folder = name, folder
        self._announce = announce
        self._lock = threading.Lock()
        self._versions: dict[int, Version] = {}
        self._unloaded = False

    def refresh(self) -> None:
        """Look at the folder once: load the best version that is not served yet, then unload the others."""
        try:
            found = version_folders(self.folder)
            # One without a SavedModel is still being copied.
            best = self._load_best({number: path for number, path in found.items() if holds_saved_model(path)})
        except OSError:
            # A folder that cannot be read just now says nothing about its versions.
            return
        if best is not None or not found:
            for version in self._in_state("AVAILABLE"):
                if version.number != best:
                    self._unload(version)
        if self._unloaded:
            # A SavedModel's objects point at each other: without this its memory waits for a collection of all.
            self._unloaded = False
            gc.collect()

    @contextmanager
    def lease(self, number: int | None) -> Iterator[tuple[int, LoadedModel]]:
        """Yield a version (None: the newest available) and keep it loaded. Raises ServingError (NOT_FOUND)."""
        with self._lock:
            version = self._available(number)
            version.users += 1
        try:
            if version.model is None:
                raise _not_found(self.name, number)
            yield version.number, version.model
        finally:
            with self._lock:
                version.users -= 1
                self._end_if_idle(version)

    def status(self) -> list[VersionStatus]:
        """List every version that was ever looked at, newest first."""
        with self._lock:
            newest_first = sorted(self._versions.values(), key=lambda version: -version.number)
            return [VersionStatus(one.number, one.state, one.code, one.message) for one in newest_first]

    def _available(self, number: int | None) -> Version:
        candidates = [one for one in self._versions.values() if one.state == "AVAILABLE"]
        if number is not None:
            candidates = [one for one in candidates if one.number == number]
        if not candidates:
            raise _not_found(self.name, number)
        return max(candidates, key=lambda version: version.number)

    def _in_state(self, state: State) -> list[Version]:
        with self._lock:
            return [version for version in self._versions.values() if version.state == state]

    def _load_best(self, found: Mapping[int, Path]) -> int | None:
        for number in sorted(found, reverse=True):
            known = self._versions.get(number)
            if known is not None and known.state == "AVAILABLE":
                return number
            fingerprint = _fingerprint(found[number])
            if known is not None and known.broken == fingerprint:
                continue
            if self._load(number, found[number], fingerprint):
                return number
        return None

    def _load(self, number: int, folder: Path, fingerprint: Fingerprint) -> bool:
        version = Version(number)
        with self._lock:
            self._versions[number] = version
            version.state = "LOADING"
        try:
            model = load_model(folder)
        except ServingError as error:
            with self._lock:
                version.state, version.code, version.message = "END", error.code, error.message
                version.broken = fingerprint
            reason = " ".join(error.message.split())[:300]
            self._announce(f"{self.name} version {number} could not be loaded: {reason}")
            return False
        with self._lock:
            version.model, version.state = model, "AVAILABLE"
        self._announce(f"{self.name} version {number} is AVAILABLE")
        return True

    def _unload(self, version: Version) -> None:
        with self._lock:
            version.state = "UNLOADING"
            self._end_if_idle(version)
        self._announce(f"{self.name} version {version.number} is no longer served")

    def _end_if_idle(self, version: Version) -> None:
        if version.state == "UNLOADING" and version.users == 0:
            version.state, version.model = "END", None
            self._unloaded = True


class ModelTable:
    """All served models, each watched by a thread of its own, so that a slow load delays no other model."""

    def __init__(
        self, folders: Mapping[str, Path], poll_seconds: float, announce: Callable[[str], None] = lambda line: None
    ) -> None:
        self._models = {name: ServedModel(name, folder, announce) for name, folder in folders.items()}
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._looked = {name: threading.Event() for name in folders}
        self._threads = [
            threading.Thread(target=self._watch, args=(name,), name=f"versions of {name}", daemon=True)
            for name in folders
        ]

    def start(self) -> None:
        """Begin to watch the folders, and return when every model has been looked at once."""
        for thread in self._threads:
            thread.start()
        for looked in self._looked.values():
            looked.wait()

    def stop(self) -> None:
        """Stop watching; a load that is under way ends first."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @contextmanager
    def lease(self, name: str, number: int | None) -> Iterator[tuple[int, LoadedModel]]:
        """Yield the number and the model of a version, kept loaded meanwhile. Raises ServingError (NOT_FOUND)."""
        if name not in self._models:
            raise _not_found(name, number)
        with self._models[name].lease(number) as leased:
            yield leased

    def status(self, name: str, number: int | None) -> list[VersionStatus]:
        """List a model's versions, newest first, or the one that is asked for. Raises ServingError (NOT_FOUND)."""
        versions = self._models[name].status() if name in self._models else []
        if not versions:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        wanted = [version for version in versions if number in (None, version.number)]
        if not wanted:
            raise ServingError(Code.NOT_FOUND, f"Could not find version {number} of model {name}")
        return wanted

    def _watch(self, name: str) -> None:
        while not self._stopping.is_set():
            try:
                self._models[name].refresh()
            finally:
                self._looked[name].set()
            self._stopping.wait(self._poll_seconds)


def _fingerprint(folder: Path) -> Fingerprint:
    entries = []
    for path in sorted(folder.rglob("*")):
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        entries.append((str(path.relative_to(folder)), facts.st_size, facts.st_mtime_ns))
    return tuple(entries)


def _not_found(name: str, number: int | None) -> ServingError:
    which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")
