"""Runs trained again: which differences confirm a stored run, and which do not."""

import copy
import math

import pytest
from runs import forged, quick_arm, record_of

from mlpcw.study import chapters
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.arms import SEED_2016
from mlpcw.study.records.store import State
from mlpcw.study.runs import retrain as retraining
from mlpcw.study.runs.retrain import Outcome, compare

NOISY = chapters.find("full", "part1/l1_1e-3")


def stored(arm=NOISY):
    """A record whose origin is known; its test accuracy is 0.75, its curves are 0.5 throughout."""
    record = forged(arm, SEED_2016)
    record["provenance"] = {name: "known" for name in retraining.ORIGIN} | {"commit": "abc"}
    return record


def trained_again(record, *, share=0.0, first=0, **provenance):
    """The record with every curve wrong by a share from its row `first` on."""
    record = copy.deepcopy(record)
    for name, values in record["curves"].items():
        if name != "epoch":
            values[first:] = [value * (1 + share) for value in values[first:]]
    record["provenance"] |= {"commit": "def"} | provenance
    record["seconds"] = {"wall": 9.0, "cpu": 9.0}
    return record


def test_the_same_content_is_identical_whatever_the_time_and_the_origin():
    record = stored()
    assert compare(record, trained_again(record)) == Outcome(True, "identical")


@pytest.mark.parametrize(("share", "digits"), [(3e-16, 15), (2e-12, 11), (2e-9, 8), (9e-4, 3)])
def test_a_difference_of_rounding_is_counted_in_digits(share, digits):
    record = stored()
    outcome = compare(record, trained_again(record, share=share))
    assert outcome == Outcome(True, f"the same to {digits} printed digits")


@pytest.mark.parametrize("figure", ["error", "acc"])
def test_the_test_figures_count_too(figure):
    record = stored()
    other = trained_again(record)
    other["test"][figure] *= 1 + 2e-7
    assert compare(record, other).verdict == "the same to 6 printed digits"


def test_the_same_code_and_machine_must_be_identical():
    record = stored()
    outcome = compare(record, trained_again(record, share=3e-16, commit="abc"))
    assert not outcome.good
    assert outcome.verdict == (
        "differs: code, libraries and kernels are those of the stored run, so it must be identical,"
        " and it is the same to 15 digits only"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("commit", ""), ("commit", "abc+"), ("commit", None), ("blas_kernels", "unknown")],
)
def test_where_an_origin_is_not_known_it_need_not_be_identical(name, value):
    record = stored()
    record["provenance"][name] = value
    again = {"commit": "abc"} | {name: value}
    assert compare(record, trained_again(record, share=3e-16, **again)).good


@pytest.mark.parametrize("name", retraining.ORIGIN)
def test_another_origin_need_not_be_identical(name):
    record = stored()
    other = trained_again(record, share=3e-16, commit="abc")
    other["provenance"][name] = "other"
    assert compare(record, other).good


def drifted(record, test_acc, valid_acc=0.5):
    """The record after a training that drifts from its fourth point to these accuracies."""
    other = trained_again(record, share=0.1, first=3)
    other["curves"]["acc_valid"][3:] = [valid_acc] * (len(record["curves"]["epoch"]) - 3)
    other["test"]["acc"] = test_acc
    return other


def test_a_noisy_run_may_drift_and_end_as_well():
    record = stored()
    outcome = compare(record, drifted(record, 0.7562))  # one deviation is 0.0061
    assert outcome.good
    assert outcome.verdict == (
        "the same to 15 printed digits up to epoch 10, then apart by 1.0 standard deviations"
        " (test accuracy 0.7500, now 0.7562)"
    )


