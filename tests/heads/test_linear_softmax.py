"""The softmax in the graph gives scikit-learn's probabilities, however many classes there are."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from recsys_tf.heads.linear_softmax import LinearSoftmax


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_probabilities_are_those_of_scikit_learn(classes: int) -> None:
    random = np.random.default_rng(classes)
    inputs = (random.normal(size=(300, 5)) * [1, 10, 0.1, 1, 1] + 3).astype(np.float32)
    labels = np.digitize(
        inputs[:, 1] + random.normal(size=300), np.quantile(inputs[:, 1], np.linspace(0, 1, classes + 1)[1:-1])
    )
    scaler = StandardScaler().fit(inputs)
    model = LogisticRegression(C=0.5, max_iter=1000).fit(scaler.transform(inputs), labels)
    found = LinearSoftmax.of(scaler, model, classes)(tf.constant(inputs)).numpy()
    np.testing.assert_allclose(found, model.predict_proba(scaler.transform(inputs)), atol=1e-4)


def test_a_class_that_was_never_met_is_never_answered() -> None:
    inputs = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    scaler = StandardScaler().fit(inputs)
    model = LogisticRegression().fit(scaler.transform(inputs), [0, 0, 3, 3])
    found = LinearSoftmax.of(scaler, model, 5)(tf.constant(inputs)).numpy()
    assert (found[:, [1, 2, 4]] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
    assert found.argmax(axis=1).tolist() == [0, 0, 3, 3]
