"""The replay of 2016: its transforms and layer, its start states, its numbers beside ours.

The start states are checked against the providers, the optimiser and the transforms at work: what a
whole training leaves the generator in is what `start_rng` says without training.
"""

import itertools
import math

import msgspec
import numpy as np
import pytest
import scipy.ndimage

from mlpcw import augmenters, mnist
from mlpcw.data_providers import DataProvider, ImageSetDataProvider
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.initialisers import ConstantInit
from mlpcw.layers import AffineLayer, ConvolutionalLayer
from mlpcw.models import MultipleLayerModel
from mlpcw.optimisers import GradientDescentLearningRule, Optimiser
from mlpcw.study import chapters
from mlpcw.study.original import published as replay
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import arms, store
from mlpcw.study.runs.train import train

COLUMNS = ("error_train", "acc_train", "error_valid", "acc_valid", "params_penalty")


def images(num_images, dtype=np.float64):
    return np.random.RandomState(7).uniform(size=(num_images, 784)).astype(dtype)


def changed(before, after):
    """Indices of the rows that differ."""
    return np.flatnonzero((before != after).any(axis=1))


def same_state(one, other):
    return all(
        np.array_equal(a, b) for a, b in zip(one.get_state(), other.get_state(), strict=True)
    )


# ---- The noise of 2016 ----------------------------------------------------------------------


def test_noise_adds_one_number_to_all_pixels_of_a_quarter_of_the_images():
    before = images(100)
    after = replay.noise_2016(before, np.random.RandomState(1), np.random.RandomState(2))
    added = (after - before)[changed(before, after)]
    assert len(added) == 25
    assert np.ptp(added, axis=1) == pytest.approx(0, abs=1e-12)
    assert len(np.unique(added[:, 0])) == 25


def test_noise_has_mean_0_and_variance_a_tenth():
    rng, unseeded = np.random.RandomState(1), np.random.RandomState(2)
    before = np.zeros((100, 784))
    added = [replay.noise_2016(before, rng, unseeded, fraction=1)[:, 0] for _ in range(100)]
    assert np.mean(added) == pytest.approx(0, abs=0.01)
    assert np.var(added) == pytest.approx(0.1, rel=0.05)


def test_noise_takes_only_the_choice_from_the_shared_generator():
    rng, expected = np.random.RandomState(1), np.random.RandomState(1)
    replay.noise_2016(images(100), rng, np.random.RandomState(2))
    expected.choice(100, 25, replace=False)
    assert same_state(rng, expected)


# ---- The shift of 2016 ----------------------------------------------------------------------


class Says:
    """A generator whose only permutation begins with a given number."""

    def __init__(self, number):
        self.number = number

    def permutation(self, count):
        return np.roll(np.arange(count), -self.number)


@pytest.mark.parametrize("pixels", [1, 2, 3, 4])
def test_shift_is_scipy_s_cubic_spline_shift_by_whole_pixels(pixels):
    before = images(8)
    after = replay.shift_2016(before, np.random.RandomState(1), Says(pixels - 1), fraction=1)
    expected = [
        scipy.ndimage.shift(image.reshape(28, 28), (pixels, pixels), order=3) for image in before
    ]
    np.testing.assert_allclose(after, np.reshape(expected, (8, 784)), atol=1e-6)


def test_shift_goes_down_and_right_only():
    before = np.zeros((1, 28, 28))
    before[0, 10, 12] = 1
    for number in range(4):
        after = replay.shift_2016(
            before.reshape(1, 784), np.random.RandomState(1), Says(number), fraction=1
        )
        assert np.argwhere(after.reshape(28, 28)).tolist() == [[11 + number, 13 + number]]


def test_one_number_from_the_unseeded_generator_shifts_the_whole_batch():
    before = np.zeros((40, 28, 28))
    before[:, 10, 10] = 1
    seen = set()
    rng, unseeded = np.random.RandomState(1), np.random.RandomState(2)
    for _ in range(50):
        after = replay.shift_2016(before.reshape(40, 784), rng, unseeded, fraction=1)
        places = {tuple(np.argwhere(image)[0]) for image in after.reshape(-1, 28, 28)}
        assert len(places) == 1
        seen |= places
    assert seen == {(11, 11), (12, 12), (13, 13), (14, 14)}


