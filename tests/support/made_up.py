"""Records made up by hand for the tests of figures and tables: nothing is trained.

Where 2016 printed something of a run, the made-up curves have that, a little off within the last
printed digit; everything else is invented.
"""

import copy

import msgspec
import numpy as np

from mlpcw.study import chapters
from mlpcw.study.original import published
from mlpcw.study.records import arms
from mlpcw.study.records.record import CLEAN_CURVES, CURVES, SCHEMA, Record, check_record
from mlpcw.study.records.results import Results
from mlpcw.study.runs.train import weight_histogram

OFF = 1 + 1e-5
"""Factor between a printed number and the made-up one that prints the same."""


def results(profile: str, num_seeds: int = 0, num_epochs: int = 0) -> Results:
    """Made-up runs of every arm of the three parts."""
    runs = {
        arm.key: tuple(record(arm, seed) for seed in arms.seeds(arm, num_seeds))
        for arm in chapters.arms(profile, None, num_epochs)
        if arm.part != "starts"
    }
    return Results(profile, runs)


def changed(made_up: Results, key: str, column: str, last: float) -> Results:
    """The same runs, but the last value of one curve of an arm's first run."""
    runs = {key: copy.deepcopy(records) for key, records in made_up.runs.items()}
    runs[key][0]["curves"][column][-1] = last
    return Results(made_up.profile, runs)


def record(arm: arms.Arm, seed: int) -> Record:
    """A made-up record of a run that the store accepts as whole."""
    rng = np.random.default_rng([seed, *arm.key.encode()])
    epochs = list(range(0, arm.num_epochs + 1, arm.stats_interval))
    share = np.array(epochs) / max(1, epochs[-1])
    curves = {name: (2.3 * 0.03**share * rng.uniform(0.8, 1.2)).tolist() for name in CURVES}
    for name in ("acc_train", "acc_valid"):
        curves[name] = (0.1 + rng.uniform(0.85, 0.88) * share**0.1).tolist()
    if arm.protocol == "2016":
        _end_as_printed(arm, curves)
    if arm.augmentation:
        curves |= {name: curves[name.removesuffix("_clean")][:] for name in CLEAN_CURVES}
        curves["error_train_clean"] = [value / 2 for value in curves["error_train"]]
    weights = rng.laplace(0, 0.02, size=arm.num_first_weights)
    made_up = {
        "schema": SCHEMA,
        "arm": msgspec.to_builtins(arm),
        "seed": seed,
        "curves": {"epoch": epochs, **curves},
        "test": {"error": rng.uniform(0.05, 0.1), "acc": rng.uniform(0.95, 0.99)},
        "weights": weight_histogram(weights),
        "probe": {"loss": 1.0, "penalty": 0.0, "weights": [1.0]},
        "provenance": {
            **dict.fromkeys(("blas", "blas_kernels", "cpu", "platform"), "made up"),
            "blas_threads": 1,
            "commit": "",
            "data": arm.data,
            "data_digest": "0123456789abcdef",
            "mlpcw": "0.1.0",
            "numpy": "2.0",
            "python": "3.11",
            "scipy": "1.0",
        },
        "seconds": {"wall": 1.0, "cpu": 1.0},
    }
    check_record(made_up)
    return made_up


def _end_as_printed(arm: arms.Arm, curves: dict[str, list[float]]) -> None:
    condition = chapters.CONDITIONS[arm.key]
    if condition.log:
        log = published.published_log(condition.log)
        for name in CURVES:
            curves[name] = [_off(name, value) for value in log[name][: len(curves[name])]]
    elif condition.table:
        for name, value in published.table_row(*condition.table).items():
            curves[name][-1] = _off(name, value)


def _off(name: str, printed: float) -> float:
    return min(printed * OFF, 1.0) if name.startswith("acc") else printed * OFF
