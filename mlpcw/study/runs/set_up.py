"""From an arm and a seed to an optimiser: its model, its data and its learning rule.

Everything random happens here, in the order that the arm's protocol asks for.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from mlpcw import augmenters, checks, mnist
from mlpcw.data_providers import ImageSetDataProvider
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.initialisers import GlorotUniformInit, UniformInit
from mlpcw.layers import AffineLayer, ConvolutionalLayer, ReluLayer, ReshapeLayer
from mlpcw.learning_rules import MomentumLearningRule
from mlpcw.models import MultipleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty
from mlpcw.study.original import as_run
from mlpcw.study.records.arms import IMAGE_DIM, NUM_CLASSES, SEED_2016, Arm, Penalty

UNSEEDED_2016 = 2016
"""Seed of the fixed stream that stands in for the unseeded generator of 2016."""


def load_images(data: str, data_dir: str | None = None) -> mnist.ImageSet:
    """The data that an arm names, "mnist" or "digits"."""
    return mnist.digits() if data == "digits" else mnist.load(data_dir)


def accuracy(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Share of a batch whose largest output is the target class; both `(batch_size, classes)`."""
    return np.mean(outputs.argmax(axis=1) == targets.argmax(axis=1))


def set_up(arm: Arm, seed: int, images: mnist.ImageSet) -> Optimiser:
    """An optimiser before its first epoch, set up by the arm's protocol.

    Args:
        arm: The arm.
        seed: The seed; the 2016 protocol has only `SEED_2016`.
        images: The data that the arm names.
    """
    if arm.protocol == "2016":
        return _set_up_2016(arm, images)
    # The same seed starts all arms of equal shape from the same weights and feeds them the same
    # batches, whatever else an arm draws.
    children = np.random.SeedSequence(seed).spawn(4)
    return set_up_paired(arm, images, [np.random.default_rng(child) for child in children])


def _set_up_2016(arm: Arm, images: mnist.ImageSet) -> Optimiser:
    """One generator is shared by providers, initialisers and transforms, and seeded in between.

    The three orders of 2016: Part 1 builds its model after seeding; Part 2 before, so that each run
    starts from where the previous one left the generator; the convolutional runs of Part 3 also
    shuffle another provider instead of their own.
    """
    rng = as_run.start_rng(arm.start)
    transformer = _transformer(arm, np.random.RandomState(UNSEEDED_2016))
    provider = functools.partial(ImageSetDataProvider, images, rng=rng)
    train = provider("train", arm.batch_size, arm.max_num_batches, transformer=transformer)
    if arm.start == "reseeded":
        valid = provider("valid", arm.batch_size)
        rng.seed(SEED_2016)
        train.reset()
        valid.reset()
        return _optimiser(arm, build_model(arm, rng, rng), train, valid)
    kernel_rng = as_run.kernel_rng(arm.convolution.kernel_draws) if arm.convolution else rng
    model = build_model(arm, rng, kernel_rng)
    valid = provider("valid", arm.batch_size)
    rng.seed(SEED_2016)
    if arm.convolution:
        rng.permutation(as_run.NUM_TRAIN)  # went to a provider that this run does not use
    else:
        train.reset()
    valid.reset()
    return _optimiser(arm, model, train, valid)


def set_up_paired(arm: Arm, images: mnist.ImageSet, streams: Sequence[checks.Rng]) -> Optimiser:
    """The same, from four streams.

    Args:
        arm: The arm.
        images: The data that the arm names.
        streams: Generators of the weights, the order of the batches, the choice of the images that
            are transformed, and the strength of the transforms of 2016.
    """
    weights, order, choice, strength = streams
    transform = _transformer(arm, strength)
    train = ImageSetDataProvider(
        images,
        "train",
        arm.batch_size,
        arm.max_num_batches,
        rng=order,
        transformer=transform and (lambda inputs, _: transform(inputs, choice)),
    )
    valid = ImageSetDataProvider(images, "valid", arm.batch_size, shuffle_order=False)
    return _optimiser(arm, build_model(arm, weights, weights), train, valid)


def _optimiser(
    arm: Arm, model: MultipleLayerModel, train: ImageSetDataProvider, valid: ImageSetDataProvider
) -> Optimiser:
    rule = MomentumLearningRule(arm.learning_rate, arm.mom_coeff)
    monitors = {"acc": accuracy}
    return Optimiser(model, CrossEntropySoftmaxError(), rule, train, valid, monitors)


def build_model(arm: Arm, rng: checks.Rng, kernel_rng: checks.Rng) -> MultipleLayerModel:
    """The arm's network at its initial weights.

    Args:
        arm: The arm.
        rng: Draws the weights of the affine layers, the lowest first.
        kernel_rng: Draws the kernels of a convolutional layer, before all weights.
    """
    layers = []
    input_dim = IMAGE_DIM**2
    if arm.convolution:
        kernel_dim, channels = arm.convolution.kernel_dim, arm.convolution.num_output_channels
        first_image = arm.convolution.kernel_gradient == "first_image"
        kind = as_run.FirstImageConvolutionalLayer if first_image else ConvolutionalLayer
        layers = [
            ReshapeLayer((1, IMAGE_DIM, IMAGE_DIM)),
            kind(
                *(1, channels, IMAGE_DIM, IMAGE_DIM, kernel_dim, kernel_dim),
                kernels_init=UniformInit(-0.01, 0.01, rng=kernel_rng),
            ),
            ReshapeLayer(),
        ]
        input_dim = channels * (IMAGE_DIM - kernel_dim + 1) ** 2
    initialiser = GlorotUniformInit(arm.weights_gain, rng)
    for output_dim in (*arm.hidden_dims, NUM_CLASSES):
        penalty = _penalty(arm.penalty)
        layers.append(AffineLayer(input_dim, output_dim, initialiser, weights_penalty=penalty))
        layers.append(ReluLayer())
        input_dim = output_dim
    return MultipleLayerModel(layers[:-1]).astype(arm.dtype)  # no ReLU after the outputs


def _penalty(penalty: Penalty | None) -> Callable | None:
    if penalty is None or not (penalty.l1 or penalty.l2):
        return None
    if penalty.l1 and penalty.l2:
        return L1L2Penalty(penalty.l1, penalty.l2)
    return L1Penalty(penalty.l1) if penalty.l1 else L2Penalty(penalty.l2)


def _transformer(arm: Arm, strength_rng: checks.Rng) -> Callable | None:
    """The arm's transform of a batch, `f(inputs, rng)`; `strength_rng` serves those of 2016."""
    augmentation = arm.augmentation
    if augmentation is None:
        return None
    fraction = augmentation.fraction
    match augmentation.kind:
        case "rotation":
            return functools.partial(augmenters.random_rotation, fraction=fraction)
        case "distortion":
            return functools.partial(
                augmenters.random_distortion,
                alpha=augmentation.alpha,
                sigma=augmentation.sigma,
                fraction=fraction,
            )
        case "shift_2016":
            return functools.partial(as_run.shift_2016, unseeded=strength_rng, fraction=fraction)
        case "noise_2016":
            return functools.partial(as_run.noise_2016, unseeded=strength_rng, fraction=fraction)
    raise ValueError(f"augmentation {augmentation.kind!r} has no transform")