def test_shift_moves_a_quarter_of_the_images():
    before = images(100)
    after = replay.shift_2016(before, np.random.RandomState(1), np.random.RandomState(2))
    assert len(changed(before, after)) == 25


def test_shift_takes_only_the_choice_from_the_shared_generator():
    rng, expected = np.random.RandomState(1), np.random.RandomState(1)
    replay.shift_2016(images(100), rng, np.random.RandomState(2))
    expected.choice(100, 25, replace=False)
    assert same_state(rng, expected)


@pytest.mark.parametrize("transform", [replay.noise_2016, replay.shift_2016])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_transform_of_2016_keeps_the_dtype_and_its_input(transform, dtype):
    before = images(8, dtype)
    before.flags.writeable = False
    after = transform(before, np.random.RandomState(1), np.random.RandomState(2))
    assert after.dtype == dtype
    assert after.shape == before.shape


# ---- The convolutional layer of the published log -------------------------------------------


def layers_of_both_kinds(num_channels=1):
    rng = np.random.RandomState(3)
    kernels = rng.normal(size=(num_channels, 1, 3, 3))
    sizes = (1, num_channels, 8, 8, 3, 3)
    layers = [kind(*sizes) for kind in (replay.FirstImageConvolutionalLayer, ConvolutionalLayer)]
    for layer in layers:
        layer.params = [kernels.copy(), np.zeros(num_channels)]
    inputs = rng.normal(size=(5, 1, 8, 8))
    return *layers, inputs, rng.normal(size=(5, num_channels, 6, 6))


@pytest.mark.parametrize("num_channels", [1, 2])
def test_the_kernel_sees_as_many_images_as_there_are_channels(num_channels):
    of_2016, right, inputs, grads = layers_of_both_kinds(num_channels)
    found, _ = of_2016.grads_wrt_params(inputs, grads)
    expected, _ = right.grads_wrt_params(inputs[:num_channels], grads[:num_channels])
    np.testing.assert_array_equal(found, expected)
    assert not np.allclose(found, right.grads_wrt_params(inputs, grads)[0])


def test_the_biases_of_2016_see_the_whole_batch():
    of_2016, right, inputs, grads = layers_of_both_kinds()
    found, expected = (layer.grads_wrt_params(inputs, grads)[1] for layer in (of_2016, right))
    np.testing.assert_array_equal(found, expected)


def test_the_layer_of_2016_goes_forward_and_back_like_any():
    of_2016, right, inputs, grads = layers_of_both_kinds()
    outputs = of_2016.fprop(inputs)
    np.testing.assert_array_equal(outputs, right.fprop(inputs))
    np.testing.assert_array_equal(
        of_2016.bprop(inputs, outputs, grads), right.bprop(inputs, outputs, grads)
    )


# ---- The shared generator -------------------------------------------------------------------

TRANSFORMS = {
    "plain": None,
    "rotation": augmenters.random_rotation,
    "distortion": augmenters.random_distortion,
    "shift": lambda inputs, rng: replay.shift_2016(inputs, rng, np.random.RandomState(0)),
}


@pytest.fixture
def small_scale(monkeypatch):
    """200 + 40 images and 5 epochs in place of MNIST and 100."""
    monkeypatch.setattr(replay, "NUM_TRAIN", 200)
    monkeypatch.setattr(replay, "NUM_VALID", 40)
    monkeypatch.setattr(replay, "NUM_EPOCHS", 5)
    monkeypatch.setattr(replay, "STATS_INTERVAL", 2)
    replay._state_after.cache_clear()
    yield
    replay._state_after.cache_clear()


@pytest.mark.parametrize("start", TRANSFORMS)
def test_a_start_state_is_what_a_whole_training_leaves(start, small_scale):
    rng = np.random.RandomState(99)
    splits = {
        which_set: (images(count, np.float32), np.arange(count) % 10)
        for which_set, count in (("train", 200), ("valid", 40))
    }
    image_set = mnist.ImageSet("small", "", splits)
    train = ImageSetDataProvider(image_set, "train", 100, rng=rng, transformer=TRANSFORMS[start])
    valid = ImageSetDataProvider(image_set, "valid", 20, rng=rng)
    rng.seed(24102016)
    train.reset()
    valid.reset()
    model = MultipleLayerModel([AffineLayer(784, 10, ConstantInit(0.0), ConstantInit(0.0))])
    rule = GradientDescentLearningRule(0.01)
    Optimiser(model, CrossEntropySoftmaxError(), rule, train, valid).train(5, stats_interval=2)
    assert same_state(replay.start_rng(start), rng)


