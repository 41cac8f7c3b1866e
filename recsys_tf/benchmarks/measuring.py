"""Time and peak memory of a step, measured in a process of its own so that one step's memory is not another's."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from recsys_tf.errors import InputError


def measure_in_process(module: str, function: str, *arguments: str) -> dict[str, float]:
    """Run module.function(*arguments) in a fresh Python and return its figures with "peak_mib" added.

    The function returns a dict of figures; peak memory is the process' largest resident set, in MiB, at the end unless
    the function has measured it before.
    """
    code = (
        f"import importlib, json; m = importlib.import_module({module!r}); "
        f"from recsys_tf.benchmarks.measuring import peak_mib; "
        f"figures = m.{function}(*{arguments!r}); print('FIGURES', json.dumps(dict(peak_mib=peak_mib()) | figures))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("FIGURES ")), None)
    if done.returncode or line is None:
        raise InputError(f"{function} failed in its process: {done.stderr.strip().splitlines()[-1:]}")
    figures: dict[str, float] = json.loads(line.removeprefix("FIGURES "))
    return figures


def peak_mib() -> float:
    """Return this process' largest resident set so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Run `work` once and return its wall time in seconds and its result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
