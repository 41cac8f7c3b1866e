"""The two-tower model's signatures: a raw history in, items of the whole catalogue out.

serving_default  history → the items that come next
recommend        the same from all that is known of each event, with what may be asked of the answer
search           history and words → the items that are meant
score            history and given items → their scores (re-ranking, ads)
explain          like recommend, and what each past event did for each item
embed_query      history → its vector
embed_candidate  items → their vectors

Every input has the batch as its first dimension; "" and 0 stand for what is not known or not asked.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import tensorflow as tf

from recsys_tf.models.attribution import contributions
from recsys_tf.models.index import top_items, without
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.serving.history import COLUMN, CONTEXT, HISTORY, QUESTION, HistoryIds, K, asked_behavior, largest, shown

Tensors = dict[str, Any]

_ITEMS = tf.TensorSpec([None, None], tf.string, "candidate")


class SignatureSource(Protocol):
    """What adds signatures to the model's own: the heads of a run, or its halves for an accelerator."""

    def signatures(self) -> dict[str, Any]:
        """Return the functions to export, by signature name."""


class TwoTowerSignatures(tf.Module):  # type: ignore[misc]
    """What a server is asked; vocabularies, features, catalogue and mixture are inside."""

    def __init__(
        self,
        retrieval: Retrieval,
        space: FeatureSpace,
        table: Any,
        max_k: int,
        more: Sequence[SignatureSource] = (),
        history: HistoryIds | None = None,
    ) -> None:
        """more: what a model has beside its own signatures. history: shared with those, so that it is saved once."""
        super().__init__()
        self._history = HistoryIds(space) if history is None else history
        self._max_k, self._more = max_k, more
        # A Keras model that a module holds is saved with functions for each of its layers, which nobody ever calls and
        # which take most of the time; what answers needs its weights only.
        self._retrieval: Callable[[], Retrieval] = lambda: retrieval
        self._weights = retrieval.model.variables
        self._table = tf.constant(table, tf.float32)
        self._item_ids = tf.constant(space.catalogue.item_ids, tf.string)
        self._titles = tf.constant(space.catalogue.titles, tf.string)
        self._categories = tf.constant(space.catalogue.categories, tf.string)

    def signatures(self) -> dict[str, Any]:
        """Return the functions to export, by signature name."""
        named = {
            "serving_default": self.next_items,
            "recommend": self.recommend,
            "search": self.search,
            "score": self.score,
            "explain": self.explain,
            "embed_query": self.embed_query,
            "embed_candidate": self.embed_candidate,
        }
        found = {name: function.get_concrete_function() for name, function in named.items()}
        for source in self._more:
            found |= source.signatures()
        return found

    @tf.function(input_signature=[*HISTORY, K], autograph=False)
    def next_items(self, item_id: Any, behavior: Any, k: Any) -> Tensors:
        """History [batch, length] and k [batch] → the k best items: item_id, title, score [batch, max(k)]."""
        ids = self._history(item_id, behavior, *_nothing_else(item_id))
        return self._listed(*self._best(self._everything(ids), k), k)

    @tf.function(input_signature=[*HISTORY, *CONTEXT, *QUESTION, K], autograph=False)
    def recommend(
        self,
        item_id: Any,
        behavior: Any,
        query: Any,
        device: Any,
        timestamp: Any,
        target_behavior: Any,
        exclude: Any,
        category: Any,
        k: Any,
    ) -> Tensors:
        """The same from all that is known; searches are events with words.

        target_behavior [batch]: what the user is to do with the items, "" for anything. exclude [batch, any]: items
        that must not come. category [batch]: the one that items must have, "" for any.
        """
        ids = self._history(item_id, behavior, query, device, timestamp)
        everything = without(self._everything(ids, target_behavior), self._rows(exclude) - FIRST)
        fits = (category == "")[:, tf.newaxis] | (category[:, tf.newaxis] == self._categories)
        everything = tf.where(fits, everything, float("-inf"))
        return self._listed(*self._best(everything, k), k)

    @tf.function(input_signature=[*HISTORY, tf.TensorSpec([None], tf.string, "query"), K], autograph=False)
    def search(self, item_id: Any, behavior: Any, query: Any, k: Any) -> Tensors:
        """History [batch, length] and the words typed now [batch] → the k best items, as `next_items`."""
        words = query[:, tf.newaxis]
        item_id, behavior = (tf.concat([one, tf.zeros_like(words)], axis=1) for one in (item_id, behavior))
        _, device, timestamp = _nothing_else(item_id)
        queries = tf.concat([tf.zeros_like(item_id[:, 1:]), words], axis=1)
        ids = self._history(item_id, behavior, queries, device, timestamp)
        return self._listed(*self._best(self._everything(ids), k), k)

    @tf.function(input_signature=[*HISTORY, *CONTEXT, QUESTION[0], _ITEMS], autograph=False)
    def score(
        self,
        item_id: Any,
        behavior: Any,
        query: Any,
        device: Any,
        timestamp: Any,
        target_behavior: Any,
        candidate: Any,
    ) -> Tensors:
        """History and candidate [batch, any] → score and known [batch, any]; what is not in the catalogue gets 0."""
        ids = self._history(item_id, behavior, query, device, timestamp)
        rows = self._rows(candidate)
        known = rows >= FIRST
        scores = tf.gather(self._everything(ids, target_behavior), tf.where(known, rows - FIRST, 0), batch_dims=1)
        return {"score": tf.where(known, scores, 0.0), "known": known}

    @tf.function(input_signature=[*HISTORY, *CONTEXT, K], autograph=False)
    def explain(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, k: Any) -> Tensors:
        """The k best items, and contribution [batch, max(k), length]: each one's score less its score without an event.

        Events that are padding or too old to be seen contribute 0.
        """
        ids = self._history(item_id, behavior, query, device, timestamp)
        score, index = self._best(self._everything(ids), k)
        column = ids.pop(COLUMN)
        per_position = contributions(self._retrieval(), ids, index, self._table)
        place = tf.one_hot(column, tf.shape(item_id)[1])  # [batch, positions, length]
        contribution = tf.matmul(per_position, place)
        there = shown(k, score)[..., tf.newaxis]
        return {**self._listed(score, index, k), "contribution": tf.where(there, contribution, 0.0)}

    @tf.function(input_signature=[*HISTORY, *CONTEXT, QUESTION[0]], autograph=False)
    def embed_query(
        self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, target_behavior: Any
    ) -> Tensors:
        """History → the vector of the query tower: float32 [batch, width]."""
        ids = self._history(item_id, behavior, query, device, timestamp)
        return {"vector": self._retrieval().queries(ids, self._asked(target_behavior), self._table)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "item_id")], autograph=False)
    def embed_candidate(self, item_id: Any) -> Tensors:
        """Item ids [batch] → the vectors of the candidate tower [batch, width]; an unknown item has the one that stands
        for all such, and known [batch] is false."""
        rows = self._rows(item_id)
        vectors = tf.gather(self._retrieval().model.vectors(self._table), rows)
        return {"vector": vectors, "known": rows >= FIRST}

    def _rows(self, item_id: Any) -> Any:
        return self._history.rows(item_id)

    def _asked(self, target_behavior: Any) -> Any:
        return asked_behavior(self._history.behaviors(target_behavior))

    def _everything(self, ids: Tensors, target_behavior: Any = None) -> Any:
        number = tf.shape(ids["row"])[0]
        asked = tf.fill([number], ANY_BEHAVIOR) if target_behavior is None else self._asked(target_behavior)
        return self._retrieval()(ids, asked, self._table)

    def _best(self, everything: Any, k: Any) -> tuple[Any, Any]:
        best: tuple[Any, Any] = top_items(everything, largest(k, self._max_k))
        return best

    def _listed(self, score: Any, index: Any, k: Any) -> Tensors:
        """Write the items out; places beyond a row's k and items that were taken out are ""."""
        there = shown(k, score) & (score > float("-inf"))
        return {
            "item_id": tf.where(there, tf.gather(self._item_ids, index), ""),
            "title": tf.where(there, tf.gather(self._titles, index), ""),
            "score": tf.where(there, score, 0.0),
        }


def _nothing_else(item_id: Any) -> tuple[Any, Any, Any]:
    """Return query, device and timestamp of events of which no more is known."""
    empty = tf.zeros_like(item_id)
    return empty, empty, tf.zeros(tf.shape(item_id), tf.int64)
