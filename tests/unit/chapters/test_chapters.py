"""Conditions and arms: what all chapters have in common, and the stored runs beside 2016."""

import json

import pytest

from mlpcw.study.chapters import CONDITIONS, arms, find, part1, part2, part3
from mlpcw.study.chapters.condition import EXACT, UNKNOWN_START, UNSEEDED
from mlpcw.study.original.published import log_names, printed, published_log, report_tables
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.arms import PARTS, SEED_2016
from mlpcw.study.runs.train import train

SHOWN = {key: condition for key, condition in CONDITIONS.items() if "starts/" not in key}


# ---- Conditions -----------------------------------------------------------------------------


def test_a_figure_tells_its_conditions_apart():
    curves = [part1.penalty_errors, part2.size_errors, part2.augmentation_errors]
    curves += [part2.sigma_errors, part3.convolution_accuracy, part3.kernel_size_accuracy]
    figures = [each.conditions for each in curves]
    assert {each.key for conditions in figures for each in conditions} == set(SHOWN)
    figures += [picture.conditions for picture in (part1.picture, part2.picture, part3.picture)]
    for conditions in figures:
        assert len({each.colour for each in conditions}) == len(conditions)
    assert all(condition.label for condition in CONDITIONS.values())


def test_all_logs_and_rows_of_2016_are_beside_one_condition():
    assert sorted(each.log for each in CONDITIONS.values() if each.log) == sorted(log_names())
    rows = {
        name for table in report_tables().values() if "values" in table for name in table["values"]
    }
    named = [condition.table[1] for condition in CONDITIONS.values() if condition.table]
    assert sorted(named) == sorted(rows)


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_a_replay_has_something_to_be_compared_with(condition):
    assert condition.replay in ("", EXACT, UNSEEDED, UNKNOWN_START)
    assert condition.log or condition.table or not condition.replay
    assert condition.obstacle == ("" if condition.exact else condition.replay)


# ---- Arms of the profiles -------------------------------------------------------------------


def test_the_profiles_share_their_conditions_but_the_trials_of_start_states():
    assert [arm.key for arm in arms("full")] == list(CONDITIONS)
    assert [arm.key for arm in arms("quick")] == list(SHOWN)


@pytest.mark.parametrize("arm", arms("quick"), ids=lambda arm: arm.key)
def test_a_quick_arm_is_paired_on_the_digits_and_otherwise_the_same_question(arm):
    full = find("full", arm.key)
    assert (arm.data, arm.protocol, arm.num_epochs) == ("digits", "paired", 20)
    for name in ("penalty", "augmentation", "convolution", "hidden_dims"):
        assert getattr(arm, name) == getattr(full, name)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_has_its_own_arms_only(part):
    assert arms("full", part) == tuple(arm for arm in arms("full") if arm.part == part)


def test_epochs_can_be_asked_for():
    assert {arm.num_epochs for arm in arms("full", num_epochs=7)} == {7}
    assert find("quick", "part1/none", 3).num_epochs == 3


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: arms("slow"), r"profile must be one of full, quick, got 'slow'"),
        (
            lambda: arms("full", "part4"),
            r"part must be one of part1, part2, part3, starts, got 'part4'",
        ),
        (
            lambda: find("full", "part1/some"),
            r"arm must be one of part1/none, .*, got 'part1/some'",
        ),
        (
            lambda: arms("full", num_epochs=-1),
            r"epochs must be a whole number in \[0, 10000\], got -1",
        ),
    ],
)
def test_what_is_unknown_is_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


# ---- The runs of 2016 -----------------------------------------------------------------------


def stored(condition):
    """The curves of a stored run; skips where it is not there."""
    path = open_store("full").path(condition.arm, SEED_2016)
    if not path.exists():
        pytest.skip(f"the run {condition.key} is not stored")
    return json.loads(path.read_text("utf-8"))["curves"]


@pytest.mark.parametrize("condition", SHOWN.values(), ids=SHOWN)
def test_the_stored_run_is_as_near_to_2016_as_its_condition_says(condition):
    curves = stored(condition)
    comparison = condition.compare(curves)
    if condition.exact:
        assert comparison.exact
        assert comparison.total == (105 if condition.log else 4)
    elif condition.replay == UNSEEDED:
        # The weights are known; validation images are not transformed: row 0 is that of 2016.
        for column in ("error_valid", "acc_valid", "params_penalty"):
            assert printed(curves[column][0]) == published_log(condition.log)[column][0]


@pytest.mark.parametrize(
    ("condition", "least", "column", "furthest"),
    [
        (part1.L2_STRONG, 90, "", 0.01),
        (part1.BOTH_STRONG, 70, "", 0.03),
        (part1.L1, 0, "error_valid", 0.1),
        (part1.L1_STRONG, 0, "error_valid", 0.1),
        (part2.SIGMAS[0], 3, "", 0.1),
    ],
)
def test_a_run_that_rounding_decides_stays_near(condition, least, column, furthest):
    assert condition.replay == ""
    comparison = condition.compare(stored(condition))
    assert comparison.matched >= least
    apart = comparison.deviations
    assert (apart[column] if column else max(apart.values())) <= furthest


@pytest.mark.slow
@pytest.mark.needs_mnist
@pytest.mark.parametrize(
    ("condition", "num_epochs", "num_values"),
    [(part1.NONE, 10, 15), (part2.ROTATION, 5, 10), (part3.FIRST_IMAGE, 5, 10)],
)
def test_the_first_epochs_print_what_2016_printed(condition, num_epochs, num_values):
    arm = find("full", condition.key, num_epochs)
    comparison = condition.compare(train(arm, SEED_2016)["curves"])
    assert (comparison.matched, comparison.total) == (num_values, num_values), comparison


def test_the_stored_runs_are_whole_and_fresh_and_no_others_are_there():
    store = open_store("full")
    problems = [
        f"{finding.arm.key}: {finding.reason}" for finding in store.find_all() if finding.reason
    ]
    assert problems + store.strangers() == []