def test_a_plain_run_at_its_real_size_leaves_its_start_state():
    rng = np.random.RandomState(99)
    nothing = np.zeros(50_000, dtype=np.uint8)
    train = DataProvider(nothing, nothing, 100, max_num_batches=1, rng=rng)
    valid = DataProvider(nothing[:10_000], nothing[:10_000], 100, max_num_batches=1, rng=rng)
    rng.seed(24102016)
    train.reset()
    valid.reset()
    for epoch in range(101):
        passes = [train] if epoch else []
        passes += [train, valid] if epoch % 5 == 0 else []
        for provider in passes:
            list(provider)
    assert same_state(replay.start_rng("plain"), rng)


@pytest.mark.slow
def test_the_draws_of_one_pass_at_its_real_size_are_those_of_the_rotation_itself():
    """One pass over 500 batches, from the first state of a run to the second."""
    rng, expected = np.random.RandomState(24102016), np.random.RandomState(24102016)
    for _ in range(500):
        augmenters.random_rotation(np.zeros((100, 784)), rng)
        expected.choice(100, 25, replace=False)
        expected.uniform(-1, 1, size=25)
    assert same_state(rng, expected)


@pytest.mark.parametrize("start", ["fresh", "reseeded"])
def test_a_fresh_start_is_just_seeded(start):
    assert same_state(replay.start_rng(start), np.random.RandomState(24102016))


def test_a_start_state_is_a_new_generator_each_time():
    replay.start_rng("plain").uniform(size=10)
    assert same_state(replay.start_rng("plain"), replay.start_rng("plain"))


def test_the_start_states_differ(small_scale):
    states = [replay.start_rng(start) for start in ("fresh", *TRANSFORMS)]
    assert not any(same_state(one, other) for one, other in itertools.combinations(states, 2))


@pytest.mark.parametrize("num_draws", [0, 25, 325])
def test_the_kernel_s_generator_goes_on_from_what_it_has_given(num_draws):
    drawn = np.random.RandomState(123456).uniform(size=num_draws + 9)
    np.testing.assert_array_equal(replay.kernel_rng(num_draws).uniform(size=9), drawn[num_draws:])


# ---- The published numbers ------------------------------------------------------------------


def test_thirteen_logs_were_published():
    logs = {(part, name) for part, runs in replay.published_runs()["runs"].items() for name in runs}
    assert len(logs) == 13
    assert set(replay.LOGS.values()) == logs


@pytest.mark.parametrize("key", replay.LOGS)
def test_a_log_has_21_epochs_of_five_finite_values(key):
    log = replay.published_log(key)
    assert list(log) == ["epoch", *COLUMNS]
    assert log["epoch"] == list(range(0, 101, 5))
    for column in COLUMNS:
        assert len(log[column]) == 21
        assert all(math.isfinite(value) and value >= 0 for value in log[column])


@pytest.mark.parametrize("key", replay.LOGS)
def test_a_log_has_three_significant_digits(key):
    log = replay.published_log(key)
    for column in COLUMNS:
        assert [replay.printed(value) for value in log[column]] == log[column]


def test_an_arm_without_a_log_has_none():
    assert replay.published_log("part3/nn") is None


@pytest.mark.parametrize("key", [*replay.LOGS, *replay.TABLES])
def test_whatever_is_compared_is_an_arm(key):
    assert chapters.find("full", key).key == key


def test_logs_and_tables_do_not_overlap():
    assert not set(replay.LOGS) & set(replay.TABLES)


@pytest.mark.parametrize("key", replay.TABLES)
def test_a_table_row_has_four_numbers(key):
    table, row = replay.TABLES[key]
    cells = replay.report_tables()[table]["values"][row]
    assert set(cells) == {"error_train", "error_valid", "acc_train", "acc_valid"}


def test_what_is_to_be_replayed_has_something_to_be_compared_with():
    assert set(replay.REPLAYED) <= {*replay.LOGS, *replay.TABLES}


