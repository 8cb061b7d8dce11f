"""One run: trained from its arm and its seed to its record."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from mlpcw import compiled
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.layers import AffineLayer
from mlpcw.models import MultipleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.study.records.arms import NUM_CLASSES, Arm
from mlpcw.study.records.provenance import provenance
from mlpcw.study.records.record import BIN_WIDTH, SCHEMA, Record
from mlpcw.study.runs import freshness
from mlpcw.study.runs.set_up import accuracy, load_images, set_up

EVALUATION_BATCH_SIZE = 1000
_ERROR = CrossEntropySoftmaxError()


class RunFailedError(RuntimeError):
    """A run that could not be trained; the message names it."""


def train(arm: Arm, seed: int, data_dir: str | None = None) -> Record:
    """Trains one run.

    Args:
        arm: The arm.
        seed: The seed.
        data_dir: Folder of MNIST; `None` searches where `mnist.load` says.

    Returns:
        The record of the run, as `Store.write` takes it.

    Raises:
        RunFailedError: If the run diverges: a statistic is not finite.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    images = load_images(arm.data, data_dir)
    optimiser = set_up(arm, seed, images)
    clean_set = images.split("train") if arm.augmentation else None
    epochs = range(0, arm.num_epochs + 1, arm.stats_interval)
    rows = []
    with np.errstate(all="ignore"):  # a run that diverges is told by its statistics
        for epoch in range(arm.num_epochs + 1):
            if epoch:
                optimiser.do_training_epoch()
            if epoch in epochs:
                rows.append(_statistics(optimiser, clean_set))
                if not np.isfinite(list(rows[-1].values())).all():
                    run = f"{arm.key} with seed {seed}"
                    raise RunFailedError(f"{run} diverged: not finite at epoch {epoch}")
    return {
        "schema": SCHEMA,
        "arm": msgspec.to_builtins(arm),
        "seed": seed,
        "curves": {"epoch": list(epochs)} | {name: [row[name] for row in rows] for name in rows[0]},
        "test": evaluate(optimiser.model, *images.split("test")),
        "weights": weight_histogram(_first_weights(optimiser.model)),
        "probe": freshness.probe(arm),
        # Not below 0, even if a clock has been set back.
        "seconds": {
            "wall": max(0.0, round(time.perf_counter() - wall, 3)),
            "cpu": max(0.0, round(time.process_time() - cpu, 3)),
        },
        "provenance": provenance(images.name, images.digest, compiled.enabled()),
    }


def _statistics(
    optimiser: Optimiser, clean_set: tuple[np.ndarray, np.ndarray] | None
) -> Mapping[str, float]:
    """The statistics of an epoch by the names of their curves, such as "error_train".

    Those on clean training images draw from no rng.
    """
    stats = optimiser.get_epoch_stats()
    if clean_set is not None:
        clean = evaluate(optimiser.model, *clean_set)
        stats |= {f"{name}(train_clean)": value for name, value in clean.items()}
    return {key.replace("(", "_").replace(")", ""): float(value) for key, value in stats.items()}


def evaluate(model: MultipleLayerModel, inputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Error and accuracy over a whole split, in its own order.

    Args:
        model: The model.
        inputs: Images, `(num_images, 784)`.
        labels: Classes, `(num_images,)`.

    Returns:
        "error", the mean cross-entropy, and "acc", the share of images classified rightly.
    """
    totals = np.zeros(2)
    for start in range(0, len(inputs), EVALUATION_BATCH_SIZE):
        batch = slice(start, start + EVALUATION_BATCH_SIZE)
        outputs = model.fprop(inputs[batch], stochastic=False)[-1]
        targets = np.eye(NUM_CLASSES)[labels[batch]]
        totals += len(outputs) * np.array([_ERROR(outputs, targets), accuracy(outputs, targets)])
    error, acc = totals / len(inputs)
    return {"error": float(error), "acc": float(acc)}


def weight_histogram(weights: np.ndarray) -> dict[str, Any]:
    """Histogram of weights on a grid of bins that all runs share.

    Args:
        weights: Weights of any shape.

    Returns:
        "bin_width", "first_bin" (the number k of the first bin) and "counts". Bin k holds the
        weights in [k, k + 1) times the width; outside the bins listed there are none.
    """
    bins = np.floor(np.ravel(weights) / BIN_WIDTH).astype(int)
    return {
        "bin_width": BIN_WIDTH,
        "first_bin": int(bins.min()),
        "counts": np.bincount(bins - bins.min()).tolist(),
    }


def _first_weights(model: MultipleLayerModel) -> np.ndarray:
    """Weights of the lowest affine layer."""
    return next(layer.weights for layer in model.layers if isinstance(layer, AffineLayer))
