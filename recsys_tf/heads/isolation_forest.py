"""scikit-learn's isolation forest as a TensorFlow graph, so that what was fitted there is served from a SavedModel."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.ensemble import IsolationForest

Array = npt.NDArray[Any]

_NAMES = ("feature", "threshold", "left", "right", "depth")


class ForestGraph(tf.Module):  # type: ignore[misc]
    """How quickly random cuts isolate a vector: Liu, Ting & Zhou 2008, with the scores of `IsolationForest`.

    trees: the nodes of all trees one after another. feature int32, threshold float32, left and right int32 (children;
    a leaf is its own child), depth float32 (of a leaf: its edges from the root, and what the vectors left in it would
    have needed on average): [nodes] each; root: int32 [trees]; steps: the deepest tree's edges; scale: what a tree
    needs on average for as many vectors as each was grown from.
    """

    def __init__(self, trees: dict[str, Array]) -> None:
        super().__init__()
        self.trees = trees
        self._node = {name: tf.constant(trees[name]) for name in _NAMES}
        self._root, self._steps, self._scale = tf.constant(trees["root"]), int(trees["steps"]), float(trees["scale"])

    @classmethod
    def of(cls, forest: IsolationForest) -> "ForestGraph":
        """Take a fitted forest over."""
        grown = [_tree(one.tree_) for one in forest.estimators_]
        sizes = [len(tree["feature"]) for tree in grown]
        root = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
        trees = {name: np.concatenate([tree[name] for tree in grown]) for name in _NAMES}
        for name in ("left", "right"):
            trees[name] = trees[name] + np.repeat(root, sizes)
        steps = max(one.tree_.max_depth for one in forest.estimators_)
        scale = float(average_path(np.array([forest.max_samples_]))[0])
        return cls(trees | {"root": root, "steps": np.array(steps), "scale": np.array(scale)})

    def __call__(self, vectors: Any) -> Any:
        """Vectors float32 [batch, width] → how isolated each is, float32 [batch], in 0..1: 0.5 is ordinary."""
        node = tf.tile(self._root[tf.newaxis], [tf.shape(vectors)[0], 1])  # [batch, trees]
        for _ in range(self._steps):
            value = tf.gather(vectors, tf.gather(self._node["feature"], node), batch_dims=1)
            goes_left = value <= tf.gather(self._node["threshold"], node)
            node = tf.where(goes_left, tf.gather(self._node["left"], node), tf.gather(self._node["right"], node))
        depth = tf.reduce_mean(tf.gather(self._node["depth"], node), axis=1)
        return 2.0 ** (-depth / self._scale)

    def save(self, path: Path) -> None:
        """Write the trees as one .npz file."""
        np.savez_compressed(path, allow_pickle=False, **self.trees)

    @classmethod
    def load(cls, path: Path) -> "ForestGraph":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as trees:
            return cls(dict(trees))


def average_path(vectors: Array) -> npt.NDArray[np.float64]:
    """Edges that a random tree needs on average to isolate one of so many vectors: float64 [n], as is `vectors` [n]."""
    n = np.asarray(vectors, np.float64)
    harmonic = np.log(np.maximum(n - 1.0, 1.0)) + np.euler_gamma
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, 2.0 * harmonic - 2.0 * (n - 1.0) / np.maximum(n, 1.0)))


def _tree(tree: Any) -> dict[str, Array]:
    """One tree's nodes; scikit-learn marks a leaf by children of -1."""
    own = np.arange(tree.node_count)
    is_leaf = tree.children_left < 0
    edges = np.zeros(tree.node_count)
    # Parents come before their children.
    for node in np.flatnonzero(~is_leaf):
        edges[[tree.children_left[node], tree.children_right[node]]] = edges[node] + 1
    return {
        "feature": np.where(is_leaf, 0, tree.feature).astype(np.int32),
        "threshold": np.where(is_leaf, 0.0, tree.threshold).astype(np.float32),
        "left": np.where(is_leaf, own, tree.children_left).astype(np.int32),
        "right": np.where(is_leaf, own, tree.children_right).astype(np.int32),
        "depth": (edges + average_path(tree.n_node_samples)).astype(np.float32),
    }
