"""Arms: all runs of 2016 are named with the report's settings; what is no arm is refused."""

import dataclasses

import pytest
from runs import tiny_arm

from mlpcw.study.records import arms
from mlpcw.study.records.arms import SEED_2016, Arm, Augmentation, Convolution, Penalty

FULL = {arm.key: arm for arm in arms.arms("full")}
QUICK = {arm.key: arm for arm in arms.arms("quick")}
FAITHFUL = {key: arm for key, arm in FULL.items() if arm.part != "starts"}


# ---- The runs of 2016 -----------------------------------------------------------------------


def test_the_faithful_runs_are_all_there_and_no_others():
    assert list(FAITHFUL) == [
        "part1/none",
        "part1/l1_1e-5",
        "part1/l1_1e-3",
        "part1/l2_1e-4",
        "part1/l2_1e-2",
        "part1/l1l2_1e-5_1e-4",
        "part1/l1l2_1e-3_1e-2",
        "part2/size_1000",
        "part2/size_5000",
        "part2/size_10000",
        "part2/initial_data",
        "part2/random_rotation",
        "part2/random_shift",
        "part2/random_distortion",
        "part2/random_noise",
        "part2/sigma_1",
        "part2/sigma_4",
        "part2/sigma_10",
        "part3/nn",
        "part3/cnn_5x5",
        "part3/cnn_10x10",
        "part3/cnn_15x15",
        "part3/cnn_5x5_first_image",
    ]


@pytest.mark.parametrize("arm", FULL.values(), ids=FULL)
def test_each_full_run_is_100_epochs_of_mnist_in_float64_as_in_2016(arm):
    assert (arm.data, arm.protocol, arm.dtype) == ("mnist", "2016", "float64")
    assert (arm.num_epochs, arm.stats_interval) == (100, 5)
    assert (arm.weights_gain, arm.learning_rate, arm.mom_coeff) == (0.5, 0.01, 0.9)
    assert arm.batch_size == (50 if arm.part == "part1" else 100)
    assert arm.hidden_dims == ((100,) if arm.convolution else (100, 100))


@pytest.mark.parametrize(
    ("name", "l1", "l2"),
    [
        ("l1_1e-5", 1e-5, 0),
        ("l1_1e-3", 1e-3, 0),
        ("l2_1e-4", 0, 1e-4),
        ("l2_1e-2", 0, 1e-2),
        ("l1l2_1e-5_1e-4", 1e-5, 1e-4),
        ("l1l2_1e-3_1e-2", 1e-3, 1e-2),
    ],
)
def test_the_coefficients_are_the_report_s(name, l1, l2):
    assert FULL[f"part1/{name}"].penalty == Penalty(l1=l1, l2=l2)


def test_only_part_1_has_penalties():
    assert {key for key, arm in FULL.items() if arm.penalty} == {
        key for key in FULL if key.startswith("part1/") and key != "part1/none"
    }


@pytest.mark.parametrize(("size", "num_batches"), [(1000, 10), (5000, 50), (10000, 100)])
def test_a_size_is_a_number_of_batches_a_pass(size, num_batches):
    arm = FULL[f"part2/size_{size}"]
    assert arm.max_num_batches == num_batches
    assert arm.max_num_batches * arm.batch_size == size


def test_all_other_runs_see_all_batches():
    limited = {key for key, arm in FULL.items() if arm.max_num_batches != -1}
    assert limited == {"part2/size_1000", "part2/size_5000", "part2/size_10000"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("random_rotation", "rotation"),
        ("random_shift", "shift_2016"),
        ("random_distortion", "distortion"),
        ("random_noise", "noise_2016"),
    ],
)
def test_each_transform_changes_a_quarter_of_each_batch(name, kind):
    augmentation = FULL[f"part2/{name}"].augmentation
    assert augmentation == Augmentation(kind=kind, fraction=0.25)


@pytest.mark.parametrize("sigma", [1, 4, 10])
def test_the_sigmas_are_distortions_at_alpha_34(sigma):
    augmentation = FULL[f"part2/sigma_{sigma}"].augmentation
    assert augmentation == Augmentation(kind="distortion", sigma=float(sigma), alpha=34.0)


@pytest.mark.parametrize(
    ("name", "kernel_dim", "kernel_gradient"),
    [
        ("cnn_5x5", 5, "whole_batch"),
        ("cnn_10x10", 10, "whole_batch"),
        ("cnn_15x15", 15, "whole_batch"),
        ("cnn_5x5_first_image", 5, "first_image"),
    ],
)
def test_the_kernels_have_the_report_s_sizes_and_one_channel(name, kernel_dim, kernel_gradient):
    convolution = FULL[f"part3/{name}"].convolution
    assert (convolution.kernel_dim, convolution.num_output_channels) == (kernel_dim, 1)
    assert convolution.kernel_gradient == kernel_gradient


