"""One run: the draws of each protocol, the network that an arm names, and the probe."""

import numpy as np
import pytest
from runs import tiny_arm

from mlpcw import fused, mnist
from mlpcw.layers import AffineLayer, ConvolutionalLayer
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty
from mlpcw.study.original import as_run
from mlpcw.study.records import arms
from mlpcw.study.records.arms import Augmentation, Convolution, Penalty
from mlpcw.study.runs import set_up as training

PENALTIES = [Penalty(l1=1e-3), Penalty(l2=1e-2), Penalty(l1=1e-3, l2=1e-2)]
AUGMENTATIONS = [Augmentation(kind=kind) for kind in arms.AUGMENTATIONS]


def set_up(seed=0, **changes):
    arm = tiny_arm(**changes)
    return training.set_up(arm, seed, mnist.digits())


def params(trial):
    return [param.copy() for param in trial.model.params]


def passes(trial, num_passes=2):
    """Inputs and classes of the first passes over the training data."""
    batches = [batch for _ in range(num_passes) for batch in trial.train]
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


def test_the_same_seed_gives_the_same_run_again():
    assert_all_equal(params(set_up(seed=3)), params(set_up(seed=3)))
    assert_all_equal(passes(set_up(seed=3)), passes(set_up(seed=3)))


def test_other_seeds_give_other_weights_and_another_order():
    one, other = set_up(seed=0), set_up(seed=1)
    assert not np.array_equal(params(one)[0], params(other)[0])
    assert not np.array_equal(passes(one)[1], passes(other)[1])


