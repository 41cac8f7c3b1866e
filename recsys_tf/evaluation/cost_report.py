"""The page's section about what training and answering cost: wall time, CPU time, energy."""

from collections.abc import Mapping

from recsys_tf.cost import Cost
from recsys_tf.page import Section, Table
from recsys_tf.training.fit import History

_NOT_SHOWN = "not shown by this machine"
_NOT_RECORDED = "not recorded"


def cost_section(histories: Mapping[str, History], answering: Mapping[str, Cost], queries: int) -> Section:
    """Lay out what each model's training cost, by its name, and what each recommender's answers did.

    histories: per epoch. answering: the cost of `queries` questions.
    """
    training = Table(
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
    answers = Table(
        ["1,000 questions, whole catalogue ranked", "wall s", "CPU s", "J"],
        [[name, *_per_thousand(spent, queries)] for name, spent in answering.items()],
        "In this process and in batches, without the way to a server and back: run.py benchmark serving measures that.",
    )
    return Section("What it cost", "", [training, answers] if answering else [training])


def _per_thousand(spent: Cost, queries: int) -> list[str]:
    share = 1000 / queries
    joules = _NOT_SHOWN if spent.joules is None else f"{spent.joules * share:,.1f}"
    return [f"{spent.seconds * share:.2f}", f"{spent.cpu_seconds * share:.2f}", joules]


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