@pytest.mark.parametrize(
    ("key", "start"),
    [
        ("part2/initial_data", "distortion"),
        ("part2/random_rotation", "plain"),
        ("part2/random_shift", "rotation"),
        ("part2/random_distortion", "shift"),
        ("part2/random_noise", "distortion"),
        ("part2/size_1000", "plain"),
        ("part2/sigma_1", "plain"),
        ("part2/sigma_4", "distortion"),
        ("part2/sigma_10", "distortion"),
        ("part3/nn", "plain"),
        ("part3/cnn_5x5_first_image", "plain"),
    ],
)
def test_each_run_starts_as_the_run_before_it_left_the_generator(key, start):
    assert FULL[key].start == start


def test_the_runs_of_part_1_are_reseeded_before_their_model_is_built():
    assert {arm.start for arm in FULL.values() if arm.part == "part1"} == {"reseeded"}


@pytest.mark.parametrize(("name", "num_states"), [("cnn_5x5", 11), ("cnn_10x10", 3)])
def test_the_start_states_differ_only_in_what_was_drawn_before(name, num_states):
    shown = FULL[f"part3/{name}"]
    tried = [arm for key, arm in FULL.items() if key.startswith(f"starts/{name}_")]
    states = {(arm.start, arm.convolution.kernel_draws) for arm in (*tried, shown)}
    assert len(states) == len(tried) + 1 == num_states
    for arm in tried:
        same = dataclasses.replace(arm, part="part3", name=name, start="plain")
        assert dataclasses.replace(same, convolution=shown.convolution) == shown
        assert arm.convolution.kernel_dim == shown.convolution.kernel_dim


# ---- The quick profile ----------------------------------------------------------------------


def test_quick_has_every_faithful_arm():
    assert list(QUICK) == list(FAITHFUL)


@pytest.mark.parametrize("arm", QUICK.values(), ids=QUICK)
def test_a_quick_arm_is_paired_on_the_digits_and_otherwise_the_same_question(arm):
    full = FULL[arm.key]
    assert (arm.data, arm.protocol, arm.num_epochs) == ("digits", "paired", 20)
    assert arm.penalty == full.penalty
    assert arm.augmentation == full.augmentation
    assert arm.convolution == full.convolution
    assert arm.hidden_dims == full.hidden_dims


def test_the_quick_sizes_keep_their_order_within_the_digits():
    sizes = [QUICK[f"part2/size_{size}"] for size in (1000, 5000, 10000)]
    images = [arm.max_num_batches * arm.batch_size for arm in sizes]
    assert images == [20, 100, 200]


# ---- Asking for arms ------------------------------------------------------------------------


@pytest.mark.parametrize("profile", arms.PROFILES)
def test_keys_are_unique(profile):
    found = arms.arms(profile)
    assert len({arm.key for arm in found}) == len(found)


@pytest.mark.parametrize("part", arms.PARTS)
def test_a_part_has_its_own_arms_only(part):
    assert arms.arms("full", part) == tuple(arm for arm in FULL.values() if arm.part == part)


def test_epochs_can_be_asked_for():
    assert {arm.num_epochs for arm in arms.arms("full", num_epochs=7)} == {7}


def test_an_arm_is_found_by_its_key():
    assert arms.find("full", "part1/none") is FULL["part1/none"]
    assert arms.find("quick", "part1/none", 3).num_epochs == 3


def test_an_unknown_profile_is_refused():
    with pytest.raises(ValueError, match=r"profile must be one of full, quick, got 'slow'"):
        arms.arms("slow")


def test_an_unknown_part_is_refused():
    allowed = "part1, part2, part3, starts"
    with pytest.raises(ValueError, match=rf"part must be one of {allowed}, got 'part4'"):
        arms.arms("full", "part4")


def test_an_unknown_arm_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"arm must be one of part1/none, .*, got 'part1/some'"):
        arms.find("full", "part1/some")


def test_negative_epochs_are_refused():
    with pytest.raises(ValueError, match=r"epochs must be a whole number in \[0, 10000\], got -1"):
        arms.arms("full", num_epochs=-1)


# ---- Seeds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("num_seeds", [0, 1])
def test_a_run_of_2016_has_the_one_seed_of_2016(num_seeds):
    assert arms.seeds(FULL["part1/none"], num_seeds) == (24102016,) == (SEED_2016,)


def test_a_run_of_2016_refuses_more_seeds():
    message = r"seeds must be 0 or 1 for part1/none, .* its one seed 24102016, got 3"
    with pytest.raises(ValueError, match=message):
        arms.seeds(FULL["part1/none"], 3)


@pytest.mark.parametrize(("num_seeds", "expected"), [(0, (0, 1, 2)), (1, (0,)), (4, (0, 1, 2, 3))])
def test_a_paired_arm_has_as_many_seeds_as_asked_for(num_seeds, expected):
    assert arms.seeds(QUICK["part1/none"], num_seeds) == expected


