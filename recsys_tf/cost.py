"""What work costs: wall time, CPU time, and energy where the machine shows it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

# Where Linux shows the counters of Intel's and AMD's processors (RAPL); most systems let only root read them.
POWERCAP = Path("/sys/class/powercap")
# A field of /proc/PID/stat counts from the end of the program's name, which may hold spaces and brackets itself.
_USER, _SYSTEM = 11, 12


@dataclass(frozen=True)
class Reading:
    """The meters at one moment.

    cpu_seconds: user and system time of this process and of its children that have ended. energy: by counter,
    microjoules and the largest value before it begins again at 0; None where the machine does not show it.
    """

    seconds: float
    cpu_seconds: float
    energy: dict[str, tuple[int, int]] | None


@dataclass(frozen=True)
class Cost:
    """What was spent between two readings; joules are those of all processors, whoever used them, None if not shown."""

    seconds: float
    cpu_seconds: float
    joules: float | None


def read_meters(powercap: Path = POWERCAP) -> Reading:
    """Read all meters now."""
    return Reading(time.monotonic(), own_cpu_seconds(), _energy(powercap))


def cost_between(before: Reading, after: Reading) -> Cost:
    """Subtract two readings.

    A counter that went through its largest value once is put right; at 200 watts the usual one does so every twenty
    minutes, and a second time would go unnoticed.
    """
    joules = None
    if before.energy is not None and after.energy is not None and before.energy.keys() == after.energy.keys():
        spent = [_since(before.energy[name][0], *after.energy[name]) for name in before.energy]
        joules = sum(spent) / 1e6
    return Cost(after.seconds - before.seconds, after.cpu_seconds - before.cpu_seconds, joules)


def own_cpu_seconds() -> float:
    """Return the user and system time so far of this process and of its children that have ended."""
    return float(sum(os.times()[:4]))


def cpu_seconds_of(pid: int, proc: Path = Path("/proc")) -> float | None:
    """Return the user and system time so far of another process; None where the system does not say."""
    try:
        fields = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        ticks = int(fields[_USER]) + int(fields[_SYSTEM])
    except (OSError, ValueError, IndexError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK")


def _energy(powercap: Path) -> dict[str, tuple[int, int]] | None:
    try:
        counters = {
            zone.name: (_number(zone / "energy_uj"), _number(zone / "max_energy_range_uj"))
            # "intel-rapl-mmio:0" is the first processor a second time.
            for zone in sorted(powercap.glob("intel-rapl:*"))
            if _counts(zone)
        }
    except (OSError, ValueError):
        # A part of the processors would pass for all of them.
        return None
    return counters or None


def _counts(zone: Path) -> bool:
    """Say whether a zone is a processor, or memory outside of one: the others are parts of these, or all together."""
    name = (zone / "name").read_text(encoding="ascii").strip()
    return name.startswith("package") or name == "dram"


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def _since(before: int, after: int, largest: int) -> int:
    return after - before if after >= before else after - before + largest
