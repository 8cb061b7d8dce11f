"""Tables of conditions, from stored runs, as Markdown.

Beside 2016 a condition has two rows, so that digits to compare stand above one another: the
report's numbers, and those of the runs here. A mark before one of ours says how it came out: `=`
where it is the report's, replayed digit for digit, and `†` where the report's table prints another
number but the log published with it has ours. In other profiles the rows are the mean and the range
over the seeds.
"""

import dataclasses
from collections.abc import Sequence

from mlpcw.study.original.published import NUM_EPOCHS, printed, published_log, table_row
from mlpcw.study.records.results import Results
from mlpcw.study.show.shown import Shown
from mlpcw.study.show.words import markdown_table, three_digits

EQUAL, EQUAL_TO_LOG = "=", "†"
ALL = ("error_train", "error_valid", "acc_train", "acc_valid")

_HEADINGS = {
    "error_train": "training error",
    "error_valid": "validation error",
    "acc_train": "training accuracy",
    "acc_valid": "validation accuracy",
    "error": "test error",
    "acc": "test accuracy",
}


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of the report; called with results it is Markdown.

    Attributes:
        number: Its number in the report, "2.1".
        conditions: The conditions in its rows.
        columns: Curves whose last values are shown.
        test: Metrics on the test images, "error" or "acc".
    """

    number: str
    conditions: Sequence[Shown]
    columns: tuple[str, ...]
    test: tuple[str, ...]

    def __call__(self, results: Results) -> str:
        """The table."""
        headings = [_HEADINGS[name] for name in (*self.columns, *self.test)]
        lines = [["condition", "", *headings], ["---", "---", *["---:"] * len(headings)]]
        rows_of = self._beside_report if results.beside_2016 else self._over_seeds
        for condition in self.conditions:
            name = f"**{condition.label_in(results)}**"
            for kind, cells in rows_of(results, condition).items():
                lines.append([name, kind, *cells])
                name = ""
        return markdown_table(lines)

    def _beside_report(self, results: Results, condition: Shown) -> dict[str, list[str]]:
        """The report's numbers, where it has the condition, and ours."""
        row = table_row(self.number, condition.table[1]) if condition.table else {}
        here = []
        for column in self.columns:
            sign = mark(results, condition, column, row[column]) if row else ""
            here.append(sign + three_digits(results.final(condition.key, column)))
        here += [three_digits(results.test(condition.key, metric)) for metric in self.test]
        report = [three_digits(row[column]) for column in self.columns if row]
        return ({"report": report + [""] * len(self.test)} if row else {}) | {"here": here}

    def _over_seeds(self, results: Results, condition: Shown) -> dict[str, list[str]]:
        """The mean over the seeds and, of several, the range."""
        records = results.runs[condition.key]
        values = [results.curves(condition.key, column)[:, -1] for column in self.columns]
        values += [[record["test"][metric] for record in records] for metric in self.test]
        mean = [three_digits(sum(column) / len(column)) for column in values]
        if len(records) == 1:
            return {"": mean}
        ends = [f"{three_digits(min(column))}–{three_digits(max(column))}" for column in values]
        return {"mean": mean, "range": ends}


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


def mark(results: Results, condition: Shown, column: str, cell: float) -> str:
    """The mark before one of our numbers, with a no-break space; "" for none.

    A run that cannot be a replay has no marks: where one of its numbers is the report's, it is a
    coincidence. Nor has a run of fewer epochs.

    Args:
        results: The runs.
        condition: The condition.
        column: Such as "error_valid".
        cell: What the report's table prints.
    """
    if condition.obstacle or results.arm(condition.key).num_epochs != NUM_EPOCHS:
        return ""
    value = printed(results.final(condition.key, column))
    if value == cell:
        return f"{EQUAL}\u00a0"
    in_log = condition.log and value == published_log(condition.log)[column][-1]
    return f"{EQUAL_TO_LOG}\u00a0" if in_log else ""
