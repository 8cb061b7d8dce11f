"""From an arm to an optimiser: the draws of each protocol, and the network that an arm names."""

import numpy as np
import pytest
from runs import tiny_arm

from mlpcw import mnist
from mlpcw.layers import AffineLayer, ConvolutionalLayer
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty
from mlpcw.study.records import arms
from mlpcw.study.records.arms import Augmentation, Convolution, Penalty
from mlpcw.study.runs import set_up as setting_up

PENALTIES = [Penalty(l1=1e-3), Penalty(l2=1e-2), Penalty(l1=1e-3, l2=1e-2)]
AUGMENTATIONS = [Augmentation(kind=kind) for kind in arms.AUGMENTATIONS]


def set_up(seed=0, **changes):
    return setting_up.set_up(tiny_arm(**changes), seed, mnist.digits())


def params(optimiser):
    return [param.copy() for param in optimiser.model.params]


def passes(optimiser, num_passes=2):
    """Inputs and classes of the first passes over the training data."""
    batches = [batch for _ in range(num_passes) for batch in optimiser.train_dataset]
    inputs, targets = zip(*batches, strict=True)
    return np.array(inputs), np.array(targets).argmax(axis=-1)


def assert_all_equal(one, other):
    for mine, yours in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, yours)


# ---- Paired: the same seed, the same weights and batches ------------------------------------


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_a_penalty_changes_neither_the_initial_weights_nor_the_batches(penalty):
    plain, penalised = set_up(), set_up(penalty=penalty)
    assert_all_equal(params(plain), params(penalised))
    assert_all_equal(passes(plain), passes(penalised))


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=lambda each: each.kind)
def test_an_augmentation_changes_neither_the_initial_weights_nor_the_order(augmentation):
    plain, augmented = set_up(), set_up(augmentation=augmentation)
    assert_all_equal(params(plain), params(augmented))
    (inputs, labels), (changed, same_labels) = passes(plain), passes(augmented)
    np.testing.assert_array_equal(labels, same_labels)
    kept = (inputs == changed).all(axis=2).mean()  # a quarter of 50, rounded down, is transformed
    assert 0.76 <= kept < 1


def test_all_augmentations_choose_the_same_images():
    chosen = []
    inputs, _ = passes(set_up(), 1)
    for kind in ("shift_2016", "noise_2016"):
        changed, _ = passes(set_up(augmentation=Augmentation(kind=kind)), 1)
        chosen.append((inputs != changed).any(axis=2))
    np.testing.assert_array_equal(*chosen)


def test_a_limit_of_batches_changes_neither_the_initial_weights_nor_the_first_batches():
    whole, limited = set_up(), set_up(max_num_batches=3)
    assert_all_equal(params(whole), params(limited))
    assert_all_equal(passes(whole, 1)[0][:3], passes(limited, 1)[0])


def test_a_limited_pass_draws_other_images_in_the_next_pass():
    _, labels = passes(set_up(max_num_batches=1), 2)
    assert not np.array_equal(labels[0], labels[1])


def test_a_seed_gives_the_same_run_again_and_another_seed_another():
    one, again, other = set_up(seed=3), set_up(seed=3), set_up(seed=1)
    assert_all_equal(params(one), params(again))
    assert not np.array_equal(params(one)[0], params(other)[0])
    batches = passes(one)
    assert_all_equal(batches, passes(again))
    assert not np.array_equal(batches[1], passes(other)[1])


