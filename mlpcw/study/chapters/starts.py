"""Start states tried for the convolutional networks of the report's tables.

Which ones the tables came from is not known: the shared generator may have been fresh or as a plain
run left it, and the kernel's generator may have drawn kernels of other sizes before: 25, 100 and
225 numbers, and their sums.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpcw.study.chapters.condition import Condition, finals
from mlpcw.study.original.published import table_row
from mlpcw.study.records.arms import Arm, Convolution
from mlpcw.study.records.results import Results
from mlpcw.study.show.words import percent, three_digits

LABEL = "{0} × {0}"
COLOURS = {5: "#0072B2", 10: "#E69F00", 15: "#882255"}
"""Side of a kernel, pixels, to the colour of its network."""


def convolutional(
    part: str, name: str, convolution: Convolution, start: str = "plain", **shown: Any
) -> Condition:
    """A network with a convolutional layer; `shown` has what readers see other than its size."""
    arm = Arm(part=part, name=name, start=start, hidden_dims=(100,), convolution=convolution)
    size = convolution.kernel_dim
    return Condition(**{"arm": arm, "label": LABEL.format(size), "colour": COLOURS[size], **shown})


def _trial(kernel_dim: int, start: str, draws: int) -> Condition:
    convolution = Convolution(kernel_dim=kernel_dim, kernel_draws=draws)
    name = f"cnn_{kernel_dim}x{kernel_dim}_{start}_{draws}"
    return convolutional("starts", name, convolution, start)


CONDITIONS = (
    *(_trial(5, "fresh", draws) for draws in (0, 25, 100, 325)),
    *(_trial(5, "plain", draws) for draws in (0, 100, 125, 225, 250, 325)),
    *(_trial(10, start, 0) for start in ("fresh", "plain")),
)


def text(results: Results, shown: Sequence[Condition]) -> str:
    """What the trials say about the networks of the report's tables.

    Args:
        results: Runs of Part 3 and, in the full profile, of the trials.
        shown: The networks as the chapter shows them, whose start states had to be guessed.
    """
    if not any(condition.key in results.runs for condition in CONDITIONS):
        return (
            "Each run has a start of its own, by its seed; other start states are not tried here."
        )
    sentences = " ".join(_tried(results, condition) for condition in shown)
    return (
        "Which start the tables of Part 3 came from is not known: there is no log. So other start"
        " states of the random generators were tried, those that are plausible."
        f" {sentences} A"
        " difference between two networks that is smaller than this spread says nothing about the"
        " networks."
    )


def _tried(results: Results, shown: Condition) -> str:
    """How far the trials of one network spread, and which is nearest to the report's row."""
    size = shown.arm.convolution.kernel_dim
    trials = [shown]
    trials += [trial for trial in CONDITIONS if trial.arm.convolution.kernel_dim == size]
    row = table_row(*shown.table)

    def distance(trial: Condition) -> float:
        columns = ("error_train", "error_valid")
        return sum(abs(np.log(results.final(trial.key, each) / row[each])) for each in columns)

    nearest = min(trials, key=distance)
    before = "fresh" if nearest.arm.start == "fresh" else "as a plain run left it"
    errors = finals(results, trials, "error_valid").values()
    accuracies = finals(results, trials, "acc_valid").values()
    return (
        f"Over {len(trials)} of them the {shown.label} network ends with validation"
        f" errors from {three_digits(min(errors))} to"
        f" {three_digits(max(errors))} and validation accuracies from"
        f" {percent(min(accuracies))} to {percent(max(accuracies))}. Nearest to"
        f" the original report's row comes the shared generator {before} with the kernel drawn"
        f" after {nearest.arm.convolution.kernel_draws} earlier numbers, which is"
        f" {'the one' if nearest is shown else 'not the one'} shown above."
    )