@pytest.mark.parametrize(
    ("test_acc", "valid_acc", "good"),
    [
        (0.768, 0.5, True),
        (0.732, 0.5, True),
        (0.769, 0.5, False),
        (0.731, 0.5, False),
        (0.75, 0.52, True),
        (0.75, 0.53, False),
        (0.75, 0.47, False),
    ],
)
def test_a_noisy_run_that_ends_three_deviations_away_differs(test_acc, valid_acc, good):
    record = stored()
    outcome = compare(record, drifted(record, test_acc, valid_acc))
    assert outcome.good is good
    assert outcome.verdict.startswith("differs: the same to 15 printed digits") is not good


def test_only_the_second_half_of_a_run_counts_for_its_end():
    record = stored()
    other = drifted(record, 0.75)
    other["curves"]["acc_valid"][3:10] = [0.9] * 7
    assert compare(record, other).good


@pytest.mark.parametrize(
    ("arm", "test_acc", "near", "far"),
    [(NOISY, 1.0, 0.9996, 0.9993), (quick_arm(num_epochs=20), 0.75, 0.84, 0.85)],
    ids=["an accuracy of 1 leaves room for chance", "the smaller set of the digits leaves more"],
)
def test_the_room_for_chance(arm, test_acc, near, far):
    record = stored(arm)
    record["test"]["acc"] = test_acc
    assert compare(record, drifted(record, near)).good
    assert not compare(record, drifted(record, far)).good


@pytest.mark.parametrize("first", [0, 1])
def test_a_run_that_differs_from_the_start_differs(first):
    record = stored()
    outcome = compare(record, trained_again(record, share=0.002, first=first))
    assert not outcome.good
    epoch = 5 * first
    assert outcome.verdict == (
        f"differs: 2 digits are the same at epoch {epoch}, where every run keeps 6"
    )


def test_a_run_that_every_machine_replays_may_not_drift():
    record = stored()
    outcome = compare(record, trained_again(record, share=0.002, first=3), {NOISY.key})
    assert not outcome.good
    assert outcome.verdict == (
        "differs: 2 digits are the same, where this run keeps 3 on every machine"
    )


def test_numbers_of_opposite_sign_share_no_digit():
    assert retraining._digits(1.0, -1.0) == retraining._digits(0.0, 1e-300) == 0
    assert retraining._digits(0.0, -0.0) == 15
    assert retraining._digits(1.0, math.nextafter(1.0, 2.0)) == 15


# ---- Drawn and trained ----------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    return open_store("quick", tmp_path, 1)


def test_runs_that_are_done_are_drawn_each_once_and_others_at_other_times(kept):
    for seed in (0, 1):
        kept.write(forged(quick_arm(), seed))
    findings = kept.find_all()
    assert retraining.draw(findings, 0) == []
    assert [run.seed for run in retraining.draw(findings, 9)] == [0, 1]
    drawn = [retraining.draw(findings, 1)[0] for _ in range(60)]
    assert {run.seed for run in drawn} == {0, 1}
    assert {run.state for run in drawn} == {State.DONE}


def test_a_run_trained_again_by_the_same_code_is_identical_and_stays_as_it_is(kept):
    """In fresh processes, so this is also that a run does not depend on where it is trained."""
    for key in ("part2/random_distortion", "part3/cnn_5x5"):
        kept.write(record_of(quick_arm(key)))
    findings = [run for run in kept.find_all() if run.state is State.DONE]
    before = [run.path.read_bytes() for run in findings]
    outcomes = retraining.retrain(kept, findings)
    assert outcomes == [Outcome(True, "identical")] * 2
    assert [run.path.read_bytes() for run in findings] == before


def test_a_run_that_cannot_be_trained_again_is_not_confirmed(kept, monkeypatch):
    kept.write(forged(quick_arm()))
    monkeypatch.setattr(retraining, "sweep", lambda *_, **__: ["part1/none with seed 0 diverged"])
    (outcome,) = retraining.retrain(kept, [kept.find(quick_arm(), 0)])
    assert outcome == Outcome(
        False, "differs: it could not be trained again (part1/none with seed 0 diverged)"
    )
