"""Chapter 3: its texts follow the runs and the trials of start states."""

import made_up
import pytest

from mlpcw.study.chapters import part3, starts
from mlpcw.study.records.arms import SEED_2016
from mlpcw.study.records.results import Results

FULL = made_up.results("full")


@pytest.mark.parametrize(
    ("accuracies", "text"),
    [
        ([0.9, 0.998, 0.9991, 0.998, 1.0], "by epoch 10"),
        ([0.999, 1, 1, 1, 1], "by epoch 0"),
        ([0.5] * 5, "not within 20 epochs"),
    ],
)
def test_a_network_has_learnt_at_the_first_epoch_at_the_threshold(accuracies, text):
    record = made_up.record(part3.NN.arm, SEED_2016)
    record["curves"] |= {"epoch": [0, 5, 10, 15, 20], "acc_train": accuracies}
    assert part3.learnt(Results("full", {part3.NN.key: (record,)}), part3.NN) == text


@pytest.mark.parametrize(
    ("accuracy", "wrong", "stands"),
    [(0.989, "50 % fewer", "above"), (0.967, "50 % more", "below"), (0.978, "0 % more", "level")],
)
def test_mistakes_are_compared(accuracy, wrong, stands):
    results = made_up.changed(FULL, part3.NN.key, "acc_valid", 0.978)
    texts = part3.texts(made_up.changed(results, part3.CNN_5.key, "acc_valid", accuracy))
    assert texts["part3_wrong"] == wrong
    assert texts["part3_against"].startswith(stands)


def test_the_trials_nearest_to_the_reports_row_are_named():
    trials = {trial.key: (made_up.record(trial.arm, SEED_2016),) for trial in starts.CONDITIONS}
    results = Results("full", dict(FULL.runs) | trials)
    for trial, ends in (
        ("starts/cnn_5x5_fresh_325", {"error_train": 8.4e-5, "error_valid": 0.14}),
        ("part3/cnn_5x5", {"error_train": 9e-5, "error_valid": 0.15, "acc_valid": 0.5}),
    ):
        for column, value in ends.items():
            results = made_up.changed(results, trial, column, value)
    text = part3.texts(results)["part3_starts"]
    assert "Over 11 of them the 5 × 5 network" in text
    assert "accuracies from 50.0\u00a0%" in text
    assert "Over 3 of them the 10 × 10 network" in text
    of_five, of_ten = text.split("Over 3")
    assert (
        "generator fresh with the kernel drawn after 325 earlier numbers, which is not" in of_five
    )
    assert "left it with the kernel drawn after 25 earlier numbers, which is the one" in of_ten


def test_without_trials_none_is_spoken_of():
    assert "not tried here" in part3.texts(made_up.results("quick"))["part3_starts"]
