"""What 2016 did differently: transforms, a layer, start states.

The start states are checked against the providers, the optimiser and the transforms at work: what a
whole training leaves the generator in is what `start_rng` returns without training.
"""

import itertools

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
from mlpcw.study.original import as_run
from mlpcw.study.original.as_run import noise_2016, shift_2016, start_rng


def images(num_images, dtype=np.float64):
    return np.random.RandomState(7).uniform(size=(num_images, 784)).astype(dtype)


def generators():
    return np.random.RandomState(1), np.random.RandomState(2)


def changed(before, after):
    """Indices of the rows that differ."""
    return np.flatnonzero((before != after).any(axis=1))


def same_state(one, other):
    return all(
        np.array_equal(a, b) for a, b in zip(one.get_state(), other.get_state(), strict=True)
    )


# ---- Transforms -----------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [noise_2016, shift_2016])
class TestBoth:
    def test_a_quarter_is_chosen_by_the_shared_generator_which_gives_nothing_else(self, transform):
        rng, unseeded = generators()
        expected, _ = generators()
        before = images(100)
        after = transform(before, rng, unseeded)
        chosen = expected.choice(100, 25, replace=False)
        np.testing.assert_array_equal(changed(before, after), np.sort(chosen))
        assert same_state(rng, expected)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_dtype_and_input_are_kept(self, transform, dtype):
        before = images(8, dtype)
        before.flags.writeable = False
        after = transform(before, *generators())
        assert after.dtype == dtype
        assert after.shape == before.shape


def test_noise_adds_one_number_to_all_pixels_of_an_image():
    before = images(100)
    after = noise_2016(before, *generators())
    added = (after - before)[changed(before, after)]
    assert np.ptp(added, axis=1) == pytest.approx(0, abs=1e-12)
    assert len(np.unique(added[:, 0])) == 25


def test_noise_has_mean_0_and_variance_a_tenth():
    rng, unseeded = generators()
    before = np.zeros((100, 784))
    added = [noise_2016(before, rng, unseeded, fraction=1)[:, 0] for _ in range(100)]
    assert np.mean(added) == pytest.approx(0, abs=0.01)
    assert np.var(added) == pytest.approx(0.1, rel=0.05)


class Says:
    """A generator whose only permutation begins with a given number."""

    def __init__(self, number):
        self.number = number

    def permutation(self, count):
        return np.roll(np.arange(count), -self.number)


@pytest.mark.parametrize("pixels", [1, 2, 3, 4])
def test_shift_is_scipy_s_cubic_spline_shift_down_and_right_by_whole_pixels(pixels):
    before = images(8)
    after = shift_2016(before, np.random.RandomState(1), Says(pixels - 1), fraction=1)
    expected = [
        scipy.ndimage.shift(image.reshape(28, 28), (pixels, pixels), order=3) for image in before
    ]
    np.testing.assert_allclose(after, np.reshape(expected, (8, 784)), atol=1e-6)


def test_one_number_from_the_unseeded_generator_shifts_the_whole_batch():
    before = np.zeros((40, 28, 28))
    before[:, 10, 12] = 1
    seen = set()
    rng, unseeded = generators()
    for _ in range(50):
        after = shift_2016(before.reshape(40, 784), rng, unseeded, fraction=1)
        places = {tuple(np.argwhere(image)[0]) for image in after.reshape(-1, 28, 28)}
        assert len(places) == 1
        seen |= places
    assert seen == {(11, 13), (12, 14), (13, 15), (14, 16)}


# ---- The convolutional layer of the published log -------------------------------------------


@pytest.mark.parametrize("num_channels", [1, 2])
def test_the_kernel_of_2016_sees_as_many_images_as_there_are_channels(num_channels):
    rng = np.random.RandomState(3)
    kernels = rng.normal(size=(num_channels, 1, 3, 3))
    sizes = (1, num_channels, 8, 8, 3, 3)
    of_2016, usual = as_run.FirstImageConvolutionalLayer(*sizes), ConvolutionalLayer(*sizes)
    for layer in (of_2016, usual):
        layer.params = [kernels.copy(), np.zeros(num_channels)]
    inputs, grads = rng.normal(size=(5, 1, 8, 8)), rng.normal(size=(5, num_channels, 6, 6))
    of_kernels, of_biases = of_2016.grads_wrt_params(inputs, grads)
    of_first, _ = usual.grads_wrt_params(inputs[:num_channels], grads[:num_channels])
    of_batch, expected_biases = usual.grads_wrt_params(inputs, grads)
    np.testing.assert_array_equal(of_kernels, of_first)
    assert not np.allclose(of_kernels, of_batch)
    # all else is as usual: the biases see the whole batch
    np.testing.assert_array_equal(of_biases, expected_biases)
    outputs = of_2016.fprop(inputs)
    np.testing.assert_array_equal(outputs, usual.fprop(inputs))
    np.testing.assert_array_equal(
        of_2016.bprop(inputs, outputs, grads), usual.bprop(inputs, outputs, grads)
    )


# ---- The shared generator -------------------------------------------------------------------

TRANSFORMS = {
    "plain": None,
    "rotation": augmenters.random_rotation,
    "distortion": augmenters.random_distortion,
    "shift": lambda inputs, rng: shift_2016(inputs, rng, np.random.RandomState(0)),
}


@pytest.fixture
def small_scale(monkeypatch):
    """200 + 40 images and 5 epochs in place of MNIST and 100."""
    scale = {"NUM_TRAIN": 200, "NUM_VALID": 40, "NUM_EPOCHS": 5, "STATS_INTERVAL": 2}
    for name, value in scale.items():
        monkeypatch.setattr(as_run, name, value)
    as_run._state_after.cache_clear()
    yield
    as_run._state_after.cache_clear()


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
    assert same_state(start_rng(start), rng)


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
    assert same_state(start_rng("plain"), rng)


def test_start_states_are_new_generators_and_differ(small_scale):
    starts = ("fresh", *TRANSFORMS)
    start_rng("plain").uniform(size=10)  # changes none of those below
    states = [start_rng(start) for start in starts]
    assert not any(same_state(one, other) for one, other in itertools.combinations(states, 2))
    for start, state in zip(starts, states, strict=True):
        assert same_state(start_rng(start), state)
    for start in ("fresh", "reseeded"):
        assert same_state(start_rng(start), np.random.RandomState(24102016))


@pytest.mark.parametrize("num_draws", [0, 25, 325])
def test_the_kernel_s_generator_goes_on_from_what_it_has_given(num_draws):
    drawn = np.random.RandomState(123456).uniform(size=num_draws + 9)
    np.testing.assert_array_equal(as_run.kernel_rng(num_draws).uniform(size=9), drawn[num_draws:])
