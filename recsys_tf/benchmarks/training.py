"""`run.py benchmark training`: every encoder and every loss, beside two references on the same batches.

    the bare products   nothing but the matrix products of the Transformer with the full loss, forward and backward, of
                        the sizes that each batch has: what no implementation on this machine can beat
    the tutorial's way  TFRS' sequential retrieval tutorial: one target per sequence, GRU, in-batch softmax, Keras' own
                        fit over padded batches

Each in a process of its own; sequences are the windows of the prepared log, answers the positions that are asked.
"""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recsys_tf.benchmarks.measuring import measure_in_process, peak_mib, timed
from recsys_tf.config import FeatureConfig, FilterConfig, SplitConfig, TwoTowerConfig, two_tower_fit
from recsys_tf.errors import InputError
from recsys_tf.results.files import publish_result

_BATCH = 128
_WARM_UP = 10
_REPEATS = 3  # of which the fastest counts, where a whole run takes a second
_CROWD = "8"  # times the users, for a look at memory
PRODUCTS, TUTORIAL = "bare products", "TFRS tutorial's way"


def benchmark_training(data: Path, steps: int, publish: str) -> None:
    """Measure `steps` steps of everything (0: one epoch) on a prepared log, or on the raw or imported one in `data`.

    An epoch is the honest measure: fewer steps may live on what was read before the clock began.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = data if (data / "prepared" / "dataset.json").is_file() else _prepare(data, Path(name))
        plain = TwoTowerConfig()
        rows: dict[str, dict[str, Any]] = {
            f"{encoder}, full": {"encoder": encoder} for encoder in ("transformer", "lstm", "gru", "rnn", "bert")
        } | {f"transformer, {loss}": {"loss": loss} for loss in ("sampled", "gbce", "in_batch")}
        figures = {
            PRODUCTS: measure_in_process(__name__, "bare_products", str(folder), str(steps)),
            TUTORIAL: measure_in_process(__name__, "tutorial_steps", str(folder), str(steps)),
        }
        for title in figures:
            _print_row(title, figures[title])
        for title, changed in rows.items():
            config = dataclasses.replace(plain, **changed)
            figures[title] = measure_in_process(
                __name__, "train_steps", str(folder), str(steps), config.encoder, config.loss
            )
            _print_row(title, figures[title])
        figures["evaluation, whole catalogue"] = measure_in_process(__name__, "evaluation_speed", str(folder))
        _print_row("evaluation, whole catalogue", figures["evaluation, whole catalogue"])
        crowd = measure_in_process(__name__, "train_steps", str(folder), str(steps), "transformer", "full", _CROWD)
        figures[f"transformer, full, {_CROWD} times the users"] = crowd
        _print_row(f"transformer, full, {_CROWD} times the users", crowd)
        waiting = measure_in_process(__name__, "input_wait", str(folder), str(steps))
    seconds = {title: one["seconds"] for title, one in figures.items()}
    answers = {title: one["answers_per_second"] for title, one in figures.items()}
    evaluation = figures["evaluation, whole catalogue"]
    ratios = {
        "transformer, full / bare products, seconds": seconds["transformer, full"] / seconds[PRODUCTS],
        "transformer, full / tutorial, answers per second": answers["transformer, full"] / answers[TUTORIAL],
        "transformer, in_batch / tutorial, answers per second": answers["transformer, in_batch"] / answers[TUTORIAL],
        "reader / transformer, full, sequences per second": figures["transformer, full"]["reader_per_second"]
        / figures["transformer, full"]["per_second"],
        "scoring and ranking all items / the matrix product inside, speed": evaluation["product_seconds"]
        / evaluation["ranking_seconds"],
        "evaluation with the query tower / that matrix product, speed": evaluation["product_seconds"]
        / evaluation["seconds"],
        f"peak memory, {_CROWD} times the users / as they are": crowd["peak_mib"]
        / figures["transformer, full"]["peak_mib"],
        "share of a step spent waiting for input (profiler)": waiting["share"],
    }
    print()
    for title, ratio in ratios.items():
        print(f"{title:<66} {ratio:8.2f}")
    if publish:
        result = {
            "data": data.name,
            "steps": int(figures["transformer, full"]["steps"]),
            "batch": _BATCH,
            "sequences": int(figures["transformer, full"]["sequences"]),
            "rows": figures,
            "ratios": ratios,
        }
        print(f"published as {publish_result(publish, result)}")


def _print_row(title: str, figures: dict[str, float]) -> None:
    print(
        f"{title:<32} {figures['per_second']:9,.0f} sequences/s {figures['answers_per_second']:10,.0f} answers/s "
        f"{figures['peak_mib']:7,.0f} MiB",
        flush=True,
    )


def _prepare(data: Path, directory: Path) -> Path:
    from recsys_tf.events.tables import read_clean_log
    from recsys_tf.sequences.prepare import PrepareSettings, prepare

    if not (data / "events.parquet").is_file():
        raise InputError("neither a folder of `run.py import` nor one with prepared data", file=data)
    events, items = read_clean_log(data)
    prepare(events, items, PrepareSettings(SplitConfig(), FilterConfig(), FeatureConfig()), directory / "prepared")
    return directory


def _batches(folder: str, static_shapes: bool = False, times: int = 1) -> tuple[Any, Any]:
    """Open a prepared log and its training batches; times: as if it had so many times its users."""
    from recsys_tf.sequences.dataset import Windowing, open_prepared, retrieval_batches

    data = open_prepared(Path(folder) / "prepared")
    # The same shards several times over are as many users more, of the same catalogue.
    data = dataclasses.replace(data, facts={**data.facts, "shards": data.facts["shards"] * times})
    return data, retrieval_batches(data, Windowing("training", "all", "next_item", 1), _BATCH, 1, static_shapes)


def _figures(seconds: float, batches: list[dict[str, Any]], one_answer: bool = False) -> dict[str, float]:
    sequences = sum(len(batch["held"]) for batch in batches)
    answers = sequences if one_answer else sum(int((batch["label"] >= 0).sum()) for batch in batches)
    rates = {"per_second": sequences / seconds, "answers_per_second": answers / seconds}
    return {"seconds": seconds, "sequences": sequences, **rates}


def _warm_model(data: Any, batches: Any, steps: int, config: TwoTowerConfig) -> Any:
    from recsys_tf.training.fit import adam
    from recsys_tf.training.fit_two_tower import new_two_tower

    model = new_two_tower(data, config)
    model.compile(optimizer=adam(two_tower_fit(), steps))
    model.fit(batches.take(_WARM_UP), verbose=0)
    return model


def train_steps(folder: str, steps: str, encoder: str, loss: str, times: str = "1") -> dict[str, float]:
    """Train the default two-tower model with the given encoder and loss, after a warm-up on other batches.

    times: pretend that the log has so many times as many users.
    """
    data, batches = _batches(folder, times=int(times))
    model = _warm_model(data, batches, int(steps), TwoTowerConfig(encoder=encoder, loss=loss))  # type: ignore[arg-type]
    measured = batches.take(_taken(steps))
    seconds, _ = timed(lambda: model.fit(measured, verbose=0))
    memory = peak_mib()
    reading, read = timed(lambda: list(measured.as_numpy_iterator()))
    speed = {"reader_per_second": sum(len(batch["held"]) for batch in read) / reading}
    return _figures(seconds, read) | speed | {"steps": len(read), "peak_mib": memory}


def _taken(steps: str) -> int:
    """Return what `Dataset.take` wants for so many steps: -1 for all there are."""
    return int(steps) or -1


def input_wait(folder: str, steps: str) -> dict[str, float]:
    """Ask TensorFlow's profiler which share of the time between the first step and the last one waits for a batch."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    data, batches = _batches(folder)
    model = _warm_model(data, batches, int(steps), TwoTowerConfig())
    with tempfile.TemporaryDirectory() as logs:
        tf.profiler.experimental.start(logs)
        model.fit(batches.take(_taken(steps)), verbose=0)
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(logs).rglob("*.xplane.pb")).read_bytes())
    spans = [
        (line.timestamp_ns * 1000 + event.offset_ps, event.duration_ps)
        for plane in space.planes
        for line in plane.lines
        for event in line.events
        if plane.event_metadata[event.metadata_id].name.startswith("IteratorGetNextOp::DoCompute")
    ]
    # The first batch waits for the shuffled pool to fill: that is the start of an epoch, not a step.
    (began, first), *rest = sorted(spans)
    ended = max(at + duration for at, duration in rest)
    return {"share": sum(duration for _, duration in rest) / (ended - began - first), "steps": float(len(rest))}


