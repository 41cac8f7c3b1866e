"""Progress lines tell how fast and how long; a figure's environment says what made it; measuring has a process."""

import io
import json
from pathlib import Path

import pytest

from recsys_tf.benchmarks import measuring
from recsys_tf.environment import describe_environment
from recsys_tf.errors import InputError
from recsys_tf.progress import Progress, format_seconds, with_progress


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_a_progress_line_counts_and_foretells(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0, 4.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    progress = Progress("reading", "rows", 4000, stream)
    progress.add(1000)
    assert stream.getvalue() == "reading: 1,000 rows, 500 rows/s, 6 s left\n"
    progress.close()
    assert "1,000 rows, 250 rows/s" in stream.getvalue()


def test_quick_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(with_progress([1, 2, 3], "counting", "numbers")) == [1, 2, 3]
    assert capsys.readouterr().err == ""


def test_the_environment_is_ready_for_json() -> None:
    environment = json.loads(json.dumps(describe_environment()))
    assert environment["packages"]["tensorflow"].startswith("2.")
    assert environment["machine"]["cores"] >= 1
    assert len(environment["commit"].rstrip("+")) == 12 or environment["commit"] == "unknown"


def test_a_measured_step_has_a_process_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "user_behavior_data.csv"
    log.write_text("user_id,item_id\nu1,i1\nu2,i2\n")
    figures = measuring.measure_in_process("recsys_tf.benchmarks.data", "pandas_read", str(tmp_path))
    assert figures["amount"] == 2
    assert figures["per_second"] == pytest.approx(2 / figures["seconds"])
    assert figures["peak_mib"] > 1
    with pytest.raises(InputError, match="pandas_read failed in its process"):
        measuring.measure_in_process("recsys_tf.benchmarks.data", "pandas_read", str(tmp_path / "absent"))
