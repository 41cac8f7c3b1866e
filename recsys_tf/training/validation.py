"""How good a two-tower model is at the validation side's questions, over the whole catalogue."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.models.index import target_ranks, without
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.dataset import PreparedData, Tensors, read_questions
from recsys_tf.sequences.vocabularies import FIRST

_BATCH = 256
_K = 10
_IDS = ("row", "behavior", "device", "timestamp", "words")


@dataclass(frozen=True)
class Validation:
    """Questions of the validation side, held in memory as batches of ids; without any there is nothing to measure."""

    batches: list[Tensors]
    remove_seen: bool

    def __len__(self) -> int:
        return sum(len(batch["target_row"]) for batch in self.batches)


def read_validation(data: PreparedData, most: int, remove_seen: bool, min_history: int = 0) -> Validation:
    """Read the validation side's questions, every n-th of them where there are more than `most` (0: all).

    remove_seen: leave out what is in the history that fits; the evaluation also leaves out what came before it.
    min_history: events that a history must hold for its question to be asked.
    """
    names = (*_IDS, "held", "target_row")
    questions = read_questions(data, "validation", "next_item", 1, min_history)
    questions = questions.map(lambda one: {name: one[name] for name in names})
    total = sum(len(batch["held"]) for batch in questions.as_numpy_iterator())
    if not total:
        return Validation([], remove_seen)
    step = max(math.ceil(total / most), 1) if most else 1
    parts, seen = [], 0
    for batch in questions.as_numpy_iterator():
        number = np.arange(seen, seen + len(batch["held"]))
        seen += len(number)
        parts.append({name: values[number % step == 0] for name, values in batch.items()})
    together = {name: np.concatenate([part[name] for part in parts]) for name in names}
    # Histories of similar length share a batch, so that little is padding.
    order = np.argsort(together["held"], kind="stable")
    chosen = [order[at : at + _BATCH] for at in range(0, len(order), _BATCH)]
    batches = [_shortened({name: values[rows] for name, values in together.items()}) for rows in chosen]
    return Validation(batches, remove_seen)


def ranking(
    retrieval: Retrieval, validation: Validation, fixed_towers: bool = False
) -> Callable[[], npt.NDArray[np.int32]]:
    """Return the function that ranks every question's target over the whole catalogue by the model as it then is.

    Its result is int32 [questions], 0 for a target that is not found; its graphs are traced once, for every length.
    fixed_towers: the towers stay as they are and only the mixture changes, so histories are encoded once.
    """
    batch_spec = _specification()
    vectors = tf.TensorSpec([None, None], tf.float32)

    @tf.function(input_signature=[batch_spec, vectors], autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
    def encode(batch: Tensors, table: Any) -> Any:
        asked = tf.fill([tf.size(batch["target_row"])], ANY_BEHAVIOR)
        return retrieval.queries(_ids(batch), asked, table)

    @tf.function(input_signature=[vectors, batch_spec, vectors], autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
    def rank(queries: Any, batch: Tensors, table: Any) -> Any:
        everything = retrieval.score(queries, _ids(batch), table)
        if validation.remove_seen:
            everything = without(everything, batch["row"] - FIRST)
        return target_ranks(everything, tf.maximum(batch["target_row"] - FIRST, -1))

    def encoded(table: Any) -> Iterator[tuple[Any, Tensors]]:
        return ((encode(batch, table), batch) for batch in validation.batches)

    fixed = list(encoded(retrieval.model.table())) if fixed_towers else None

    def ranks() -> npt.NDArray[np.int32]:
        table = retrieval.model.table()
        return np.concatenate([rank(*asked, table).numpy() for asked in fixed or encoded(table)])

    return ranks


def ndcg_and_hits(ranks: npt.NDArray[np.int32]) -> tuple[float, float]:
    """Return NDCG@10 and HR@10 of ranks [questions]."""
    found = (ranks >= 1) & (ranks <= _K)
    return float(np.where(found, 1.0 / np.log2(np.maximum(ranks, 1) + 1.0), 0.0).mean()), float(found.mean())


class ValidationRanking(tf.keras.callbacks.Callback):  # type: ignore[misc]
    """Adds val_NDCG@10 and val_HR@10 to the logs of every epoch, for the callbacks behind it to decide by."""

    def __init__(self, validation: Validation, retrieval: Retrieval) -> None:
        super().__init__()
        self._ranks = ranking(retrieval, validation) if len(validation) else None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Rank the targets of all questions."""
        if logs is not None and self._ranks is not None:
            logs["val_NDCG@10"], logs["val_HR@10"] = ndcg_and_hits(self._ranks())


def _ids(batch: Tensors) -> Tensors:
    return {name: batch[name] for name in _IDS}


def _specification() -> Tensors:
    spec = {name: tf.TensorSpec([None, None], tf.int64) for name in _IDS}
    return spec | {"words": tf.TensorSpec([None, None, None], tf.int64), "target_row": tf.TensorSpec([None], tf.int64)}


def _shortened(batch: dict[str, npt.NDArray[np.int64]]) -> Tensors:
    longest, words = batch.pop("held").max(), np.count_nonzero(batch["words"], axis=-1).max()
    short = {name: values[:, :longest] if values.ndim > 1 else values for name, values in batch.items()}
    return {name: tf.constant(values) for name, values in (short | {"words": short["words"][..., :words]}).items()}
