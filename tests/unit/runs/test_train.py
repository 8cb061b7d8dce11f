"""One run: its record, its statistics, its histogram, and where it says it comes from."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from runs import record_of, tiny_arm

from mlpcw import mnist
from mlpcw.layers import AffineLayer
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.arms import Augmentation, Convolution, Penalty
from mlpcw.study.records.record import BIN_WIDTH, CLEAN_CURVES, CURVES
from mlpcw.study.records.store import State
from mlpcw.study.runs import train as training
from mlpcw.study.runs.set_up import set_up

NOISE = Augmentation(kind="noise_2016")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"penalty": Penalty(l1=1e-3, l2=1e-2)},
        {"augmentation": NOISE},
        {"convolution": Convolution(kernel_dim=27)},
        {"dtype": "float32"},
        {"num_epochs": 5, "stats_interval": 2},
        {"num_epochs": 1, "stats_interval": 5},
        {"num_epochs": 0},
    ],
    ids=str,
)
def test_a_run_gives_a_record_that_the_store_takes_and_finds_done(tmp_path, changes):
    arm = tiny_arm(**changes)
    kept = open_store("quick", tmp_path)
    kept.write(record_of(arm))
    assert kept.find(arm, 0).state is State.DONE
    curves = record_of(arm)["curves"]
    assert curves["epoch"] == list(range(0, arm.num_epochs + 1, arm.stats_interval))
    assert set(curves) == {"epoch", *CURVES, *(CLEAN_CURVES if arm.augmentation else ())}


def trained_elsewhere(arm):
    """The model after the whole run, by the optimiser's own loop."""
    optimiser = set_up(arm, 0, mnist.digits())
    optimiser.train(arm.num_epochs, 1)
    return optimiser.model


def scores(model, which_set):
    """Error and accuracy over a whole split at once, by SciPy."""
    inputs, labels = mnist.digits().split(which_set)
    outputs = model.fprop(inputs)[-1]
    log_probabilities = scipy.special.log_softmax(outputs, axis=1)
    error = -log_probabilities[np.arange(len(labels)), labels].mean()
    return pytest.approx({"error": error, "acc": (outputs.argmax(axis=1) == labels).mean()})


@pytest.mark.parametrize("augmentation", [None, NOISE], ids=str)
def test_the_scores_are_of_the_whole_test_set_and_the_clean_curves_of_the_unchanged_training_set(
    augmentation,
):
    arm = tiny_arm(augmentation=augmentation)
    record, model = record_of(arm), trained_elsewhere(arm)
    assert record["test"] == scores(model, "test")
    if augmentation:
        curves = record["curves"]
        last = {"error": curves["error_train_clean"][-1], "acc": curves["acc_train_clean"][-1]}
        assert last == scores(model, "train")


def test_the_curves_are_those_of_the_optimiser():
    arm = tiny_arm(batch_size=1, penalty=Penalty(l2=1e-2))  # batches of one fill every split
    curves = record_of(arm)["curves"]
    last = {"error": curves["error_valid"][-1], "acc": curves["acc_valid"][-1]}
    assert last == scores(trained_elsewhere(arm), "valid")
    assert curves["error_train"][-1] < curves["error_train"][0]
    layers = set_up(arm, 0, mnist.digits()).model.layers
    weights = [layer.weights for layer in layers if isinstance(layer, AffineLayer)]
    penalty = 0.5e-2 * sum((layer_weights**2).sum() for layer_weights in weights)
    assert curves["params_penalty"][0] == pytest.approx(penalty)


@pytest.mark.parametrize("batch_size", [1, 7, 1000, 5000])
def test_an_evaluation_does_not_depend_on_its_batches(monkeypatch, batch_size):
    model = set_up(tiny_arm(), 0, mnist.digits()).model
    monkeypatch.setattr(training, "EVALUATION_BATCH_SIZE", batch_size)
    assert training.evaluate(model, *mnist.digits().split("test")) == scores(model, "test")


def test_a_run_takes_its_data_from_the_folder_given(monkeypatch):
    asked = []
    monkeypatch.setattr(mnist, "load", lambda folder: asked.append(folder) or mnist.digits())
    training.train(tiny_arm(data="mnist", num_epochs=0), 0, "somewhere")
    assert asked == ["somewhere"]


def test_a_run_that_diverges_is_named_with_the_first_epoch_that_is_not_finite():
    arm = tiny_arm(learning_rate=1e200, num_epochs=4, stats_interval=2)
    message = r"^part1/tiny with seed 3 diverged: not finite at epoch 2$"
    with pytest.raises(training.RunFailedError, match=message):
        training.train(arm, 3)


# ---- The histogram of weights ---------------------------------------------------------------


@given(
    arrays.arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.floats(-2, 2))
)
def test_a_histogram_is_numpy_s_on_the_common_grid(weights):
    histogram = training.weight_histogram(weights)
    bins = histogram["first_bin"] + np.arange(len(histogram["counts"]) + 1)
    # In units of the width, in which both agree at the edges.
    counts, _ = np.histogram(weights / histogram["bin_width"], bins)
    assert histogram["counts"] == counts.tolist()
    assert sum(histogram["counts"]) == weights.size
    assert histogram["counts"][0] > 0 < histogram["counts"][-1]


def test_bin_k_holds_what_is_from_k_to_k_plus_1_times_the_width():
    weights = np.array([0.0, 0.5 * BIN_WIDTH, -0.5 * BIN_WIDTH, 3.25 * BIN_WIDTH])
    assert training.weight_histogram(weights) == {
        "bin_width": BIN_WIDTH,
        "first_bin": -1,
        "counts": [1, 2, 0, 0, 1],
    }
