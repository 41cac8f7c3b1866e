"""What training and answering cost, as the page says it."""

from recsys_tf.cost import Cost
from recsys_tf.evaluation.cost_report import cost_section


def test_costs_are_means_over_epochs_and_sums() -> None:
    shown = {"loss": [2.0, 1.0], "seconds": [10.0, 30.0], "cpu_seconds": [15.0, 45.0], "joules": [400.0, 1000.0]}
    dark = {name: values for name, values in shown.items() if name != "joules"}
    old = {name: values for name, values in dark.items() if name != "cpu_seconds"}
    (table,) = cost_section({"two_tower": shown, "classifier": dark, "old": old}, {}, 0).tables
    assert table.rows == [
        ["two-tower", "2", "20.00", "30.00", "1.5", "60", "700.0", "1,400"],
        ["classifier", "2", "20.00", "30.00", "1.5", "60", *["not shown by this machine"] * 2],
        ["old", "2", "20.00", *["not recorded"] * 5],
    ]
    assert all(len(row) == len(table.header) for row in table.rows)


def test_answers_are_given_by_the_thousand() -> None:
    _, table = cost_section({}, {"two-tower": Cost(4.0, 6.0, 100.0), "rule": Cost(0.5, 0.5, None)}, 500).tables
    assert table.rows == [
        ["two-tower", "8.00", "12.00", "200.0"],
        ["rule", "1.00", "1.00", "not shown by this machine"],
    ]
