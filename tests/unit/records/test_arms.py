"""Arms: what is not an arm is refused, and what is one survives JSON."""

import msgspec
import pytest
from runs import tiny_arm

from mlpcw.study import chapters
from mlpcw.study.records import arms
from mlpcw.study.records.arms import Arm, Augmentation, Convolution, Penalty

FULL, QUICK = (chapters.find(profile, "part1/none") for profile in arms.PROFILES)


# ---- Seeds ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arm", "num_seeds", "expected"),
    [
        (FULL, 0, (24102016,)),
        (FULL, 1, (24102016,)),
        (QUICK, 0, (0, 1, 2)),
        (QUICK, 1, (0,)),
        (QUICK, 4, (0, 1, 2, 3)),
    ],
)
def test_an_arm_of_2016_has_its_one_seed_and_a_paired_one_as_many_as_asked_for(
    arm, num_seeds, expected
):
    assert arms.seeds(arm, num_seeds) == expected


@pytest.mark.parametrize(
    ("arm", "num_seeds", "message"),
    [
        (FULL, 3, "seeds must be 0 or 1 for part1/none, .* its one seed 24102016, got 3"),
        *((QUICK, value, f"seeds must be .*, got {value}") for value in (-1, 1.5, True, 10_001)),
    ],
)
def test_a_wrong_number_of_seeds_is_refused(arm, num_seeds, message):
    with pytest.raises((TypeError, ValueError), match=message):
        arms.seeds(arm, num_seeds)


# ---- JSON and back --------------------------------------------------------------------------


@pytest.mark.parametrize("arm", [tiny_arm(), *chapters.arms("full")], ids=lambda arm: arm.key)
def test_an_arm_survives_json_and_what_it_does_not_know_is_refused(arm):
    values = msgspec.json.decode(msgspec.json.encode(arm))
    assert msgspec.convert(values, Arm) == arm
    with pytest.raises(msgspec.ValidationError, match="unknown field `colour`"):
        msgspec.convert(values | {"colour": "red"}, Arm)


@pytest.mark.parametrize(
    ("changes", "num_weights"),
    [
        ({}, 784 * 5),
        ({"hidden_dims": ()}, 784 * 10),
        ({"convolution": Convolution(kernel_dim=27)}, 4 * 5),
        ({"convolution": Convolution(kernel_dim=9, num_output_channels=3)}, 3 * 400 * 5),
    ],
)
def test_the_first_weights_are_those_of_the_lowest_affine_layer(changes, num_weights):
    assert tiny_arm(**changes).num_first_weights == num_weights


# ---- Values that no arm can have ------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part": "part9"}, "part must be one of part1, .*, got 'part9'"),
        ({"data": "cifar"}, "data must be one of mnist, digits, got 'cifar'"),
        ({"protocol": "2017"}, "protocol must be one of 2016, paired, got '2017'"),
        ({"start": "nowhere"}, "start must be one of reseeded, .*, got 'nowhere'"),
        ({"dtype": "float16"}, "dtype must be one of float32, float64, got 'float16'"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"max_num_batches": 0}, r"max_num_batches must be -1 \(all\) or at least 1, got 0"),
        ({"max_num_batches": -2}, "max_num_batches must be a whole number of at least -1, got -2"),
        ({"num_epochs": -1}, "num_epochs must be a whole number of at least 0, got -1"),
        ({"stats_interval": 0}, "stats_interval must be a whole number of at least 1, got 0"),
        ({"hidden_dims": (100, 0)}, "hidden_dims must be a whole number of at least 1, got 0"),
        ({"weights_gain": -1.0}, "weights_gain must be a number of at least 0, got -1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, got nan"),
        ({"mom_coeff": 1.5}, r"mom_coeff must be a number in \[0, 1\], got 1.5"),
        *(
            ({"name": name}, "name must be letters, digits, .*, got ")
            for name in ("", "..", "../../else", "/etc", "a/b", ".hidden", "a b", "ä", "a\n", 3)
        ),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_arm(**changes)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Penalty, {"l1": -1e-3}, "l1 must be a number of at least 0, got -0.001"),
        (Penalty, {"l2": float("inf")}, "l2 must be a number of at least 0, got inf"),
        (Augmentation, {"kind": "blur"}, "augmentation must be one of rotation, .*, got 'blur'"),
        (
            Augmentation,
            {"kind": "rotation", "fraction": 1.5},
            r"fraction must be a number in \[0, 1\], got 1.5",
        ),
        (
            Augmentation,
            {"kind": "distortion", "sigma": 0.0},
            "sigma must be a number of pixels above 0, got 0.0",
        ),
        (
            Augmentation,
            {"kind": "distortion", "alpha": -1.0},
            "alpha must be a number of at least 0, got -1.0",
        ),
        (
            Convolution,
            {"kernel_dim": 29},
            r"kernel_dim must be a whole number in \[1, 28\], got 29",
        ),
        (
            Convolution,
            {"kernel_dim": 5, "num_output_channels": 0},
            "num_output_channels must be a whole number of at least 1, got 0",
        ),
        (
            Convolution,
            {"kernel_dim": 5, "kernel_gradient": "none"},
            "kernel_gradient must be one of whole_batch, first_image, got 'none'",
        ),
        (
            Convolution,
            {"kernel_dim": 5, "kernel_draws": -1},
            "kernel_draws must be a whole number of at least 0, got -1",
        ),
    ],
)
def test_a_penalty_augmentation_or_convolution_that_cannot_be_is_refused(kind, fields, message):
    with pytest.raises(ValueError, match=message):
        kind(**fields)