def bare_products(folder: str, steps: str) -> dict[str, float]:
    """Run the matrix products of every batch: of the blocks, and of the scores of the whole catalogue, times three."""
    import tensorflow as tf

    data, batches = _batches(folder)
    config, items = TwoTowerConfig(), len(data.space.items.tokens)
    width, heads, wide = config.width, config.heads, config.feed_forward * config.width
    table = tf.random.normal([items, width])
    project, output = tf.random.normal([width, 3 * width]), tf.random.normal([width, width])
    up, down = tf.random.normal([width, wide]), tf.random.normal([wide, width])

    def forward_and_backward(left: Any, right: Any) -> Any:
        result = tf.matmul(left, right)
        by_left, by_right = tf.matmul(result, right, transpose_b=True), tf.matmul(left, result, transpose_a=True)
        return tf.reduce_sum(by_left[..., :1]) + tf.reduce_sum(by_right[..., :1])

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator, unused-ignore]
    def products(batch: Any, length: Any, answers: Any) -> Any:
        events = tf.random.stateless_uniform([batch * length, width], [1, 2])
        by_head = tf.reshape(events, [batch * heads, length, width // heads])
        among = tf.matmul(by_head, by_head, transpose_b=True)
        total = 0.0
        for _ in range(config.layers):
            total += forward_and_backward(events, project) + forward_and_backward(events, output)
            total += forward_and_backward(by_head, tf.transpose(by_head, [0, 2, 1])) + forward_and_backward(
                among, by_head
            )
            total += forward_and_backward(events, up) + forward_and_backward(tf.matmul(events, up), down)
        queries = tf.random.stateless_uniform([answers, width], [3, 4])
        chunks = tf.range(0, answers, config.chunk)
        by_chunk = tf.map_fn(
            lambda at: forward_and_backward(queries[at : at + config.chunk], tf.transpose(table)),
            chunks, fn_output_signature=tf.float32, parallel_iterations=1,
        )  # fmt: skip
        return total + tf.reduce_sum(by_chunk)

    read = list(batches.take(_taken(steps)).as_numpy_iterator())
    sizes = [(*batch["label"].shape, int((batch["label"] >= 0).sum())) for batch in read]
    tensors = [tuple(tf.constant(one) for one in size) for size in sizes]
    for size in tensors[:_WARM_UP]:
        products(*size)
    seconds, _ = timed(lambda: [products(*size).numpy() for size in tensors])
    return _figures(seconds, read)


def tutorial_steps(folder: str, steps: str) -> dict[str, float]:
    """Train as TFRS' tutorial does: a GRU over padded histories, the last event as the one target, in-batch softmax."""
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    data, batches = _batches(folder, static_shapes=True)
    width, items = TwoTowerConfig().width, data.space.items.size

    class Tutorial(tfrs.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            layers = tf.keras.layers
            self.query = tf.keras.Sequential([layers.Embedding(items, width), layers.GRU(width)])
            self.candidate = tf.keras.Sequential([layers.Embedding(items, width)])
            self.task = tfrs.tasks.Retrieval()

        def compute_loss(self, inputs: Any, training: bool = False) -> Any:
            return self.task(self.query(inputs["item"]), self.candidate(inputs["target"]), compute_metrics=False)

    def last_target(batch: dict[str, Any]) -> dict[str, Any]:
        target = tf.gather(batch["label"], batch["held"] - 1, batch_dims=1)
        return {"item": batch["item"], "target": tf.maximum(target, 0)}

    model = Tutorial()
    model.compile(optimizer=tf.keras.optimizers.Adagrad(0.1))
    model.fit(batches.take(_WARM_UP).map(last_target), verbose=0)
    measured = batches.take(_taken(steps))
    seconds, _ = timed(lambda: model.fit(measured.map(last_target), verbose=0))
    return _figures(seconds, list(measured.as_numpy_iterator()), one_answer=True)


def evaluation_speed(folder: str) -> dict[str, float]:
    """Rank the validation side over the whole catalogue: from histories, from query vectors, and the product alone."""
    import tensorflow as tf

    from recsys_tf.models.index import scores, target_ranks
    from recsys_tf.models.retrieval import Retrieval
    from recsys_tf.sequences.vocabularies import FIRST
    from recsys_tf.training.fit_two_tower import new_two_tower
    from recsys_tf.training.validation import ranking, read_validation

    data, _ = _batches(folder)
    model = new_two_tower(data, TwoTowerConfig())
    validation = read_validation(data, 25_000, remove_seen=False)
    candidates = model.candidates(model.table())
    targets = [tf.maximum(batch["target_row"] - FIRST, -1) for batch in validation.batches]
    queries = [tf.random.normal([len(target), candidates.shape[1]]) for target in targets]
    product = tf.function(lambda one: scores(one, candidates)[:, :1], autograph=False)
    ranked = tf.function(lambda one, target: target_ranks(scores(one, candidates), target), autograph=False)
    rank = ranking(Retrieval(model, data.space), validation)

    def fastest(work: Callable[[], Any]) -> float:
        work()
        return min(timed(work)[0] for _ in range(_REPEATS))

    number = float(len(validation))
    seconds = fastest(rank)
    return {
        "seconds": seconds,
        "ranking_seconds": fastest(
            lambda: [ranked(one, target).numpy() for one, target in zip(queries, targets, strict=True)]
        ),
        "product_seconds": fastest(lambda: [product(one).numpy() for one in queries]),
        "per_second": number / seconds,
        "answers_per_second": number / seconds,
    }
