"""The six tables of the report, from stored runs, as Markdown.

A condition has two rows, so that digits to compare stand above one another: the report's numbers,
and those of the runs here. A mark before one of ours says how it came out: `=` where it is the
report's, replayed digit for digit, and `†` where the report's table prints another number but the
log published with it has ours. With several seeds there is no report beside them: the two rows are
then the mean and the range over the seeds.
"""

import dataclasses

from mlpcw.study.original import published as replay
from mlpcw.study.records.results import Results
from mlpcw.study.show.words import label, three_digits

EQUAL, EQUAL_TO_LOG = "=", "†"

UNMARKED = (*replay.NOT_REPLAYABLE, *replay.UNKNOWN_START)
"""Runs that are no replay: where one of their numbers is the report's, it is a coincidence."""

_HEADINGS = {
    "error_train": "training error",
    "error_valid": "validation error",
    "acc_train": "training accuracy",
    "acc_valid": "validation accuracy",
    "error": "test error",
    "acc": "test accuracy",
}


@dataclasses.dataclass(frozen=True)
class _Table:
    """One table: its rows, and its columns from the curves' ends and from the test images."""

    number: str
    part: str
    rows: dict[str, str]  # the report's name of a row to the arm's
    columns: tuple[str, ...]
    test: tuple[str, ...]

    def report(self, name: str, column: str) -> float:
        """What the report's table prints."""
        row = replay.report_tables()["table_" + self.number.replace(".", "_")]["values"][name]
        return row[column] if isinstance(row, dict) else row


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_ALL = ("error_train", "error_valid", "acc_train", "acc_valid")
_PENALTIES = _same("none", "l1_1e-5", "l2_1e-4", "l1l2_1e-5_1e-4")
_AUGMENTATIONS = _same(
    "initial_data", "random_noise", "random_shift", "random_rotation", "random_distortion"
)
_SIZES = {size: f"size_{size}" for size in ("1000", "5000", "10000")}
_SIGMAS = _same("sigma_1", "sigma_4", "sigma_10")


def table_1_1(results: Results) -> str:
    """Validation error of four conditions of Part 1; test error besides."""
    return _markdown(results, _Table("1.1", "part1", _PENALTIES, ("error_valid",), ("error",)))


def table_2_1(results: Results) -> str:
    """Errors and accuracies by the number of images a pass; test error besides."""
    return _markdown(results, _Table("2.1", "part2", _SIZES, _ALL, ("error",)))


def table_2_2(results: Results) -> str:
    """Validation error and accuracy with each augmentation; the same on the test images besides."""
    columns = ("error_valid", "acc_valid")
    return _markdown(results, _Table("2.2", "part2", _AUGMENTATIONS, columns, ("error", "acc")))


def table_2_3(results: Results) -> str:
    """Errors and accuracies by the width of the distortion's blur; test error besides."""
    return _markdown(results, _Table("2.3", "part2", _SIGMAS, _ALL, ("error",)))


def table_3_1(results: Results) -> str:
    """Errors and accuracies with and without a convolutional layer; test accuracy besides."""
    return _markdown(results, _Table("3.1", "part3", _same("nn", "cnn_5x5"), _ALL, ("acc",)))


def table_3_2(results: Results) -> str:
    """Errors and accuracies by the size of the kernel; test accuracy besides."""
    return _markdown(results, _Table("3.2", "part3", _same("cnn_10x10", "cnn_5x5"), _ALL, ("acc",)))


def note(results: Results) -> str:
    """What a table's rows and marks mean, for its caption."""
    if results.beside_2016:
        return (
            f"“report”: the number printed in 2016; “here”: ours, with {EQUAL} where it replays the"
            f" report's digit for digit, {EQUAL_TO_LOG} where it replays the published log, which"
            " differs from the report's table. Test figures are not in the report."
        )
    num_seeds = len(next(iter(results.runs.values())))
    return f"Mean and range of {num_seeds} seeds." if num_seeds > 1 else "One seed."


def _markdown(results: Results, table: _Table) -> str:
    headings = [_HEADINGS[name] for name in (*table.columns, *table.test)]
    lines = [["condition", "", *headings], ["---", "---", *["---:"] * len(headings)]]
    for name, arm_name in table.rows.items():
        key = f"{table.part}/{arm_name}"
        if results.beside_2016:
            rows = _beside_report(results, table, name, key)
        else:
            rows = _over_seeds(results, table, key)
        for number, (kind, cells) in enumerate(rows.items()):
            lines.append(["" if number else f"**{label(results, key)}**", kind, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _beside_report(results: Results, table: _Table, name: str, key: str) -> dict[str, list[str]]:
    """The rows of one condition, named: the report's numbers and ours."""
    printed = {column: table.report(name, column) for column in table.columns}
    ours = [
        mark(results, key, column, cell) + three_digits(results.final(key, column))
        for column, cell in printed.items()
    ]
    return {
        "report": [three_digits(cell) for cell in printed.values()] + [""] * len(table.test),
        "here": ours + [three_digits(results.test(key, figure)) for figure in table.test],
    }


def _over_seeds(results: Results, table: _Table, key: str) -> dict[str, list[str]]:
    """The rows of one condition, named: the mean over the seeds and, of several, the range."""
    values = [results.curves(key, column)[:, -1] for column in table.columns]
    values += [[record["test"][figure] for record in results.runs[key]] for figure in table.test]
    rows = {"mean": [three_digits(sum(each) / len(each)) for each in values]}
    if len(results.runs[key]) == 1:
        return {"": rows["mean"]}
    rows["range"] = [f"{three_digits(min(each))}–{three_digits(max(each))}" for each in values]
    return rows


def mark(results: Results, key: str, column: str, cell: float) -> str:
    """How one of our numbers bears out the report's: "= ", "† " or nothing, to stand before it.

    Args:
        results: The runs.
        key: Key of the arm.
        column: Such as "error_valid".
        cell: What the report's table prints.
    """
    whole = results.arm(key).num_epochs == replay.NUM_EPOCHS
    if key in UNMARKED or not whole or not results.beside_2016:
        return ""
    ours = replay.printed(results.final(key, column))
    log = replay.published_log(key)
    if ours == cell:
        return f"{EQUAL}\u00a0"
    return f"{EQUAL_TO_LOG}\u00a0" if log and ours == log[column][-1] else ""