# ---- The comparison -------------------------------------------------------------------------


def log_curves(key="part1/none", **changes):
    """The curves of a run that prints exactly what 2016 printed."""
    return {name: list(values) for name, values in replay.published_log(key).items()} | changes


def test_a_run_that_prints_the_same_matches_in_all_105_values():
    comparison = replay.compare("part1/none", log_curves())
    assert comparison == replay.Comparison("log", 105, 105, dict.fromkeys(COLUMNS, 0.0))
    assert comparison.exact


def test_more_digits_than_2016_printed_match_where_they_round_to_them():
    curves = log_curves()
    curves["error_train"] = [value * (1 + 1e-4) for value in curves["error_train"]]
    assert replay.compare("part1/none", curves).exact


@pytest.mark.parametrize("column", ["error_train", "acc_train", "error_valid", "acc_valid"])
@pytest.mark.parametrize("row", [0, 20])
def test_a_changed_third_digit_is_noticed(column, row):
    curves = log_curves()
    value = curves[column][row]
    digit = 10 ** (math.floor(math.log10(value)) - 2)
    curves[column][row] = value + digit
    comparison = replay.compare("part1/none", curves)
    assert comparison.matched == 104
    assert not comparison.exact
    assert comparison.deviations[column] == pytest.approx(digit / value, rel=1e-9)
    assert sum(share > 0 for share in comparison.deviations.values()) == 1


def test_the_largest_deviation_of_a_column_counts():
    curves = log_curves()
    curves["error_valid"][3] *= 1.5
    curves["error_valid"][7] *= 0.9
    comparison = replay.compare("part1/none", curves)
    assert comparison.matched == 103
    assert comparison.deviations["error_valid"] == pytest.approx(0.5, abs=0.01)


def test_something_where_2016_printed_0_is_infinitely_far():
    curves = log_curves()
    curves["params_penalty"][5] = 1e-3
    assert replay.compare("part1/none", curves).deviations["params_penalty"] == math.inf


def test_a_short_run_is_compared_as_far_as_it_goes():
    curves = {name: values[:3] for name, values in log_curves().items()}
    assert replay.compare("part1/none", curves).total == 15


def test_epochs_that_2016_did_not_print_are_left_out():
    curves = {name: values[:2] for name, values in log_curves().items()}
    curves = {name: [values[0], values[0], values[1]] for name, values in curves.items()}
    curves["epoch"] = [0, 3, 5]
    comparison = replay.compare("part1/none", curves)
    assert (comparison.matched, comparison.total) == (10, 10)


def table_curves(key, num_epochs=100):
    table, row = replay.TABLES[key]
    cells = replay.report_tables()[table]["values"][row]
    return {"epoch": [0, num_epochs], **{column: [1.0, cell] for column, cell in cells.items()}}


@pytest.mark.parametrize("key", replay.TABLES)
def test_a_table_is_compared_with_the_end_of_a_whole_run(key):
    comparison = replay.compare(key, table_curves(key))
    assert (comparison.source, comparison.matched, comparison.total) == ("table", 4, 4)


def test_a_table_is_not_compared_with_a_short_run():
    comparison = replay.compare("part3/nn", table_curves("part3/nn", num_epochs=5))
    assert comparison == replay.Comparison("table", 0, 0, {})
    assert not comparison.exact
    line = "2016 printed only the values after all 100 epochs, in a table"
    assert replay.verdict("part3/nn", comparison) == line


def test_a_run_that_2016_printed_nothing_of_is_not_compared():
    comparison = replay.compare("part3/cnn_15x15", table_curves("part3/nn"))
    assert comparison == replay.Comparison("", 0, 0, {})
    assert not comparison.exact


# ---- The comparison in a line ---------------------------------------------------------------


def test_the_verdict_on_an_exact_run_is_its_count():
    comparison = replay.compare("part1/none", log_curves())
    assert replay.verdict("part1/none", comparison) == "105 of 105 printed values of its log"


def test_the_verdict_on_a_run_apart_says_by_how_much_in_which_column():
    comparison = replay.Comparison("log", 94, 105, {"error_train": 0.0049, "acc_train": 0.0})
    assert replay.verdict("part1/l2_1e-2", comparison) == (
        " 94 of 105 printed values of its log; the others by at most: training error 0.5 %"
    )


