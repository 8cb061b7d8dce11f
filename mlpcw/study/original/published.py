"""The published numbers of 2016, and how a run compares with them.

Thirteen logs were published, and six tables stand in the report; both are kept in this folder as
JSON, as printed: to three significant digits.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

NUM_EPOCHS = 100
"""Epochs of every run of 2016; the report's tables print the values after the last."""

COLUMN_NAMES = {
    "error_train": "training error",
    "acc_train": "training accuracy",
    "error_valid": "validation error",
    "acc_valid": "validation accuracy",
    "params_penalty": "penalty",
}
"""What a column of the logs is called in a sentence."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How the values of one run compare with what 2016 printed of it.

    Attributes:
        source: "log", "table", or "" where 2016 printed nothing of this run.
        matched: Printed values that ours round to, all three significant digits.
        total: Printed values compared.
        deviations: Column name to its largest relative deviation, 0 where all match.
    """

    source: str
    matched: int
    total: int
    deviations: dict[str, float]

    @property
    def exact(self) -> bool:
        """Whether there is something to compare, and all of it matches."""
        return 0 < self.total == self.matched


@functools.cache
def published_runs() -> dict[str, Any]:
    """The published logs, `{"columns": [...], "runs": {part: {run: {"epochs", "rows"}}}}`."""
    return _read("published_runs.json")


def log_names() -> list[str]:
    """Names of the published logs, "part1/none"."""
    return [f"{part}/{name}" for part, runs in published_runs()["runs"].items() for name in runs]


def published_log(name: str) -> dict[str, list[float]]:
    """The log of this name: "epoch" and the columns to their values."""
    part, run = name.split("/")
    log = published_runs()["runs"][part][run]
    columns = zip(published_runs()["columns"], zip(*log["rows"], strict=True), strict=True)
    return {"epoch": log["epochs"], **{column: list(values) for column, values in columns}}


def seconds_2016() -> float:
    """Seconds that the logged runs took in 2016 by their own logs, statistics not counted."""
    runs = [run for part in published_runs()["runs"].values() for run in part.values()]
    return sum(NUM_EPOCHS * run["seconds_per_epoch_2016"] for run in runs)


@functools.cache
def report_tables() -> dict[str, Any]:
    """The tables of the original report, `{"table_1_1": {"values": ...}, ...}`."""
    return _read("report_tables.json")


def table_row(number: str, name: str) -> dict[str, float]:
    """What a table of the report, "2.1", prints in one row, "1000", by column."""
    row = report_tables()["table_" + number.replace(".", "_")]["values"][name]
    return row if isinstance(row, dict) else {"error_valid": row}  # Table 1.1 has one column


def printed(value: float) -> float:
    """A value as the logs of 2016 print it: three significant digits."""
    return float(f"{value:.2e}")


def compare(
    curves: Mapping[str, Sequence[float]], log: str = "", table: tuple[str, ...] = ()
) -> Comparison:
    """Compares the curves of a run with what 2016 printed of it.

    Args:
        curves: "epoch" and columns such as "error_train", each a value an epoch recorded.
        log: Name of its published log, or ""; compared over the epochs that both have.
        table: Number and row of a table that prints its end, or (). It counts where there
            is no log, and for a run of all epochs only.
    """
    rows = {epoch: row for row, epoch in enumerate(curves["epoch"])}
    if log:
        published = published_log(log)
        triples = [
            (column, published[column][row], curves[column][rows[epoch]])
            for row, epoch in enumerate(published["epoch"])
            if epoch in rows
            for column in published_runs()["columns"]
        ]
        return _compare("log", triples)
    if table:
        cells = table_row(*table).items() if NUM_EPOCHS in rows else ()
        last = rows.get(NUM_EPOCHS)
        return _compare("table", [(column, cell, curves[column][last]) for column, cell in cells])
    return Comparison("", 0, 0, {})


def verdict(comparison: Comparison, obstacle: str = "") -> str:
    """A comparison in a line; `obstacle` says why the run cannot be replayed, or is ""."""
    if not comparison.total and comparison.source:
        return f"2016 printed only the values after all {NUM_EPOCHS} epochs, in a table"
    if not comparison.total:
        return "2016 printed nothing to compare with"
    line = (
        f"{comparison.matched:3} of {comparison.total:3} printed values of its {comparison.source}"
    )
    if comparison.exact:
        return line
    apart = [
        f"{COLUMN_NAMES[name]} {100 * share:.1f} %"
        for name, share in comparison.deviations.items()
        if share
    ]
    line += f"; the others by at most: {', '.join(apart)}"
    return f"{line} ({obstacle})" if obstacle else line


def _compare(source: str, triples: list[tuple[str, float, float]]) -> Comparison:
    """Counts matches of (column, printed value, our value)."""
    deviations = {column: 0.0 for column, _, _ in triples}
    matched = 0
    for column, published, value in triples:
        if printed(value) == published:
            matched += 1
        else:
            difference = abs(printed(value) - published)
            deviation = difference / published if published else float("inf")
            deviations[column] = max(deviations[column], deviation)
    return Comparison(source, matched, len(triples), deviations)


def _read(name: str) -> dict[str, Any]:
    return json.loads((resources.files("mlpcw.study.original") / name).read_text("utf-8"))