@pytest.mark.parametrize("num_seeds", [-1, 1.5, True, None])
def test_a_wrong_number_of_seeds_is_refused(num_seeds):
    with pytest.raises((TypeError, ValueError), match=rf"seeds must be .*, got {num_seeds}"):
        arms.seeds(QUICK["part1/none"], num_seeds)


# ---- Plain values and back ------------------------------------------------------------------


@pytest.mark.parametrize("arm", (*FULL.values(), *QUICK.values()), ids=lambda arm: arm.key)
def test_an_arm_survives_plain_values(arm):
    assert Arm.from_json(arm.to_json()) == arm


def test_plain_values_are_those_of_json():
    values = FULL["part3/cnn_5x5"].to_json()
    assert values["hidden_dims"] == [100]
    assert values["penalty"] is None
    assert values["convolution"] == {
        "kernel_dim": 5,
        "num_output_channels": 1,
        "kernel_gradient": "whole_batch",
        "kernel_draws": 25,
    }


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Arm)])
def test_a_missing_field_is_named(name):
    values = tiny_arm().to_json()
    del values[name]
    with pytest.raises(TypeError, match=rf"Arm has missing or unknown fields: {name}$"):
        Arm.from_json(values)


def test_an_unknown_field_is_named():
    values = tiny_arm().to_json() | {"colour": "red"}
    with pytest.raises(TypeError, match=r"Arm has missing or unknown fields: colour$"):
        Arm.from_json(values)


def test_a_missing_field_of_a_penalty_is_named():
    values = tiny_arm().to_json() | {"penalty": {"l1": 1e-3}}
    with pytest.raises(TypeError, match=r"Penalty has missing or unknown fields: l2$"):
        Arm.from_json(values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 1.0}, "batch_size must be of type int, got 1.0"),
        ({"batch_size": True}, "batch_size must be of type int, got True"),
        ({"learning_rate": 1}, "learning_rate must be of type float, got 1"),
        ({"name": 3}, "name must be of type str, got 3"),
        ({"name": None}, "name must be of type str, got None"),
        ({"hidden_dims": 5}, "hidden_dims must be a list of whole numbers, got 5"),
        ({"hidden_dims": [5.0]}, r"hidden_dims must be a list of whole numbers, got \[5.0\]"),
        ({"penalty": 1e-3}, "Penalty must be an object, got 0.001"),
        ({"penalty": {"l1": "1", "l2": 0.0}}, "l1 must be of type float, got '1'"),
        ({"augmentation": []}, r"Augmentation must be an object, got \[\]"),
        ({"convolution": "5x5"}, "Convolution must be an object, got '5x5'"),
    ],
)
def test_a_field_of_the_wrong_type_is_named_with_its_value(changes, message):
    with pytest.raises(TypeError, match=message):
        Arm.from_json(tiny_arm().to_json() | changes)


@pytest.mark.parametrize("values", [None, 3, "arm", ["arm"]])
def test_what_is_no_object_is_no_arm(values):
    with pytest.raises(TypeError, match=r"Arm must be an object, got"):
        Arm.from_json(values)


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
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_arm(**changes)


@pytest.mark.parametrize(
    "name", ["", "..", "../../else", "/etc", "a/b", ".hidden", "a b", "ä", "a\n"]
)
def test_a_name_that_is_no_plain_folder_s_is_refused(name):
    with pytest.raises(ValueError, match=r"name must be letters, digits, .*, got "):
        tiny_arm(name=name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Penalty(l1=-1e-3), "l1 must be a number of at least 0, got -0.001"),
        (lambda: Penalty(l2=float("inf")), "l2 must be a number of at least 0, got inf"),
        (lambda: Augmentation(kind="blur"), "augmentation must be one of rotation, .*, got 'blur'"),
        (
            lambda: Augmentation(kind="rotation", fraction=1.5),
            r"fraction must be a number in \[0, 1\], got 1.5",
        ),
        (
            lambda: Augmentation(kind="distortion", sigma=0.0),
            "sigma must be a number of pixels above 0, got 0.0",
        ),
        (
            lambda: Augmentation(kind="distortion", alpha=-1.0),
            "alpha must be a number of at least 0, got -1.0",
        ),
        (
            lambda: Convolution(kernel_dim=29),
            r"kernel_dim must be a whole number in \[1, 28\], got 29",
        ),
        (
            lambda: Convolution(kernel_dim=5, num_output_channels=0),
            "num_output_channels must be a whole number of at least 1, got 0",
        ),
        (
            lambda: Convolution(kernel_dim=5, kernel_gradient="none"),
            "kernel_gradient must be one of whole_batch, first_image, got 'none'",
        ),
        (
            lambda: Convolution(kernel_dim=5, kernel_draws=-1),
            "kernel_draws must be a whole number of at least 0, got -1",
        ),
    ],
)
def test_a_penalty_augmentation_or_convolution_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
