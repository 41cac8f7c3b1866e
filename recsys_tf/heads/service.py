"""Customer service (article section 6.3): why a user gets in touch, and what to answer.

A softmax over the reasons, on the frozen representation of the user before the contact and on plain counts; a second
one takes the contact's first words as well. The answer is looked up by reason: nothing is made up.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.errors import InputError
from recsys_tf.heads.answers import LANGUAGES, Answers
from recsys_tf.heads.linear_softmax import LinearSoftmax
from recsys_tf.heads.service_features import ServiceFeatures
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import words_of
from recsys_tf.sequences.vocabularies import FIRST, Vocabulary

Tensors = dict[str, Any]
Floats = npt.NDArray[np.float32]

# Parts of the input, in their order: the representation, the counts, and the words of the contact.
VECTOR, COUNTS, WORDS = "vector", "counts", "words"
UNSAID: Final = (VECTOR, COUNTS)
SAID: Final = (VECTOR, COUNTS, WORDS)


class ContactWords(tf.Module):  # type: ignore[misc]
    """Words of a contact → how often it holds each of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self._table = vocabulary.table()

    def __call__(self, words: Any) -> Any:
        """Text [batch] → counts float32 [batch, words of the vocabulary]; others do not count."""
        ids = words_of(words, 0).with_flat_values(self._table.lookup(words_of(words, 0).flat_values))
        return tf.reduce_sum(tf.one_hot(ids.to_tensor(0) - FIRST, len(self.vocabulary.tokens)), axis=1)


class ServiceHead(tf.Module):  # type: ignore[misc]
    """Reasons, the two softmaxes, the words that the second one knows, and the answers."""

    def __init__(
        self,
        space: FeatureSpace,
        reasons: tuple[str, ...],
        unsaid: LinearSoftmax,
        said: LinearSoftmax,
        words: Vocabulary,
        answers: Answers,
    ) -> None:
        """unsaid: of the parts UNSAID; said: of SAID. A reason without an answer has ""."""
        super().__init__()
        self.reasons, self.unsaid, self.said, self.words = reasons, unsaid, said, ContactWords(words)
        self.answers = {reason: answers.get(reason, ("",) * len(LANGUAGES)) for reason in reasons}
        self._features = ServiceFeatures(space)

    def __call__(self, retrieval: Retrieval, ids: Tensors, contacted: Any, words: Any, table: Any) -> Any:
        """Return the probability of every reason: float32 [batch, reasons].

        ids: as `Retrieval.queries` takes them, the history before the contact. contacted: int64 [batch, 1], ms, 0 for
        right after the newest event. words: text [batch], "" for whoever has said nothing yet. table: [rows, width] as
        the model has it.
        """
        parts = [retrieval.representation(ids, table), self._features(ids, contacted)]
        unsaid = self.unsaid(tf.concat(parts, axis=1))
        said = self.said(tf.concat([*parts, self.words(words)], axis=1))
        return tf.where((words == "")[:, tf.newaxis], unsaid, said)

    def save(self, directory: Path) -> None:
        """Write service.npz and service.json into a folder."""
        np.savez_compressed(
            directory / "service.npz",
            allow_pickle=False,
            unsaid_weight=self.unsaid.weight,
            unsaid_bias=self.unsaid.bias,
            said_weight=self.said.weight,
            said_bias=self.said.bias,
        )
        kept = {"reasons": self.reasons, "words": self.words.vocabulary.tokens, "answers": self.answers}
        text = json.dumps(kept, indent=1, ensure_ascii=False)
        (directory / "service.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, space: FeatureSpace) -> "ServiceHead":
        """Read what `save` wrote for a run with these features. Raises InputError for a file that is not that."""
        path = directory / "service.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            answers = {reason: (texts[0], texts[1]) for reason, texts in kept["answers"].items()}
            reasons, words = tuple(kept["reasons"]), Vocabulary("words", tuple(kept["words"]))
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise InputError(f"this is not what was written here ({error})", file=path) from error
        with np.load(directory / "service.npz", allow_pickle=False) as found:
            unsaid = LinearSoftmax(found["unsaid_weight"], found["unsaid_bias"])
            said = LinearSoftmax(found["said_weight"], found["said_bias"])
        return cls(space, reasons, unsaid, said, words, answers)
