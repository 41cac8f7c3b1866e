"""`run.py benchmark data`: reading, cleaning, preparing and feeding, beside `pandas.read_csv` of the same file.

Every step runs in a process of its own, several times where it is short, and the fastest run counts: what is measured
is the work, not what else the machine did.
"""

import tempfile
from pathlib import Path
from typing import Any

from recsys_tf.benchmarks.measuring import measure_in_process, timed
from recsys_tf.config import (
    ClassifierConfig,
    CleaningConfig,
    FeatureConfig,
    FilterConfig,
    FitConfig,
    SimulateConfig,
    SplitConfig,
)
from recsys_tf.results.files import publish_result

# Events that one simulated user leaves in the default number of days.
_EVENTS_PER_USER = 61
_RUNS = 3


def benchmark_data(events: int, publish: str) -> None:
    """Simulate a log of about so many events, measure every step on it, and print rows/s, memory and ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        users = max(events // _EVENTS_PER_USER, 100)
        steps: dict[str, dict[str, float]] = {}
        plan = [
            ("simulate and write", "simulate_log", (str(folder), str(users)), 1),
            ("pandas.read_csv", "pandas_read", (str(folder),), _RUNS),
            ("pandas.read_csv, as text", "pandas_read_text", (str(folder),), _RUNS),
            ("read + clean", "read_and_clean", (str(folder),), _RUNS),
            ("read + clean + prepare", "read_clean_prepare", (str(folder),), 1),
            ("tf.data reader alone", "feed", (str(folder),), 1),
            ("classifier, training", "train_steps", (str(folder),), 1),
        ]
        for title, function, arguments, runs in plan:
            figures = [measure_in_process(__name__, function, *arguments) for _ in range(runs)]
            steps[title] = min(figures, key=lambda one: one["seconds"])
            _print_step(title, steps[title])
    ratios = {
        f"{ours} / {reference}": steps[ours]["seconds"] / steps[reference]["seconds"]
        for reference in ("pandas.read_csv", "pandas.read_csv, as text")
        for ours in ("read + clean", "read + clean + prepare")
    } | {
        "reader / classifier, sequences per second": steps["tf.data reader alone"]["per_second"]
        / steps["classifier, training"]["per_second"],
    }
    print()
    for title, ratio in ratios.items():
        print(f"{title:<52} {ratio:10.1f}")
    if publish:
        rows = int(steps["pandas.read_csv"]["amount"])
        print(f"published as {publish_result(publish, {'rows': rows, 'steps': steps, 'ratios': ratios})}")


def _print_step(title: str, figures: dict[str, float]) -> None:
    print(
        f"{title:<36} {figures['seconds']:9.2f} s {figures['per_second']:14,.0f} /s {figures['peak_mib']:9,.0f} MiB",
        flush=True,
    )


def _figures(seconds: float, amount: float) -> dict[str, float]:
    return {"seconds": seconds, "amount": amount, "per_second": amount / seconds}


def simulate_log(folder: str, users: str) -> dict[str, float]:
    """Simulate a log into the folder."""
    from recsys_tf.events.simulator import simulate, write_simulation

    config = SimulateConfig(users=int(users), items=max(int(users) // 2, 2000), output=Path(folder))

    def work() -> int:
        simulation = simulate(config)
        write_simulation(simulation, config.output)
        return len(simulation.lines)

    return _figures(*timed(work))


def pandas_read(folder: str) -> dict[str, float]:
    """Read the log by pandas.read_csv with its defaults; malformed rows are dropped, or it would stop at the first."""
    import pandas as pd

    return _figures(*timed(lambda: len(pd.read_csv(Path(folder) / "user_behavior_data.csv", on_bad_lines="skip"))))


def pandas_read_text(folder: str) -> dict[str, float]:
    """Read the log with every column as text, as cleaning has to see it."""
    import pandas as pd

    path = Path(folder) / "user_behavior_data.csv"
    return _figures(*timed(lambda: len(pd.read_csv(path, on_bad_lines="skip", dtype=str, engine="c"))))


def read_and_clean(folder: str) -> dict[str, float]:
    """Read and clean the log into the two tables."""
    import recsys_tf.events.importers  # noqa: F401 — loading the libraries is not what is measured

    seconds, log = timed(lambda: _import(Path(folder)))
    return _figures(seconds, log.account.read)


def read_clean_prepare(folder: str) -> dict[str, float]:
    """Read, clean and prepare the log, shards written."""
    import recsys_tf.events.importers  # noqa: F401 — as above
    from recsys_tf.sequences.prepare import PrepareSettings, prepare

    def work() -> int:
        log = _import(Path(folder))
        settings = PrepareSettings(SplitConfig(), FilterConfig(), FeatureConfig())
        prepare(log.events, log.items, settings, Path(folder) / "prepared")
        return int(log.account.read)

    return _figures(*timed(work))


def feed(folder: str) -> dict[str, float]:
    """Read the prepared shards as training batches, one whole epoch after a first that warms up."""
    batches = _batches(Path(folder), FitConfig())

    def epoch() -> int:
        return sum(int(labels.shape[0]) for _, labels, _ in batches)

    epoch()
    return _figures(*timed(epoch))


def train_steps(folder: str) -> dict[str, float]:
    """Train the default classifier for one epoch after a first that warms up, on the same batches."""
    from recsys_tf.sequences.dataset import open_prepared
    from recsys_tf.training.fit import new_classifier

    fit = FitConfig()
    data = open_prepared(Path(folder) / "prepared")
    model = new_classifier(data, ClassifierConfig(), ClassifierConfig().every_position)
    model.compile("adam", "sparse_categorical_crossentropy")
    batches = _batches(Path(folder), fit).take(400)
    model.fit(batches.take(20), verbose=0)
    seconds, _ = timed(lambda: model.fit(batches, verbose=0))
    return _figures(seconds, sum(int(labels.shape[0]) for _, labels, _ in batches))


def _batches(folder: Path, fit: FitConfig) -> Any:
    from recsys_tf.sequences.dataset import Windowing, open_prepared, training_batches

    data = open_prepared(folder / "prepared")
    config = ClassifierConfig()
    windowing = Windowing("training", "all", config.target, config.purchase_horizon)
    return training_batches(data, windowing, config.inputs, fit.batch_size, seed=fit.seed)


def _import(folder: Path) -> Any:
    from recsys_tf.events.importers import import_log

    files = [folder / "user_behavior_data.csv", folder / "items.csv"]
    return import_log("generic", files, columns={}, behaviors={}, config=CleaningConfig())
