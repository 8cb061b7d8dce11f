"""The published numbers, and the comparison of runs with them."""

import math

import pytest

from mlpcw.study.original.published import (
    COLUMN_NAMES,
    Comparison,
    compare,
    log_names,
    printed,
    published_log,
    report_tables,
    seconds_2016,
    table_row,
    verdict,
)

LOG = "part1/none"
ROWS = [
    (name.removeprefix("table_").replace("_", "."), row)
    for name, table in report_tables().items()
    if name.startswith("table")
    for row in table["values"]
]


def log_curves(num_points=21):
    """The curves of a run that prints exactly what 2016 printed, or its first points."""
    return {name: values[:num_points] for name, values in published_log(LOG).items()}


def table_curves(row, num_epochs=100):
    """The curves of a run that ends as a table's row has it."""
    cells = table_row(*row).items()
    return {"epoch": [0, num_epochs], **{column: [1.0, cell] for column, cell in cells}}


def test_thirteen_logs_were_published():
    assert len(set(log_names())) == 13
    assert seconds_2016() == 9817


@pytest.mark.parametrize("name", log_names())
def test_a_log_has_21_epochs_of_five_values_of_three_digits(name):
    log = published_log(name)
    assert list(log) == ["epoch", *COLUMN_NAMES]
    assert log.pop("epoch") == list(range(0, 101, 5))
    for values in log.values():
        assert len(values) == 21
        assert all(math.isfinite(value) and value >= 0 for value in values)
        assert [printed(value) for value in values] == values


def test_more_digits_than_2016_printed_match_where_they_round_to_them():
    curves = log_curves()
    curves["error_train"] = [value * (1 + 1e-4) for value in curves["error_train"]]
    comparison = compare(curves, LOG)
    assert comparison == Comparison("log", 105, 105, dict.fromkeys(COLUMN_NAMES, 0.0))
    assert comparison.exact


@pytest.mark.parametrize("column", ["error_train", "acc_train", "error_valid", "acc_valid"])
@pytest.mark.parametrize("row", [0, 20])
def test_a_changed_third_digit_is_noticed(column, row):
    curves = log_curves()
    value = curves[column][row]
    digit = 10 ** (math.floor(math.log10(value)) - 2)
    curves[column][row] = value + digit
    comparison = compare(curves, LOG)
    assert comparison.matched == 104
    assert not comparison.exact
    assert comparison.deviations[column] == pytest.approx(digit / value, rel=1e-9)
    assert sum(share > 0 for share in comparison.deviations.values()) == 1


def test_the_largest_deviation_of_a_column_counts():
    curves = log_curves()
    curves["error_valid"][3] *= 1.5
    curves["error_valid"][7] *= 0.9
    comparison = compare(curves, LOG)
    assert comparison.matched == 103
    assert comparison.deviations["error_valid"] == pytest.approx(0.5, abs=0.01)


def test_a_value_where_2016_printed_0_is_infinitely_far():
    curves = log_curves()
    curves["params_penalty"][5] = 1e-3
    assert compare(curves, LOG).deviations["params_penalty"] == math.inf


def test_only_epochs_that_both_have_are_compared():
    curves = log_curves(num_points=3)
    assert compare(curves, LOG).total == 15
    curves["epoch"] = [0, 3, 10]
    for values in list(curves.values())[1:]:
        values[1] = 99.0
    comparison = compare(curves, LOG)
    assert (comparison.matched, comparison.total) == (10, 10)


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_a_table_is_compared_with_the_end_of_a_whole_run(row):
    comparison = compare(table_curves(row), table=row)
    assert comparison.source == "table"
    assert comparison.exact
    # errors and accuracies; Tables 1.1 and 2.2 have fewer columns
    assert comparison.total == {"1.1": 1, "2.2": 2}.get(row[0], 4)
    assert compare(table_curves(row, num_epochs=5), table=row) == Comparison("table", 0, 0, {})


def test_where_there_is_a_log_the_table_does_not_count():
    assert compare(log_curves(), LOG, ("1.1", "none")) == compare(log_curves(), LOG)


@pytest.mark.parametrize(
    ("comparison", "obstacle", "line"),
    [
        (compare(log_curves(), LOG), "", "105 of 105 printed values of its log"),
        (compare(log_curves(), LOG), "unseeded", "105 of 105 printed values of its log"),
        (
            Comparison("log", 94, 105, {"error_train": 0.0049, "acc_train": 0.0}),
            "",
            " 94 of 105 printed values of its log; the others by at most: training error 0.5 %",
        ),
        (
            Comparison("table", 1, 4, {"error_train": 0.01, "acc_valid": 0.5}),
            "unseeded",
            "  1 of   4 printed values of its table; the others by at most: training error 1.0 %,"
            " validation accuracy 50.0 % (unseeded)",
        ),
        (
            Comparison("table", 0, 0, {}),
            "",
            "2016 printed only the values after all 100 epochs, in a table",
        ),
        (compare(log_curves()), "", "2016 printed nothing to compare with"),
    ],
)
def test_the_verdict_in_a_line(comparison, obstacle, line):
    assert verdict(comparison, obstacle) == line
