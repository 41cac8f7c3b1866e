"""What keeps the server busy must not silence it: time limits, status under load, half-copied versions."""

import shutil
import threading
from pathlib import Path

import pytest

import recsys_tf  # noqa: F401 — decides which Keras TensorFlow brings

import tensorflow as tf  # isort: skip

from live_server import live_server, save_half_plus, spec

from recsys_tf.serving.server.batching_parameters import BatchingParameters
from recsys_tf.serving.server.bounds import Bounds


def save_counting(folder: Path) -> Path:
    """y = x, counted up to one by one: as slow as one likes."""
    module = tf.Module()

    def count(x: tf.Tensor) -> dict[str, tf.Tensor]:
        done = tf.while_loop(lambda i: i < x[0], lambda i: [i + 1], [tf.constant(0)], maximum_iterations=10**9)
        return {"y": tf.reshape(done, [1])}

    tf.saved_model.save(
        module, str(folder), signatures=tf.function(count, input_signature=[spec(tf.int32, "x")], autograph=False)
    )
    return folder


def test_a_slow_graph_is_a_504_and_the_status_still_answers(tmp_path: Path) -> None:
    save_counting(tmp_path / "m" / "1")
    with live_server({"m": tmp_path / "m"}, timeout_seconds=0.5) as server:
        assert server.predict({"instances": [3]}).json() == {"predictions": [3]}
        slow = [threading.Thread(target=server.predict, args=({"instances": [600_000]},)) for _ in range(2)]
        for thread in slow:
            thread.start()
        answer = server.predict({"instances": [600_000]})
        assert answer.status == 504
        assert "No answer within 0.5 s" in answer.error()
        status = server.ask("GET", "/v1/models/m")
        assert status.json()["model_version_status"][0]["state"] == "AVAILABLE"
        for thread in slow:
            thread.join()


def test_a_good_version_serves_until_a_half_copied_one_is_whole(tmp_path: Path) -> None:
    save_half_plus(tmp_path / "m" / "1", 1.0)
    with live_server({"m": tmp_path / "m"}) as server:
        (tmp_path / "m" / "2").mkdir()
        shutil.rmtree(tmp_path / "m" / "1")
        threading.Event().wait(0.3)  # several polls
        assert server.predict({"instances": [2.0]}).json() == {"predictions": [2.0]}
        shutil.move(tmp_path / "m", tmp_path / "elsewhere")
        threading.Event().wait(0.3)
        assert server.predict({"instances": [2.0]}).json() == {"predictions": [2.0]}


@pytest.mark.parametrize("batching", [None, BatchingParameters()])
def test_rows_and_values_are_bounded(tmp_path: Path, batching: BatchingParameters | None) -> None:
    save_half_plus(tmp_path / "m" / "1", 1.0)
    bounds = Bounds(rows=4, values_per_row=3)
    with live_server({"m": tmp_path / "m"}, bounds=bounds, batching=batching) as server:
        assert server.predict({"instances": [1.0] * 4}).status == 200
        assert server.predict({"instances": [[1.0] * 3] * 4}).status == 200
        many = server.predict({"instances": [1.0] * 5})
        assert (many.status, many.error()) == (400, "input x has 5 rows; this server takes 4 at most")
        wide = server.predict({"inputs": {"x": [[1.0] * 4]}})
        assert (wide.status, wide.error()) == (400, "input x has 4 values in a row; this server takes 3")
        deep = server.predict({"inputs": {"x": [[[1.0, 2.0], [3.0, 4.0]]]}})
        assert "4 values in a row" in deep.error()
        assert server.predict({"inputs": {"x": 1.0}}).status == (200 if batching is None else 400)
