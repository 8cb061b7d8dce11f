"""The runs of 2016 as they were made, and how ours compare with them.

The original report's text and its published code differ in places. The library holds the methods
as the text has them; what was run differently is here, and nowhere else: the transforms and the
convolutional layer of 2016, and the states that its one shared random generator had been left in
when each run began. The published numbers are in `original/`, to compare with and to draw.
"""

import dataclasses
import functools
import json
from importlib import resources
from typing import Any

import numpy as np

from mlpcw import checks, conv
from mlpcw.layers import ConvolutionalLayer
from mlpcw.study.records.arms import SEED_2016

KERNEL_SEED_2016 = 123456
NUM_TRAIN, NUM_VALID, NUM_PIXELS = 50_000, 10_000, 784
BATCH_SIZE, NUM_CHOSEN, NUM_EPOCHS, STATS_INTERVAL = 100, 25, 100, 5


# ---- What was run differently ---------------------------------------------------------------


def noise_2016(
    inputs: np.ndarray, rng: checks.Rng, unseeded: checks.Rng, fraction: float = 0.25
) -> np.ndarray:
    """Adds one number, N(0, variance 0.1), to all pixels of each chosen image.

    The form is the report's; of 2016 is only that the numbers came from another generator than the
    choice of the images, one that was not seeded.

    Args:
        inputs: Images, `(batch_size, 784)`.
        rng: Chooses the images.
        unseeded: Draws the numbers.
        fraction: Share of the batch that is changed.

    Returns:
        New images, `(batch_size, 784)`.
    """
    outputs = inputs.copy()
    chosen = _choose(len(inputs), rng, fraction)
    outputs[chosen] += unseeded.normal(0.0, 0.1**0.5, size=(len(chosen), 1)).astype(inputs.dtype)
    return outputs


def shift_2016(
    inputs: np.ndarray, rng: checks.Rng, unseeded: checks.Rng, fraction: float = 0.25
) -> np.ndarray:
    """Moves the chosen images down and right by one whole number of pixels, 1 to 4.

    One number serves the whole batch and both axes. A cubic spline at whole pixels is the pixels
    themselves, so a shift by a whole number is a copy.

    Args:
        inputs: Images, `(batch_size, 784)`.
        rng: Chooses the images.
        unseeded: Draws the number.
        fraction: Share of the batch that is changed.

    Returns:
        New images, `(batch_size, 784)`.
    """
    outputs = inputs.copy()
    chosen = _choose(len(inputs), rng, fraction)
    pixels = 1 + int(unseeded.permutation(4)[0])
    images = inputs[chosen].reshape(-1, 28, 28)
    moved = np.zeros_like(images)
    moved[:, pixels:, pixels:] = images[:, :-pixels, :-pixels]
    outputs[chosen] = moved.reshape(-1, NUM_PIXELS)
    return outputs


def _choose(batch_size: int, rng: checks.Rng, fraction: float) -> np.ndarray:
    return rng.choice(batch_size, int(batch_size * fraction), replace=False)


class FirstImageConvolutionalLayer(ConvolutionalLayer):
    """A convolutional layer whose kernel gradient misses most of the batch.

    The published loop runs over the number of output channels where the report's text has the
    batch; with one channel only the first image of each batch trains the kernel.
    """

    def _grads_wrt_kernels(self, inputs: np.ndarray, grads_wrt_outputs: np.ndarray) -> np.ndarray:
        first = slice(self.num_output_channels)
        return conv.grad_kernels(inputs[first], grads_wrt_outputs[first])


# ---- States of the shared generator ---------------------------------------------------------


def start_rng(start: str) -> np.random.RandomState:
    """The shared generator as it was when a run's train provider was built.

    A run leaves the generator in a state that follows from its draws alone, so they are drawn here
    without training. Takes up to some ten seconds the first time, then it is remembered.

    Args:
        start: "fresh" or "reseeded" (just seeded); or the run that came before: "plain" (no
            augmentation), "rotation", "shift" or "distortion".

    Returns:
        A new generator in that state.
    """
    rng = np.random.RandomState(SEED_2016)
    if start not in ("fresh", "reseeded"):
        rng.set_state(_state_after(start))
    return rng