def test_statistics_and_training_passes_of_the_validation_data_are_in_one_fixed_order():
    optimiser = set_up()
    first, second = (np.array([inputs for inputs, _ in optimiser.valid_dataset]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[0], mnist.digits().split("valid")[0][:50])


# ---- 2016: one generator, seeded in between -------------------------------------------------


@pytest.fixture
def small_2016(monkeypatch, digits_for_mnist):
    """The protocol of 2016 on the digits, for arms that start fresh."""
    monkeypatch.setattr(setting_up.as_run, "NUM_TRAIN", 1000)

    def make(**changes):
        arm = tiny_arm(protocol="2016", **changes)
        return setting_up.set_up(arm, arms.SEED_2016, mnist.load())

    return make


def first_weights(optimiser):
    return next(layer.weights for layer in optimiser.model.layers if isinstance(layer, AffineLayer))


def glorot(rng, shape):
    half_width = 0.5 * np.sqrt(2 / sum(shape)) * np.sqrt(3)
    return rng.uniform(-half_width, half_width, size=shape)


def test_in_part_1_the_weights_come_after_the_two_resets(small_2016):
    rng = np.random.RandomState(24102016)
    order, _ = rng.permutation(1000), rng.permutation(397)
    optimiser = small_2016(start="reseeded")
    np.testing.assert_allclose(first_weights(optimiser), glorot(rng, (5, 784)), rtol=1e-14)
    inputs, _ = optimiser.train_dataset.next()
    np.testing.assert_array_equal(inputs, mnist.digits().split("train")[0][order[:50]])


def test_in_part_2_the_weights_come_before_the_seed(small_2016):
    rng = np.random.RandomState(24102016)
    rng.permutation(1000)  # the train provider is built
    optimiser = small_2016(start="fresh")
    np.testing.assert_allclose(first_weights(optimiser), glorot(rng, (5, 784)), rtol=1e-14)
    order = np.random.RandomState(24102016).permutation(1000)
    inputs, _ = optimiser.train_dataset.next()
    np.testing.assert_array_equal(inputs, mnist.digits().split("train")[0][order[:50]])


def test_in_part_3_another_provider_is_reset_and_the_train_provider_keeps_its_order(small_2016):
    rng = np.random.RandomState(24102016)
    order = rng.permutation(1000)
    optimiser = small_2016(start="fresh", convolution=Convolution(kernel_dim=5, kernel_draws=7))
    np.testing.assert_allclose(first_weights(optimiser), glorot(rng, (5, 576)), rtol=1e-14)
    inputs, _ = optimiser.train_dataset.next()
    np.testing.assert_array_equal(inputs, mnist.digits().split("train")[0][order[:50]])
    after = np.random.RandomState(24102016)
    after.permutation(1000)  # the provider that this run does not use
    valid_order = after.permutation(397)
    inputs, _ = optimiser.valid_dataset.next()
    np.testing.assert_array_equal(inputs, mnist.digits().split("valid")[0][valid_order[:50]])


def test_in_part_3_the_kernel_comes_from_a_generator_of_its_own(small_2016):
    optimiser = small_2016(start="fresh", convolution=Convolution(kernel_dim=5, kernel_draws=7))
    drawn = np.random.RandomState(123456).uniform(-0.01, 0.01, size=32)[7:]
    kernels = next(
        layer for layer in optimiser.model.layers if isinstance(layer, ConvolutionalLayer)
    )
    np.testing.assert_allclose(kernels.kernels.ravel(), drawn, rtol=1e-12)


def test_in_2016_the_transform_draws_its_choice_from_the_shared_generator(small_2016):
    optimiser = small_2016(start="fresh", augmentation=Augmentation(kind="noise_2016"))
    rng = np.random.RandomState(24102016)
    order, _ = rng.permutation(1000), rng.permutation(397)
    chosen = rng.choice(50, 12, replace=False)
    inputs, _ = optimiser.train_dataset.next()
    original = mnist.digits().split("train")[0][order[:50]]
    differ = np.flatnonzero((inputs != original).any(axis=1))
    np.testing.assert_array_equal(differ, np.sort(chosen))


# ---- The network ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"hidden_dims": (7, 6)}, "Affine Relu Affine Relu Affine"),
        (
            {"convolution": Convolution(kernel_dim=5)},
            "Reshape Convolutional Reshape Affine Relu Affine",
        ),
        (
            {"convolution": Convolution(kernel_dim=5, kernel_gradient="first_image")},
            "Reshape FirstImageConvolutional Reshape Affine Relu Affine",
        ),
    ],
    ids=str,
)
def test_relus_are_between_affine_layers_and_neither_at_the_end_nor_after_a_convolution(
    changes, names
):
    layers = set_up(**changes).model.layers
    assert [type(layer).__name__ for layer in layers] == [f"{name}Layer" for name in names.split()]


