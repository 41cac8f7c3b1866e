"""Fit the service head on the contacts of the training window; how strongly to regularise, validation says."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from recsys_tf.errors import InputError
from recsys_tf.heads.answers import Answers
from recsys_tf.heads.linear_softmax import LinearSoftmax
from recsys_tf.heads.service import COUNTS, SAID, UNSAID, VECTOR, WORDS, ContactWords, ServiceHead
from recsys_tf.heads.service_features import ServiceFeatures
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import words_of
from recsys_tf.sequences.moments import events_before, places_of
from recsys_tf.sequences.newest_windows import newest_windows
from recsys_tf.sequences.shards import UserSequences
from recsys_tf.sequences.splits import LEFT_OUT, TEST, TRAINING, VALIDATION
from recsys_tf.sequences.vocabularies import Vocabulary, fit_vocabulary
from recsys_tf.training.fit_risk import in_batches

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

# Inverse strengths of the penalty that are tried, strongest first.
STRENGTHS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
# Scales of the representation beside the counts that are tried: the smaller, the harder its weights are held down.
VECTOR_SCALES: Final = (0.1, 0.3, 1.0)
_FEWEST_CONTACTS: Final = 10
_FEWEST_TIMES: Final = 2


@dataclass(frozen=True)
class ContactData:
    """Contacts as a model sees them, [contacts] each, in the order of the table.

    user: who, as a number; side: TRAINING, VALIDATION or TEST; reason: place in `reasons`, -1 for one that training
    does not hold; last_behavior: id of the last behaviour before, 0 for none; spoken: bool, its words are known; parts:
    VECTOR, COUNTS and WORDS, float32 [contacts, any] each.
    """

    reasons: tuple[str, ...]
    words: Vocabulary
    user: Ints
    side: Ints
    reason: Ints
    last_behavior: Ints
    spoken: npt.NDArray[np.bool_]
    parts: dict[str, Array]

    def inputs(self, names: Sequence[str], side: int) -> Array:
        """Some parts of the contacts of a side, one beside the other: float32 [contacts, any]."""
        return np.concatenate([self.parts[name][self.side == side] for name in names], axis=1)

    def with_words(self) -> "ContactData | None":
        """Leave out the contacts whose words are not known; None where too few of a side are left."""
        side = np.where(self.spoken, self.side, LEFT_OUT)
        enough = all((side == one).sum() >= _FEWEST_CONTACTS for one in (TRAINING, VALIDATION, TEST))
        return dataclasses.replace(self, side=side) if enough and self.words.tokens else None

    def labels(self, side: int) -> Ints:
        """Reasons of the contacts of a side: [contacts]."""
        chosen: Ints = self.reason[self.side == side]
        return chosen


def contact_data(
    contacts: pd.DataFrame, side: Ints, sequences: UserSequences, retrieval: Retrieval, table: Any, space: FeatureSpace
) -> ContactData:
    """Ask the frozen model about the history before every contact.

    contacts: as `read_contacts` returns them; side: int64 [contacts]. A user without events has an empty history.
    Raises InputError for too few contacts of a side, and for a single reason.
    """
    for which, name in ((TRAINING, "training"), (VALIDATION, "validation"), (TEST, "test")):
        if (number := int((side == which).sum())) < _FEWEST_CONTACTS:
            raise InputError(f"{number} contacts on the {name} side: at least {_FEWEST_CONTACTS} are needed")
    training = contacts[side == TRAINING]
    reasons = tuple(sorted(training["reason"].unique()))
    if len(reasons) < 2:
        raise InputError(f"all contacts of the training side have the reason {reasons[0]!r}: there is nothing to learn")
    windows = windows_before(contacts, sequences, space.max_length)
    features = ServiceFeatures(space)
    held = np.count_nonzero(windows["behavior"], axis=1)
    last = windows["behavior"][np.arange(len(held)), held - 1]

    def ask(ids: dict[str, Any]) -> dict[str, Any]:
        return {VECTOR: retrieval.representation(ids, table), COUNTS: features(ids, ids["contacted"])}

    words = _words(training["words"])
    said = ContactWords(words)(tf.constant(contacts["words"].tolist(), tf.string)).numpy()
    return ContactData(
        reasons=reasons,
        words=words,
        user=pd.factorize(contacts["user_id"])[0].astype(np.int64),
        side=side,
        reason=pd.Index(reasons).get_indexer(pd.Index(contacts["reason"])).astype(np.int64),
        last_behavior=last.astype(np.int64),
        spoken=(contacts["words"] != "").to_numpy(bool),
        parts=in_batches(ask, windows) | {WORDS: said},
    )


def windows_before(contacts: pd.DataFrame, sequences: UserSequences, length: int) -> dict[str, Array]:
    """Return the newest `length` events strictly before each contact, as `newest_windows` does.

    Under contacted, the time of each contact, int64 [contacts, 1], ms.
    """
    user = places_of(sequences, contacts["user_id"])
    timestamp = contacts["timestamp"].to_numpy(np.int64)
    end = events_before(sequences, user, timestamp)
    windows = newest_windows(sequences, np.maximum(user, 0), end, length)
    return windows | {"contacted": timestamp[:, None]}


def fit_service(data: ContactData, space: FeatureSpace, answers: Answers) -> ServiceHead:
    """Fit both softmaxes of the head; the second one on contacts with words, as far as there are any."""
    unsaid, said = fit_softmax(data, UNSAID), fit_softmax(data.with_words() or data, SAID)
    return ServiceHead(space, data.reasons, unsaid, said, data.words, answers)


def fit_softmax(data: ContactData, parts: Sequence[str]) -> LinearSoftmax:
    """Fit a softmax over the reasons on some parts of the input, with the penalties that do best on validation."""
    inputs, labels = data.inputs(parts, TRAINING).astype(np.float64), data.labels(TRAINING)
    later, known = data.inputs(parts, VALIDATION), data.labels(VALIDATION)
    later, known = later[known >= 0], known[known >= 0]
    is_vector = np.repeat([name == VECTOR for name in parts], [data.parts[name].shape[1] for name in parts])
    scales = VECTOR_SCALES if is_vector.any() and not is_vector.all() else (1.0,)
    found: list[tuple[float, LinearSoftmax]] = []
    # Small products: threads that wait for each other cost many times what they save.
    with threadpool_limits(1):
        for scale, strength in itertools.product(scales, STRENGTHS):
            scaler = StandardScaler().fit(inputs)
            scaler.scale_ = scaler.scale_ / np.where(is_vector, scale, 1.0)
            model = LogisticRegression(C=strength, max_iter=2000).fit(scaler.transform(inputs), labels)
            softmax = LinearSoftmax.of(scaler, model, len(data.reasons))
            found.append((log_loss(softmax(tf.constant(later)).numpy(), known), softmax))
    return min(found, key=lambda pair: pair[0])[1]


def log_loss(probability: Array, truth: Ints) -> float:
    """Mean of -log of the true class' probability, [contacts, classes] and [contacts]."""
    own = probability[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.maximum(own, 1e-12)).mean())


def _words(texts: pd.Series) -> Vocabulary:
    tokens = words_of(tf.constant(texts.tolist(), tf.string), 0).flat_values.numpy()
    return fit_vocabulary("words", [token.decode("utf-8") for token in tokens], _FEWEST_TIMES)
