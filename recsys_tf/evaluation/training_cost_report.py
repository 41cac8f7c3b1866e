"""The page's section about what training cost: wall time, CPU time, energy."""

from collections.abc import Mapping

from recsys_tf.page import Section, Table
from recsys_tf.training.fit import History

_NOT_SHOWN = "not shown by this machine"
_NOT_RECORDED = "not recorded"


def training_cost_section(histories: Mapping[str, History]) -> Section:
    """Lay out the cost of every trained model, by its name, from its history per epoch."""
    table = Table(
        [
            "",
            "epochs",
            "wall s per epoch",
            "CPU s per epoch",
            "cores kept busy",
            "CPU s in all",
            "J per epoch",
            "J in all",
        ],
        [[name.replace("_", "-"), *_cells(history)] for name, history in histories.items()],
        "Means over the epochs, validation included; run.json has every epoch. CPU seconds are user and system time of "
        "the process and its children. Joules are those of all of the machine's processors (RAPL), whoever used them.",
    )
    return Section("What training cost", "", [table])


def _cells(history: History) -> list[str]:
    seconds, epochs = sum(history["seconds"]), len(history["seconds"])
    # A run of an earlier version measured wall time only.
    if "cpu_seconds" not in history:
        return [f"{epochs}", f"{seconds / epochs:.2f}", *[_NOT_RECORDED] * 5]
    cpu = sum(history["cpu_seconds"])
    cells = [f"{epochs}", f"{seconds / epochs:.2f}", f"{cpu / epochs:.2f}", f"{cpu / seconds:.1f}", f"{cpu:,.0f}"]
    if "joules" not in history:
        return [*cells, _NOT_SHOWN, _NOT_SHOWN]
    joules = sum(history["joules"])
    return [*cells, f"{joules / epochs:,.1f}", f"{joules:,.0f}"]
