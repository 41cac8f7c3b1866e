"""Meters: CPU time by what was done, and energy from counters that may wrap around, be missing or be locked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_tf.cost import Reading, cost_between, cpu_seconds_of, own_cpu_seconds, read_meters


def zone(powercap: Path, folder: str, name: str, microjoules: int, largest: int = 1000) -> None:
    (powercap / folder).mkdir(parents=True, exist_ok=True)
    for file, value in (("name", name), ("energy_uj", microjoules), ("max_energy_range_uj", largest)):
        (powercap / folder / file).write_text(f"{value}\n")


def test_energy_is_that_of_all_processors_and_their_memory_once(tmp_path: Path) -> None:
    for number, moved in enumerate((0, 1)):
        zone(tmp_path, "intel-rapl:0", "package-0", 100 + 10 * moved)
        zone(tmp_path, "intel-rapl:1", "package-1", 500 + 200 * moved)
        zone(tmp_path, "intel-rapl:1:0", "dram", 0 + 7 * moved)
        # Parts of a processor, all together, and the first processor by another way.
        zone(tmp_path, "intel-rapl:0:0", "core", 0 + 900 * moved)
        zone(tmp_path, "intel-rapl:2", "psys", 0 + 900 * moved)
        zone(tmp_path, "intel-rapl-mmio:0", "package-0", 100 + 10 * moved)
        if number == 0:
            before = read_meters(tmp_path)
    assert cost_between(before, read_meters(tmp_path)).joules == pytest.approx(217e-6)


def test_a_counter_that_wraps_around_goes_on(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 262_143_000_000, 262_143_328_850)
    before = read_meters(tmp_path)
    zone(tmp_path, "intel-rapl:0", "package-0", 2_671_150, 262_143_328_850)
    assert cost_between(before, read_meters(tmp_path)).joules == pytest.approx(3.0)


def test_without_all_counters_there_is_no_energy(tmp_path: Path) -> None:
    assert read_meters(tmp_path / "nowhere").energy is None
    zone(tmp_path, "intel-rapl:0", "package-0", 5)
    before = read_meters(tmp_path)
    assert before.energy == {"intel-rapl:0": (5, 1000)}
    zone(tmp_path, "intel-rapl:1", "package-1", 5)
    # Another counter than before: a difference would be that of one processor only.
    assert cost_between(before, read_meters(tmp_path)).joules is None
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("not a number")
    assert read_meters(tmp_path).energy is None
    assert cost_between(before, read_meters(tmp_path)).joules is None


def test_a_counter_that_may_not_be_read_is_no_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 5)
    read = Path.read_text

    # Modes do not stop root, who may run this test.
    def locked(path: Path, *arguments: str, **options: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(path)
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", locked)
    assert read_meters(tmp_path).energy is None


def test_readings_are_subtracted() -> None:
    cost = cost_between(Reading(10.0, 3.0, None), Reading(14.0, 9.5, None))
    assert (cost.seconds, cost.cpu_seconds, cost.joules) == (4.0, 6.5, None)


def test_work_counts_in_this_process_and_in_its_children() -> None:
    busy = "import time\nwhile time.process_time() < 0.4: pass"
    before = own_cpu_seconds()
    subprocess.run([sys.executable, "-c", busy], check=True)
    # The kernel keeps the times of children in ticks, and rounds down.
    assert own_cpu_seconds() - before > 0.2


def test_the_time_of_another_process_is_read_behind_its_name(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    fields = " ".join(str(number) for number in range(3, 53))
    ticks = os.sysconf("SC_CLK_TCK")
    # proc(5): utime is field 14 and stime field 15.
    (tmp_path / "7" / "stat").write_text(f"7 (a (b) c) {fields}\n")
    assert cpu_seconds_of(7, tmp_path) == pytest.approx((14 + 15) / ticks)
    assert cpu_seconds_of(8, tmp_path) is None
    (tmp_path / "7" / "stat").write_text("7 (cut off")
    assert cpu_seconds_of(7, tmp_path) is None