@functools.lru_cache
def _state_after(kind: str) -> tuple:
    """State of the generator after a whole run: its draws, in their order."""
    num_draws = {"plain": 0, "shift": 0, "rotation": NUM_CHOSEN}
    num_draws["distortion"] = NUM_CHOSEN * 2 * NUM_PIXELS
    rng = np.random.RandomState(SEED_2016)

    def train_pass() -> None:
        if kind != "plain":
            for _ in range(NUM_TRAIN // BATCH_SIZE):
                rng.choice(BATCH_SIZE, NUM_CHOSEN, replace=False)
                rng.random(num_draws[kind])
        rng.permutation(NUM_TRAIN)

    def stats_passes() -> None:
        train_pass()
        rng.permutation(NUM_VALID)

    rng.permutation(NUM_TRAIN)
    rng.permutation(NUM_VALID)
    stats_passes()
    for epoch in range(1, NUM_EPOCHS + 1):
        train_pass()
        if epoch % STATS_INTERVAL == 0:
            stats_passes()
    return rng.get_state()


def kernel_rng(num_draws: int) -> np.random.RandomState:
    """The generator of the kernels of 2016, after `num_draws` numbers."""
    rng = np.random.RandomState(KERNEL_SEED_2016)
    rng.uniform(size=num_draws)
    return rng


# ---- Comparison with the published numbers --------------------------------------------------

LOGS = {
    f"part1/{name}": ("part1", name)
    for name in (
        "none",
        "l1_1e-5",
        "l1_1e-3",
        "l2_1e-4",
        "l2_1e-2",
        "l1l2_1e-5_1e-4",
        "l1l2_1e-3_1e-2",
    )
} | {
    f"part2/{name}": ("part2", name)
    for name in (
        "initial_data",
        "random_rotation",
        "random_shift",
        "random_distortion",
        "random_noise",
    )
}
LOGS["part3/cnn_5x5_first_image"] = ("part3", "cnn_5x5")
"""Key of an arm to the part and the name of its published log."""

TABLES = {
    "part2/size_1000": ("table_2_1", "1000"),
    "part2/size_5000": ("table_2_1", "5000"),
    "part2/size_10000": ("table_2_1", "10000"),
    "part2/sigma_1": ("table_2_3", "sigma_1"),
    "part2/sigma_4": ("table_2_3", "sigma_4"),
    "part2/sigma_10": ("table_2_3", "sigma_10"),
    "part3/nn": ("table_3_1", "nn"),
    "part3/cnn_5x5": ("table_3_1", "cnn_5x5"),
    "part3/cnn_10x10": ("table_3_2", "cnn_10x10"),
}
"""Key of an arm without a log to the table and the row that print its numbers."""

REPLAYED = (
    "part1/none",
    "part1/l2_1e-4",
    "part1/l1l2_1e-5_1e-4",
    "part2/initial_data",
    "part2/random_rotation",
    "part2/random_distortion",
    "part2/size_1000",
    "part2/size_5000",
    "part2/size_10000",
    "part2/sigma_4",
    "part2/sigma_10",
    "part3/nn",
    "part3/cnn_5x5_first_image",
)
"""The runs whose every printed value is reached, on any machine; a miss there is a failure."""

COLUMN_NAMES = {
    "error_train": "training error",
    "acc_train": "training accuracy",
    "error_valid": "validation error",
    "acc_valid": "validation accuracy",
    "params_penalty": "penalty",
}
"""What a column of the logs is called in a sentence."""

NOT_REPLAYABLE = ("part2/random_shift", "part2/random_noise")
"""Runs whose transforms drew from an unseeded generator: only their initial weights are known."""

UNKNOWN_START = ("part3/cnn_5x5", "part3/cnn_10x10")
"""Runs of tables without a log, whose start state had to be guessed."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How the values of one run compare with what 2016 printed of it.

    Attributes:
        source: "log", "table", or "" where 2016 printed nothing of this run. Of a table nothing is
            compared with a run of other than its number of epochs.
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
    return _original("published_runs.json")


@functools.cache
def report_tables() -> dict[str, Any]:
    """The tables of the original report, `{"table_1_1": {"values": ...}, ...}`."""
    return _original("report_tables.json")


def published_log(key: str) -> dict[str, list[float]] | None:
    """The published log of an arm, "epoch" and each column to its values; `None` if there is none.

    Args:
        key: Part and name of the arm, such as "part1/none".
    """
    if key not in LOGS:
        return None
    part, name = LOGS[key]
    log = published_runs()["runs"][part][name]
    columns = zip(published_runs()["columns"], zip(*log["rows"], strict=True), strict=True)
    return {"epoch": log["epochs"], **{column: list(values) for column, values in columns}}


def printed(value: float) -> float:
    """A value as the logs of 2016 print it: three significant digits."""
    return float(f"{value:.2e}")


def compare(key: str, curves: dict[str, list[float]]) -> Comparison:
    """Compares the curves of a run with what 2016 printed of it.

    Args:
        key: Part and name of the arm, such as "part1/none".
        curves: "epoch" and columns such as "error_train", each a value an epoch recorded.

    Returns:
        The comparison, over the epochs that both have; of a table, over a whole run only.
    """
    ours = {epoch: row for row, epoch in enumerate(curves["epoch"])}
    log = published_log(key)
    if log is not None:
        pairs = [
            (column, log[column][row], curves[column][ours[epoch]])
            for row, epoch in enumerate(log["epoch"])
            if epoch in ours
            for column in published_runs()["columns"]
        ]
        return _compare("log", pairs)
    if key in TABLES:
        table, row = TABLES[key]
        cells = report_tables()[table]["values"][row].items() if NUM_EPOCHS in ours else ()
        pairs = [(column, cell, curves[column][ours[NUM_EPOCHS]]) for column, cell in cells]
        return _compare("table", pairs)
    return Comparison("", 0, 0, {})


def verdict(key: str, comparison: Comparison) -> str:
    """What a comparison says, in a line.

    Args:
        key: Part and name of the arm.
        comparison: What `compare` said of its run.
    """
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
    if key in NOT_REPLAYABLE:
        line += " (drawn in 2016 from an unseeded generator: only the initial weights are known)"
    elif key in UNKNOWN_START:
        line += " (its start state is not known)"
    return line


def _compare(source: str, pairs: list[tuple[str, float, float]]) -> Comparison:
    deviations = {column: 0.0 for column, _, _ in pairs}
    matched = 0
    for column, theirs, ours in pairs:
        if printed(ours) == theirs:
            matched += 1
        else:
            deviation = abs(printed(ours) - theirs) / theirs if theirs else np.inf
            deviations[column] = max(deviations[column], float(deviation))
    return Comparison(source, matched, len(pairs), deviations)


def _original(name: str) -> dict[str, Any]:
    return json.loads((resources.files("mlpcw.study.original") / name).read_text("utf-8"))
