"""All served models by name, each watched by a thread of its own, so that a slow load delays no other model."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from recsys_tf.serving.model_config import ModelConfig
from recsys_tf.serving.server.batching import Batcher
from recsys_tf.serving.server.bounds import Bounds
from recsys_tf.serving.server.errors import Code, ServingError
from recsys_tf.serving.server.loaded_model import LoadedModel
from recsys_tf.serving.server.runner import Runner
from recsys_tf.serving.server.served_model import ServedModel, VersionStatus, not_found, unknown_label


class ModelTable:
    """The models that are served now; another configuration may replace this one at any time."""

    def __init__(
        self,
        models: Mapping[str, ModelConfig],
        poll_seconds: float,
        announce: Callable[[str], None] = lambda line: None,
        batcher: Batcher | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._announce, self._poll_seconds = announce, poll_seconds
        self._batcher, self._bounds = batcher, bounds
        self._reloading = threading.Lock()
        self._watched = {name: self._watch(name, config) for name, config in models.items()}

    def start(self) -> None:
        """Begin to watch the folders, and return when every model has been looked at once."""
        for one in self._watched.values():
            one.start()
        for one in self._watched.values():
            one.look_again()

    def stop(self) -> None:
        """Stop watching; a load that is under way ends first."""
        for one in self._watched.values():
            one.stop()

    def reload(self, models: Mapping[str, ModelConfig]) -> None:
        """Serve these models in place of the present ones, and return when their versions have been looked at.

        Raises ServingError (FAILED_PRECONDITION), with the old labels left as they are, for a label of a version that
        is not available then.
        """
        with self._reloading:
            before = self._watched
            unlabelled = {name: ModelConfig(one.folder, one.wanted, self._labels(name)) for name, one in models.items()}
            added = {name: self._watch(name, one) for name, one in unlabelled.items() if name not in before}
            for name, one in unlabelled.items():
                if name in before:
                    before[name].model.configure(one)
            for watch in added.values():
                watch.start()
            # Replaced at once, never changed: whoever reads the table needs no lock.
            self._watched = {name: before[name] if name in before else added[name] for name in models}
            for watch in self._watched.values():
                watch.look_again()
            for name in before.keys() - models.keys():
                before[name].stop()
                before[name].model.unload_all()
            for name, one in models.items():
                for label, number in one.labels.items():
                    if not self._watched[name].model.has_available(number):
                        raise ServingError(
                            Code.FAILED_PRECONDITION,
                            f"Request to assign label to version {number} of model {name}, which is not currently "
                            f"available for inference (label {label})",
                        )
            for name, one in models.items():
                self._watched[name].model.configure(one)

    @contextmanager
    def lease(self, name: str, number: int | None, label: str | None = None) -> Iterator[tuple[int, Runner]]:
        """Yield the number and the model of a version, kept loaded meanwhile.

        number: None for the newest, or for the one with the label. Raises ServingError: INVALID_ARGUMENT for a label
        that nobody knows, else NOT_FOUND.
        """
        watch = self._watched.get(name)
        if label is not None:
            if watch is None:
                raise unknown_label(label)
            number = watch.model.labelled(label)
        if watch is None:
            raise not_found(name, number)
        with watch.model.lease(number) as leased:
            yield leased

    @property
    def batches(self) -> bool:
        """Whether requests wait for others, rather than for a thread of their own."""
        return self._batcher is not None

    def names(self) -> Collection[str]:
        """Return the names of the models that are served now."""
        return self._watched.keys()

    def status(self, name: str, number: int | None) -> list[VersionStatus]:
        """List a model's versions, newest first, or the one that is asked for. Raises ServingError (NOT_FOUND)."""
        versions = self._watched[name].model.status() if name in self._watched else []
        if not versions:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        wanted = [version for version in versions if number in (None, version.number)]
        if not wanted:
            raise ServingError(Code.NOT_FOUND, f"Could not find version {number} of model {name}")
        return wanted

    def _labels(self, name: str) -> dict[str, int]:
        return self._watched[name].model.config.labels if name in self._watched else {}

    def _watch(self, name: str, config: ModelConfig) -> "_Watch":
        return _Watch(ServedModel(name, config, self._announce, self._runner), self._poll_seconds)

    def _runner(self, model: LoadedModel) -> Runner:
        return Runner(model, self._bounds, self._batcher)


class _Watch:
    """A model and the thread that looks at its folder, every so many seconds and whenever it is asked to."""

    def __init__(self, model: ServedModel, poll_seconds: float) -> None:
        self.model = model
        self._poll_seconds = poll_seconds
        self._changed = threading.Condition()
        self._stopping = False
        # Looks that were asked for, and the number of the last of them that has been answered.
        self._asked = self._answered = 0
        self._thread = threading.Thread(target=self._run, name=f"versions of {model.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stop_waiting()
        self._thread.join()

    def look_again(self) -> None:
        """Return when a look that began after this call has ended."""
        with self._changed:
            self._asked += 1
            mine = self._asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._answered >= mine or self._stopping)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._look()
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping or self._asked > self._answered, self._poll_seconds)
        finally:
            # Nobody waits for a thread that is gone.
            self.stop_waiting()

    def _look(self) -> None:
        with self._changed:
            answering = self._asked
        self.model.refresh()
        with self._changed:
            self._answered = answering
            self._changed.notify_all()

    def stop_waiting(self) -> None:
        """Let the thread end when it has a moment, and nobody wait for it."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