def test_the_verdict_says_where_2016_was_not_seeded():
    comparison = replay.Comparison("log", 9, 105, {"error_train": 0.5})
    assert replay.verdict("part2/random_shift", comparison).endswith(
        "(drawn in 2016 from an unseeded generator: only the initial weights are known)"
    )


def test_the_verdict_says_where_the_start_is_not_known():
    comparison = replay.Comparison("table", 1, 4, {"error_train": 0.01})
    line = replay.verdict("part3/cnn_5x5", comparison)
    assert line.endswith("(its start state is not known)")


def test_the_verdict_on_nothing_to_compare_says_so():
    line = replay.verdict("part3/cnn_15x15", replay.Comparison("", 0, 0, {}))
    assert line == "2016 printed nothing to compare with"


# ---- The first epochs of 2016, trained here and now -----------------------------------------


@pytest.mark.slow
@pytest.mark.needs_mnist
@pytest.mark.parametrize(
    ("key", "num_epochs", "num_values"),
    [
        ("part1/none", 10, 15),
        ("part2/random_rotation", 5, 10),
        ("part3/cnn_5x5_first_image", 5, 10),
    ],
)
def test_the_first_epochs_print_what_2016_printed(key, num_epochs, num_values):
    arm = chapters.find("full", key, num_epochs)
    comparison = replay.compare(key, train(arm, arms.SEED_2016)["curves"])
    assert (comparison.matched, comparison.total) == (num_values, num_values), comparison


# ---- The stored runs ------------------------------------------------------------------------


STORE = open_store("full")


def stored(key):
    """The record of a stored run; skips, by name, where it is not there."""
    path = STORE.path(chapters.find("full", key), arms.SEED_2016)
    if not path.exists():
        pytest.skip(f"the run {key} is not stored yet")
    return store.read_record(path)


def stored_comparison(key):
    return replay.compare(key, stored(key)["curves"])


@pytest.mark.parametrize("key", replay.REPLAYED)
def test_the_stored_run_matches_every_printed_value(key):
    comparison = stored_comparison(key)
    assert comparison.total == (105 if key in replay.LOGS else 4)
    assert comparison.matched == comparison.total, comparison


def test_all_twelve_cells_of_table_2_1_are_reached():
    sizes = [stored_comparison(f"part2/size_{size}") for size in (1000, 5000, 10000)]
    assert sum(comparison.matched for comparison in sizes) == 12


def test_eleven_of_the_twelve_cells_of_table_2_3_are_reached():
    sigmas = [stored_comparison(f"part2/sigma_{sigma}") for sigma in (1, 4, 10)]
    assert sum(comparison.matched for comparison in sigmas) >= 11


@pytest.mark.parametrize(
    ("key", "least", "furthest"),
    [("part1/l2_1e-2", 90, 0.01), ("part1/l1l2_1e-3_1e-2", 70, 0.03)],
)
def test_the_strong_penalties_match_nearly_all_and_stay_near(key, least, furthest):
    comparison = stored_comparison(key)
    assert comparison.matched >= least
    assert max(comparison.deviations.values()) <= furthest


@pytest.mark.parametrize("key", ["part1/l1_1e-5", "part1/l1_1e-3"])
def test_the_l1_runs_have_validation_errors_within_a_tenth(key):
    comparison = stored_comparison(key)
    assert comparison.deviations["error_valid"] <= 0.1


@pytest.mark.parametrize("key", replay.NOT_REPLAYABLE)
def test_a_run_of_an_unseeded_transform_begins_as_in_2016_did(key):
    """The weights are known; the validation images are not transformed, so their row 0 is too."""
    record = stored(key)
    log = replay.published_log(key)
    for column in ("error_valid", "acc_valid", "params_penalty"):
        assert replay.printed(record["curves"][column][0]) == log[column][0]


def test_the_stored_runs_are_whole_and_fresh_and_no_others_are_there():
    problems = [
        f"{finding.arm.key}: {finding.reason}" for finding in STORE.find_all() if finding.reason
    ]
    assert problems + STORE.strangers() == []


def test_a_short_run_of_an_arm_is_the_same_arm():
    arm = chapters.find("full", "part1/none")
    assert msgspec.structs.replace(chapters.find("full", "part1/none", 5), num_epochs=100) == arm