def test_the_affine_layers_have_the_arm_s_sizes():
    shapes = [param.shape for param in set_up(hidden_dims=(7, 6)).model.params]
    assert shapes == [(7, 784), (7,), (6, 7), (6,), (10, 6), (10,)]


@pytest.mark.parametrize("num_output_channels", [1, 3])
def test_the_affine_layer_takes_all_feature_maps(num_output_channels):
    convolution = Convolution(kernel_dim=9, num_output_channels=num_output_channels)
    optimiser = set_up(convolution=convolution)
    assert first_weights(optimiser).shape == (5, num_output_channels * 20 * 20)
    assert optimiser.model.fprop(np.zeros((2, 784)))[-1].shape == (2, 10)


def test_kernels_start_within_a_hundredth_of_0_and_biases_at_0():
    kernels, kernel_biases, *_ = set_up(convolution=Convolution(kernel_dim=15)).model.params
    assert 0.009 < np.abs(kernels).max() < 0.01
    assert not kernel_biases.any()


@pytest.mark.parametrize(
    ("penalty", "kind"),
    [
        (Penalty(l1=1e-3), L1Penalty),
        (Penalty(l2=1e-2), L2Penalty),
        (Penalty(l1=1e-3, l2=1e-2), L1L2Penalty),
        (Penalty(), type(None)),
        (None, type(None)),
    ],
    ids=str,
)
def test_a_penalty_acts_on_all_weights_and_on_no_bias(penalty, kind):
    layers = set_up(penalty=penalty).model.layers
    affine = [layer for layer in layers if isinstance(layer, AffineLayer)]
    assert len(affine) == 2
    for layer in affine:
        assert type(layer.weights_penalty) is kind
        assert layer.biases_penalty is None
        if kind is L1L2Penalty:
            assert layer.weights_penalty.l1_coefficient == penalty.l1
            assert layer.weights_penalty.l2_coefficient == penalty.l2
        elif kind in (L1Penalty, L2Penalty):
            assert layer.weights_penalty.coefficient == (penalty.l1 or penalty.l2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_arm_s_dtype_is_that_of_the_parameters_and_the_outputs(dtype):
    optimiser = set_up(dtype=dtype, convolution=Convolution(kernel_dim=5))
    assert {param.dtype.name for param in optimiser.model.params} == {dtype}
    inputs, _ = optimiser.train_dataset.next()
    assert optimiser.model.fprop(inputs)[-1].dtype == dtype


def test_a_float32_arm_starts_from_the_rounded_weights_of_the_float64_arm():
    single, double = set_up(dtype="float32"), set_up(dtype="float64")
    assert_all_equal(params(single), [param.astype(np.float32) for param in params(double)])


def test_the_learning_rule_has_the_arm_s_settings():
    rule = set_up(learning_rate=0.02, mom_coeff=0.5).learning_rule
    assert (rule.learning_rate, rule.mom_coeff) == (0.02, 0.5)


def test_accuracy_is_the_share_of_images_whose_largest_output_is_their_class():
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    targets = np.array([[0, 1], [1, 0], [1, 0], [1, 0]])
    assert setting_up.accuracy(outputs, targets) == 0.75


def test_a_name_of_data_loads_that_data(digits_for_mnist):
    assert setting_up.load_images("digits") is mnist.digits()
    assert setting_up.load_images("mnist") is mnist.load()


def test_an_augmentation_without_a_transform_is_refused(monkeypatch):
    monkeypatch.setattr(arms, "AUGMENTATIONS", ("blur",))
    with pytest.raises(ValueError, match="augmentation 'blur' has no transform"):
        set_up(augmentation=Augmentation(kind="blur"))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("distortion", {"sigma": 9.0}),
        ("distortion", {"alpha": 3.0}),
        ("distortion", {"fraction": 0.5}),
        ("rotation", {"fraction": 0.5}),
        ("shift_2016", {"fraction": 0.5}),
        ("noise_2016", {"fraction": 0.5}),
    ],
)
def test_the_settings_of_a_transform_reach_it(kind, changes):
    usual, other = (set_up(augmentation=Augmentation(kind=kind, **each)) for each in ({}, changes))
    assert not np.array_equal(usual.train_dataset.next()[0], other.train_dataset.next()[0])
