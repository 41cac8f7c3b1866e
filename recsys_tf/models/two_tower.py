"""The two-tower retrieval model (Covington et al. 2016; Yi et al. 2019) as a tfrs.Model.

history ─ candidate tower per event ─┐
behaviour, device, time, search words ┴ + ─ encoder ─ question ─ query [width] ──┐
                                                                                 · ─ score
item id, category, price, title, vector ─ candidate tower ─ candidate [width] ───┘
"""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recsys_tf.config import TwoTowerConfig
from recsys_tf.models import losses
from recsys_tf.models.candidate_tower import CandidateTower, WordEmbedding
from recsys_tf.models.event_embedding import event_sizes
from recsys_tf.models.item_frequency import ItemFrequency
from recsys_tf.models.lookup import FixedLookup, lookup
from recsys_tf.models.negatives import across_replicas, draw_items, draw_positions, owns
from recsys_tf.models.query_tower import ANY_BEHAVIOR, QueryTower
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.vocabularies import FIRST

Tensors = dict[str, Any]


class TwoTower(tfrs.Model):  # type: ignore[misc]
    """Query tower, candidate tower and the loss between them.

    Inputs are the batches of `retrieval_batches`. item_shares: float32 [items of the vocabulary], each item's share of
    the training events; without them all items count as equally popular. static_shapes: let no tensor's shape depend
    on the data, as XLA and TPUs want it.
    """

    def __init__(
        self, space: FeatureSpace, config: TwoTowerConfig, item_shares: Any = None, static_shapes: bool = False
    ) -> None:
        super().__init__()
        sizes = event_sizes(space)
        self._config, self._static = config, static_shapes
        words = WordEmbedding(sizes.words, config.width, static_shapes)
        self.candidate_tower = CandidateTower(
            space.catalogue, sizes, words, config.width, config.item_dropout, static_shapes
        )
        self.query_tower = QueryTower(sizes, words, config, 1 + space.max_length)
        # Row of each item of the vocabulary, in the order of the labels.
        known = np.flatnonzero(space.catalogue.item >= FIRST)
        rows = known[np.argsort(space.catalogue.item[known], kind="stable")]
        self._label_rows = tf.constant(rows, tf.int32)
        self._labelled = FixedLookup(rows, self.candidate_tower.rows, static_shapes=static_shapes)
        # The label of each row, -1 where training has not seen the item.
        self._row_labels = tf.constant(
            np.where(space.catalogue.item >= FIRST, space.catalogue.item - FIRST, -1), tf.int32
        )
        self._items = len(rows)
        uniform = np.full(len(rows), 1.0 / max(len(rows), 1), np.float32)
        self._popularity = tf.constant(uniform if item_shares is None else item_shares, tf.float32)
        self._draw_shares = self._popularity if config.negative_sampling == "popularity" else tf.constant(uniform)
        self._task = losses.retrieval_task()
        # TFRS reports the loss of the last batch; this is the epoch's.
        self._mean_loss = tf.keras.metrics.Mean("mean_loss")
        self.frequency = ItemFrequency(len(rows)) if config.loss == "in_batch" else None

    def call(self, inputs: Tensors, training: bool | None = None) -> Any:
        """Queries at every position for any next behaviour: float32 [batch, length, width]."""
        items = self.candidate_tower(inputs["row"], training=training)
        asked = tf.fill(tf.shape(inputs["row"]), ANY_BEHAVIOR)
        return self._scaled(self.query_tower(inputs, items, asked, training=training))

    def query(self, inputs: Tensors, target_behavior: Any, table: Any) -> Any:
        """The query of whole histories: float32 [batch, width]; target_behavior int32 [batch], table as below."""
        items = tf.gather(table, inputs["row"])
        answers = self.query_tower(inputs, items, target_behavior[:, tf.newaxis], at=inputs["held"] - 1)
        return self._scaled(answers[:, 0])

    def table(self) -> Any:
        """What both towers see of every catalogue row, the reserved ones included: float32 [rows, width].

        It is the same for all queries until the weights change: whoever asks many computes it once.
        """
        return self.candidate_tower.table()

    def vectors(self, table: Any) -> Any:
        """What queries are compared with, of any rows of the table: float32 [any, width]."""
        return self._direction(table)

    def candidates(self, table: Any) -> Any:
        """Vectors of all items in the order of the catalogue: float32 [items, width]."""
        return self.vectors(table[FIRST:])

    def compute_loss(self, inputs: Tensors, training: bool = False) -> Any:
        """Return the mean loss over the positions that have an answer: a float32 scalar."""
        loss = self._loss(inputs, training)
        self._mean_loss.update_state(loss * _replicas())
        return loss

    def _loss(self, inputs: Tensors, training: bool) -> Any:
        table = self.candidate_tower.table(training=training) if self._config.loss == "full" else None
        row = inputs["row"]
        items = self.candidate_tower(row, training=training) if table is None else lookup(table, row)
        asked = self._question(inputs["label_behavior"])
        labelled = inputs["label"] >= 0
        if self._config.new_items_only:
            labelled &= ~repeats(row, tf.gather(self._label_rows, tf.maximum(inputs["label"], 0)))
        masked = None
        if self._config.encoder == "bert":
            masked = labelled & (tf.random.uniform(tf.shape(row)) < self._config.masked_share)
            # The event after the last one is hidden anyway.
            last = tf.range(tf.shape(row)[1]) == inputs["held"][:, tf.newaxis] - 1
            labelled &= masked | last
            masked &= ~last
        answers = self.query_tower(inputs, items, asked, masked=masked, training=training)
        if self._config.loss == "in_batch":
            return self._in_batch(answers, inputs, labelled, training)
        queries, labels, weights = self._positions(answers, inputs["label"], labelled)
        queries = self._scaled(queries)
        total = (
            self._full(queries, labels, weights, table)
            if table is not None
            else self._drawn(queries, labels, weights, training)
        )
        # Gradients of replicas are summed: the share of each keeps the loss the same however many there are.
        return total / tf.maximum(tf.reduce_sum(weights), 1.0) / _replicas()

    def _question(self, behavior: Any) -> Any:
        """Ask for the behaviour that came, or in a share of the sequences for any: [batch, length]."""
        any_behavior = tf.random.uniform([tf.shape(behavior)[0], 1]) < self._config.any_behavior
        return tf.where(any_behavior | (behavior < 0), ANY_BEHAVIOR, behavior)

    def _positions(self, answers: Any, label: Any, labelled: Any) -> tuple[Any, Any, Any]:
        """Flatten to queries [n, width], labels [n] and weights [n], without positions that have no answer."""
        width = self._config.width
        queries, labels, weights = tf.reshape(answers, [-1, width]), tf.reshape(label, [-1]), tf.reshape(labelled, [-1])
        if not self._static:
            at = tf.where(weights)[:, 0]
            queries, labels, weights = tf.gather(queries, at), tf.gather(labels, at), tf.gather(weights, at)
        return queries, tf.maximum(labels, 0), tf.cast(weights, tf.float32)

    def _full(self, queries: Any, labels: Any, weights: Any, table: Any) -> Any:
        # Items that training has not seen would only ever be told that they are wrong.
        candidates = self._direction(self._labelled(table))
        return losses.full_softmax(queries, candidates, labels, weights, self._config.chunk)

    def _drawn(self, queries: Any, labels: Any, weights: Any, training: bool) -> Any:
        config = self._config
        drawn = draw_items(self._draw_shares, config.negatives)
        positives = self._candidates(labels, training)
        negatives = self._candidates(drawn, training)
        if config.loss == "gbce":
            hits = labels[:, tf.newaxis] == drawn
            beta = losses.calibration_beta(config.negatives, self._items, config.gbce_t)
            return losses.generalised_binary_cross_entropy(queries, positives, negatives, hits, weights, beta)
        expected, counts = config.negatives * self._draw_shares, tf.ones_like(drawn, tf.bool)
        if config.mixed_negatives:
            # An item may come by either way: what is to be expected of it is the sum of both.
            expected += tf.reduce_sum(weights) * self._popularity
            drawn, negatives = tf.concat([drawn, labels], axis=0), tf.concat([negatives, positives], axis=0)
            # With static shapes there are positions without an answer, whose label means nothing.
            counts = tf.concat([counts, weights > 0], axis=0)
        hits = (labels[:, tf.newaxis] == drawn) | ~counts
        log_expected = tf.math.log(tf.gather(expected, drawn))
        return losses.sampled_softmax(queries, positives, negatives, hits, log_expected, weights)

    def _in_batch(self, answers: Any, inputs: Tensors, labelled: Any, training: bool) -> Any:
        config = self._config
        at, chosen = draw_positions(labelled, config.positions_per_sequence)  # [batch, positions]
        queries = self._scaled(tf.reshape(tf.gather(answers, at, batch_dims=1), [-1, config.width]))
        labels = tf.reshape(tf.maximum(tf.gather(inputs["label"], at, batch_dims=1), 0), [-1])
        targets = self._candidates(labels, training)
        weights = tf.reshape(tf.cast(chosen, tf.float32), [-1])
        # Own targets first, those of other replicas after them, drawn items last.
        candidates, ids, counts = (across_replicas(one) for one in (targets, labels, weights > 0))
        assert self.frequency is not None
        probabilities = self.frequency(ids, counts, training=training)
        if config.mixed_negatives:
            drawn = draw_items(self._draw_shares, config.negatives)
            candidates = tf.concat([candidates, self._candidates(drawn, training)], axis=0)
            probabilities = tf.concat([probabilities, self.frequency(drawn, tf.ones_like(drawn, tf.bool))], axis=0)
            ids, counts = tf.concat([ids, drawn], axis=0), tf.pad(counts, [[0, config.negatives]], constant_values=True)
            probabilities += config.negatives * tf.gather(self._draw_shares, ids)
        # What the user had or will have is no negative for this user.
        history = tf.gather(self._row_labels, inputs["row"])
        own = owns(tf.concat([history, inputs["label"]], axis=1), ids)  # [batch, candidates]
        may_count = counts & ~tf.repeat(own, tf.shape(at)[1], axis=0)
        total = losses.in_batch_softmax(self._task, queries, candidates, probabilities, may_count, weights)
        return total / tf.maximum(tf.reduce_sum(weights), 1.0) / _replicas()

    def _candidates(self, labels: Any, training: bool) -> Any:
        return self._direction(self.candidate_tower(tf.gather(self._label_rows, labels), training=training))

    def _scaled(self, queries: Any) -> Any:
        return self._direction(queries) / self._config.temperature

    def _direction(self, vectors: Any) -> Any:
        vectors = tf.cast(vectors, tf.float32)
        return tf.math.l2_normalize(vectors, axis=-1) if self._config.normalise else vectors


def repeats(history: Any, following: Any) -> Any:
    """Say where the row that follows was in the history already: bool [batch, length].

    history, following: int32 [batch, length], catalogue rows; position p of following comes after that of history.
    """
    same = following[:, :, tf.newaxis] == history[:, tf.newaxis, :]
    return tf.reduce_any(tf.linalg.band_part(same, -1, 0), axis=2)


def _replicas() -> int:
    return int(tf.distribute.get_strategy().num_replicas_in_sync)