def test_statistics_and_training_passes_of_the_validation_data_are_in_one_fixed_order():
    trial = set_up()
    first, second = (np.array([inputs for inputs, _ in trial.valid]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[0], mnist.digits().split("valid")[0][:50])


# ---- 2016: one generator, seeded in between -------------------------------------------------


@pytest.fixture
def small_2016(monkeypatch, digits_for_mnist):
    """The protocol of 2016 on the digits, for arms that start fresh."""
    monkeypatch.setattr(as_run, "NUM_TRAIN", 1000)

    def make(**changes):
        arm = tiny_arm(protocol="2016", **changes)
        return training.set_up(arm, arms.SEED_2016, mnist.load())

    return make


def first_weights(trial):
    return next(layer.weights for layer in trial.model.layers if isinstance(layer, AffineLayer))


def glorot(rng, shape):
    half_width = 0.5 * np.sqrt(2 / sum(shape)) * np.sqrt(3)
    return rng.uniform(-half_width, half_width, size=shape)


def test_in_part_1_the_weights_come_after_the_two_resets(small_2016):
    rng = np.random.RandomState(24102016)
    order, _ = rng.permutation(1000), rng.permutation(397)
    trial = small_2016(start="reseeded")
    np.testing.assert_allclose(first_weights(trial), glorot(rng, (5, 784)), rtol=1e-14)
    inputs, _ = trial.train.next()
    np.testing.assert_array_equal(inputs, mnist.digits().split("train")[0][order[:50]])


def test_in_part_2_the_weights_come_before_the_seed(small_2016):
    rng = np.random.RandomState(24102016)
    rng.permutation(1000)  # the train provider is built
    trial = small_2016(start="fresh")
    np.testing.assert_allclose(first_weights(trial), glorot(rng, (5, 784)), rtol=1e-14)
    order = np.random.RandomState(24102016).permutation(1000)
    inputs, _ = trial.train.next()
    np.testing.assert_array_equal(inputs, mnist.digits().split("train")[0][order[:50]])


def test_in_part_3_another_provider_is_reset_and_the_train_provider_keeps_its_order(small_2016):
    rng = np.random.RandomState(24102016)
    order = rng.permutation(1000)
    trial = small_2016(start="fresh", convolution=Convolution(kernel_dim=5, kernel_draws=7))
    np.testing.assert_allclose(first_weights(trial), glorot(rng, (5, 576)), rtol=1e-14)
    inputs, _ = trial.train.next()
    np.testing.assert_array_equal(inputs, mnist.digits().split("train")[0][order[:50]])
    after = np.random.RandomState(24102016)
    after.permutation(1000)  # the provider that this run does not use
    valid_order = after.permutation(397)
    inputs, _ = trial.valid.next()
    np.testing.assert_array_equal(inputs, mnist.digits().split("valid")[0][valid_order[:50]])


def test_in_part_3_the_kernel_comes_from_a_generator_of_its_own(small_2016):
    trial = small_2016(start="fresh", convolution=Convolution(kernel_dim=5, kernel_draws=7))
    drawn = np.random.RandomState(123456).uniform(-0.01, 0.01, size=32)[7:]
    kernels = next(layer for layer in trial.model.layers if isinstance(layer, ConvolutionalLayer))
    np.testing.assert_allclose(kernels.kernels.ravel(), drawn, rtol=1e-12)


def test_in_2016_the_transform_draws_its_choice_from_the_shared_generator(small_2016):
    trial = small_2016(start="fresh", augmentation=Augmentation(kind="noise_2016"))
    rng = np.random.RandomState(24102016)
    order, _ = rng.permutation(1000), rng.permutation(397)
    chosen = rng.choice(50, 12, replace=False)
    inputs, _ = trial.train.next()
    original = mnist.digits().split("train")[0][order[:50]]
    differ = np.flatnonzero((inputs != original).any(axis=1))
    np.testing.assert_array_equal(differ, np.sort(chosen))


# ---- The network ----------------------------------------------------------------------------


def layer_names(**changes):
    return [type(layer).__name__ for layer in set_up(**changes).model.layers]


def test_affine_layers_have_relus_between_them_and_none_at_the_end():
    expected = ["AffineLayer", "ReluLayer", "AffineLayer", "ReluLayer", "AffineLayer"]
    assert layer_names(hidden_dims=(7, 6)) == expected
    shapes = [param.shape for param in set_up(hidden_dims=(7, 6)).model.params]
    assert shapes == [(7, 784), (7,), (6, 7), (6,), (10, 6), (10,)]


def test_no_relu_follows_the_convolution():
    assert layer_names(convolution=Convolution(kernel_dim=5)) == [
        *("ReshapeLayer", "ConvolutionalLayer", "ReshapeLayer"),
        *("AffineLayer", "ReluLayer", "AffineLayer"),
    ]


def test_an_arm_of_the_published_log_has_its_convolutional_layer():
    convolution = Convolution(kernel_dim=5, kernel_gradient="first_image")
    assert "FirstImageConvolutionalLayer" in layer_names(convolution=convolution)


@pytest.mark.parametrize("num_output_channels", [1, 3])
def test_the_affine_layer_takes_all_feature_maps(num_output_channels):
    convolution = Convolution(kernel_dim=9, num_output_channels=num_output_channels)
    trial = set_up(convolution=convolution)
    assert first_weights(trial).shape == (5, num_output_channels * 20 * 20)
    assert trial.model.fprop(np.zeros((2, 784)))[-1].shape == (2, 10)


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
    affine = [
        layer for layer in set_up(penalty=penalty).model.layers if isinstance(layer, AffineLayer)
    ]
    assert [type(layer.weights_penalty) for layer in affine] == [kind, kind]
    assert [layer.biases_penalty for layer in affine] == [None, None]


def test_the_coefficients_reach_the_penalty():
    penalty = first_penalty(penalty=Penalty(l1=1e-3, l2=1e-2))
    assert (penalty.l1_coefficient, penalty.l2_coefficient) == (1e-3, 1e-2)
    assert first_penalty(penalty=Penalty(l1=1e-3)).coefficient == 1e-3
    assert first_penalty(penalty=Penalty(l2=1e-2)).coefficient == 1e-2


def first_penalty(**changes):
    layers = set_up(**changes).model.layers
    return next(layer.weights_penalty for layer in layers if isinstance(layer, AffineLayer))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_arm_s_dtype_is_that_of_the_parameters_and_the_outputs(dtype):
    trial = set_up(dtype=dtype, convolution=Convolution(kernel_dim=5))
    assert {param.dtype.name for param in trial.model.params} == {dtype}
    inputs, _ = trial.train.next()
    assert trial.model.fprop(inputs)[-1].dtype == dtype


def test_a_float32_arm_starts_from_the_rounded_weights_of_the_float64_arm():
    single, double = set_up(dtype="float32"), set_up(dtype="float64")
    assert_all_equal(params(single), [param.astype(np.float32) for param in params(double)])


def test_the_learning_rule_has_the_arm_s_settings():
    arm = tiny_arm(learning_rate=0.02, mom_coeff=0.5)
    rule = training.set_up(arm, 0, mnist.digits()).optimiser(arm).learning_rule
    assert (rule.learning_rate, rule.mom_coeff) == (0.02, 0.5)


def test_accuracy_is_the_share_of_images_whose_largest_output_is_their_class():
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    targets = np.array([[0, 1], [1, 0], [1, 0], [1, 0]])
    assert training.accuracy(outputs, targets) == 0.75


def test_a_name_of_data_loads_that_data(digits_for_mnist):
    assert training.load_images("digits") is mnist.digits()
    assert training.load_images("mnist") is mnist.load()


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
    assert not np.array_equal(usual.train.next()[0], other.train.next()[0])


# ---- The probe ------------------------------------------------------------------------------


@pytest.fixture
def fresh_probes():
    training.probe.cache_clear()
    yield
    training.probe.cache_clear()


ARM = arms.find("full", "part2/random_noise")


def test_a_probe_is_the_same_each_time_to_the_bit(fresh_probes):
    first = training.probe(ARM)
    training.probe.cache_clear()
    assert training.probe(ARM) == first


def test_a_probe_depends_on_no_global_random_state(fresh_probes):
    np.random.seed(1)
    first = training.probe(ARM)
    training.probe.cache_clear()
    np.random.seed(2)
    assert training.probe(ARM) == first


def test_a_probe_leaves_the_global_random_state_alone(fresh_probes):
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    training.probe(ARM)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_probe_holds_the_loss_the_penalty_and_the_weights_of_each_layer():
    probe = training.probe(arms.find("full", "part1/l2_1e-2"))
    assert set(probe) == {"loss", "penalty", "weights"}
    assert 0 < probe["loss"] < 2.31
    assert probe["penalty"] > 0
    assert len(probe["weights"]) == 3


def test_a_probe_counts_every_layer_with_parameters():
    arm = arms.find("full", "part3/cnn_5x5")
    assert len(training.probe(arm)["weights"]) == 3  # convolutional, affine, affine


def test_a_probe_is_twenty_updates(monkeypatch, fresh_probes):
    seen = []
    monkeypatch.setattr(fused, "make_step", lambda *_: None)  # updates by the rule's own method
    update = training.MomentumLearningRule.update_params
    monkeypatch.setattr(
        training.MomentumLearningRule,
        "update_params",
        lambda self, grads: (seen.append(1), update(self, grads)),
    )
    training.probe(tiny_arm(max_num_batches=3))  # further passes where one has too few batches
    assert len(seen) == 20


def test_a_probe_takes_the_digits_and_float64_whatever_the_arm():
    changes = {"name": "other", "data": "mnist", "protocol": "2016", "dtype": "float32"}
    assert training.probe(tiny_arm(**changes)) == training.probe(tiny_arm())


def test_no_two_arms_that_do_different_things_have_the_same_probe():
    probes = {}
    for arm in arms.arms("full"):
        if arm.part != "starts":
            probes.setdefault(str(training.probe(arm)), []).append(arm.name)
    alike = sorted(sorted(names) for names in probes.values() if len(names) > 1)
    # Alike but for their start states; and 10 batches of 100 are all that the digits have.
    sizes = ["size_1000", "size_10000", "size_5000"]
    assert alike == [["initial_data", "nn", *sizes], ["random_distortion", "sigma_4"]]
