"""Texts and tables of the page on where the numbers come from."""

from collections.abc import Mapping, Sequence

import numpy as np

from mlpcw.study.chapters import CONDITIONS
from mlpcw.study.original import published
from mlpcw.study.records.results import Results
from mlpcw.study.show.words import duration, listed, markdown_table

_VERSIONS = {
    "python": "Python",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "blas": "BLAS",
    "blas_kernels": "its kernels, where recorded",
    "cpu": "CPU",
}
"""Field of a record's provenance to its name in the table."""


def texts(results: Results) -> dict[str, str]:
    """Texts of the page by the names used there."""
    records = [record for of_arm in results.runs.values() for record in of_arm]
    machines = [record["provenance"] for record in records]
    seconds = [record["seconds"]["cpu"] for record in records]
    return {
        "num_runs": str(len(records)),
        "total_time": duration(sum(seconds)),
        "longest_time": duration(max(seconds)),
        "digest": listed(sorted({machine["data_digest"][:12] for machine in machines})),
        "versions": _version_table(machines),
        "run_table": _run_table(results),
        "exact": _exact(results) if results.beside_2016 else "",
        "hours_2016": _hours_2016() if results.beside_2016 else "",
    }


def comparisons(results: Results) -> dict[str, published.Comparison]:
    """How the runs of 2016 compare with what was printed of them, by key of the arm."""
    return {
        key: CONDITIONS[key].compare(records[0]["curves"]) for key, records in results.runs.items()
    }


def _exact(results: Results) -> str:
    compared = [each for each in comparisons(results).values() if each.total]
    return (
        f"Of the {len(compared)} runs of which 2016 printed anything,"
        f" {sum(each.exact for each in compared)} match it in every printed digit."
    )


def _hours_2016() -> str:
    return (
        f"By its own logs, the 100 epochs of the {len(published.log_names())} runs with a log took"
        f" {duration(published.seconds_2016())} in 2016, statistics not counted."
    )


def _version_table(machines: Sequence[Mapping[str, str]]) -> str:
    lines = [["", ""], ["---", "---"]]
    for field, title in _VERSIONS.items():
        values = sorted({str(machine[field]) for machine in machines if field in machine})
        lines.append([title, listed(values or ["–"])])
    return markdown_table(lines)


def _run_table(results: Results) -> str:
    """A row an arm: its CPU time and, where it is a run of 2016, its verdict."""
    lines = [["run", "CPU seconds"], ["---", "---"]]
    if results.beside_2016:
        lines = [["run", "CPU seconds", "beside 2016"], ["---", "---", "---"]]
    for key, records in results.runs.items():
        seconds = np.mean([record["seconds"]["cpu"] for record in records])
        lines.append([f"`{key}`", f"{seconds:.0f}"])
        if results.beside_2016:
            lines[-1].append(CONDITIONS[key].verdict(records[0]["curves"]).strip())
    return markdown_table(lines)
