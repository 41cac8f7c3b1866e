"""One served model and the life of its versions: folders with numeric names, of which the wanted ones are loaded.

A new version is loaded before the old one goes; a broken one replaces nothing and is tried again only when its files
change; requests that are under way finish on the version that they began with.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recsys_tf.serving.model_config import ModelConfig
from recsys_tf.serving.model_folders import version_folders
from recsys_tf.serving.server.errors import Code, ServingError, invalid
from recsys_tf.serving.server.garbage import settle
from recsys_tf.serving.server.loaded_model import LoadedModel, holds_saved_model, load_model
from recsys_tf.serving.server.runner import Runner
from recsys_tf.serving.server.warm_up import warm_up

State = Literal["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]
Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass
class Version:
    """One version's life; changed only under its model's lock."""

    number: int
    state: State = "START"
    code: Code = Code.OK
    message: str = ""
    model: Runner | None = None
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

    def __init__(
        self,
        name: str,
        config: ModelConfig,
        announce: Callable[[str], None],
        runner: Callable[[LoadedModel], Runner] = Runner,
    ) -> None:
        """Take what is to be served; runner: what a model is put behind once it has been loaded and warmed up."""
        self.name, self._runner = name, runner
        self.config = config
        self._announce = announce
        self._lock = threading.Lock()
        self._versions: dict[int, Version] = {}
        self._unloaded = False

    def configure(self, config: ModelConfig) -> None:
        """Take another configuration, which the next refresh acts upon; labels hold at once."""
        self.config = config

    def refresh(self) -> None:
        """Look at the folder once: load the versions that are wanted and not there yet, then unload the others."""
        config = self.config
        try:
            found = version_folders(config.folder)
            # One without a SavedModel is still being copied.
            whole = {number: path for number, path in found.items() if holds_saved_model(path)}
        except OSError:
            # A folder that cannot be read just now says nothing about its versions.
            return
        served = self._load_wanted(config, whole)
        if served or not config.wanted.among(found):
            for version in self._in_state("AVAILABLE"):
                if version.number not in served:
                    self._unload(version)
        self._collect()

    def unload_all(self) -> None:
        """Serve nothing any more."""
        for version in self._in_state("AVAILABLE"):
            self._unload(version)
        self._collect()

    def has_available(self, number: int) -> bool:
        """Tell whether a version can be asked now."""
        return number in [version.number for version in self._in_state("AVAILABLE")]

    def labelled(self, label: str) -> int:
        """Return the version of a label. Raises ServingError (INVALID_ARGUMENT) when there is no such label."""
        number = self.config.labels.get(label)
        if number is None:
            raise unknown_label(label)
        return number

    @contextmanager
    def lease(self, number: int | None) -> Iterator[tuple[int, Runner]]:
        """Yield a version (None: the newest available) and keep it loaded. Raises ServingError (NOT_FOUND)."""
        with self._lock:
            version = self._available(number)
            version.users += 1
        try:
            if version.model is None:
                raise not_found(self.name, number)
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
            raise not_found(self.name, number)
        return max(candidates, key=lambda version: version.number)

    def _in_state(self, state: State) -> list[Version]:
        with self._lock:
            return [version for version in self._versions.values() if version.state == state]

    def _collect(self) -> None:
        if self._unloaded:
            # A SavedModel's objects point at each other: without this its memory waits for a collection of all.
            self._unloaded = False
            settle()

    def _load_wanted(self, config: ModelConfig, found: dict[int, Path]) -> set[int]:
        served: set[int] = set()
        for number in config.wanted.among(sorted(found, reverse=True)):
            if len(served) >= config.wanted.most:
                break
            known = self._versions.get(number)
            if known is not None and known.state == "AVAILABLE":
                served.add(number)
                continue
            fingerprint = _fingerprint(found[number])
            if known is not None and known.broken == fingerprint:
                continue
            if self._load(number, found[number], fingerprint):
                served.add(number)
        return served

    def _load(self, number: int, folder: Path, fingerprint: Fingerprint) -> bool:
        version = Version(number)
        with self._lock:
            self._versions[number] = version
            version.state = "LOADING"
        try:
            model = load_model(folder)
            replayed = warm_up(model, folder)
        except ServingError as error:
            with self._lock:
                version.state, version.code, version.message = "END", error.code, error.message
                version.broken = fingerprint
            reason = " ".join(error.message.split())[:300]
            self._announce(f"{self.name} version {number} could not be loaded: {reason}")
            return False
        settle()
        with self._lock:
            version.model, version.state = self._runner(model), "AVAILABLE"
        warmed = f" ({replayed} warm-up requests)" if replayed else ""
        self._announce(f"{self.name} version {number} is AVAILABLE{warmed}")
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


def _fingerprint(folder: Path) -> Fingerprint:
    entries = []
    for path in sorted(folder.rglob("*")):
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        entries.append((str(path.relative_to(folder)), facts.st_size, facts.st_mtime_ns))
    return tuple(entries)


def not_found(name: str, number: int | None) -> ServingError:
    """Return the error for a model or a version that is not served."""
    which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")


def unknown_label(label: str) -> ServingError:
    """Return the error for a label that no version has."""
    return invalid(f"Unrecognized servable version label: {label}")
