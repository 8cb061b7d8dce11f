"""One run: from an arm and a seed to a model, its data and an optimiser.

Everything random happens here, in the order that the arm's protocol asks for. The probe of an arm
is here too: a few updates on the embedded digits, whose outcome says whether the code still does
what it did.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from mlpcw import augmenters, checks, mnist
from mlpcw.data_providers import ImageSetDataProvider
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.initialisers import GlorotUniformInit, UniformInit
from mlpcw.layers import (
    AffineLayer,
    ConvolutionalLayer,
    LayerWithParameters,
    ReluLayer,
    ReshapeLayer,
)
from mlpcw.learning_rules import MomentumLearningRule
from mlpcw.models import MultipleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty
from mlpcw.study.original import as_run
from mlpcw.study.records.arms import SEED_2016, Arm, Penalty

IMAGE_DIM, NUM_CLASSES = 28, 10
UNSEEDED_2016 = 2016
"""Seed of the fixed stream that stands in for the unseeded generator of 2016."""

PROBE_UPDATES = 20


@dataclasses.dataclass(frozen=True)
class Trial:
    """What an optimiser needs, made from an arm and a seed.

    Attributes:
        model: The model at its initial weights.
        train: Batches to train on, augmented where the arm says so.
        valid: Batches to validate on.
    """

    model: MultipleLayerModel
    train: ImageSetDataProvider
    valid: ImageSetDataProvider

    def optimiser(self, arm: Arm, kind: type[Optimiser] = Optimiser, **options: Any) -> Optimiser:
        """An optimiser of class `kind` with the arm's learning rule."""
        return kind(
            self.model,
            CrossEntropySoftmaxError(),
            MomentumLearningRule(arm.learning_rate, arm.mom_coeff),
            self.train,
            self.valid,
            data_monitors={"acc": accuracy},
            **options,
        )


def accuracy(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Share of a batch whose largest output is the target class; both `(batch_size, classes)`."""
    return np.mean(outputs.argmax(axis=1) == targets.argmax(axis=1))


def set_up(arm: Arm, seed: int, images: mnist.ImageSet) -> Trial:
    """Builds model and data by the arm's protocol, drawing in the order it asks for.

    Args:
        arm: The arm.
        seed: The seed; of the 2016 protocol there is one, `arms.SEED_2016`.
        images: The data that the arm names.
    """
    return (
        _set_up_2016(arm, images) if arm.protocol == "2016" else _set_up_paired(arm, seed, images)
    )


def _set_up_2016(arm: Arm, images: mnist.ImageSet) -> Trial:
    """One generator is shared by providers, initialisers and transforms, and seeded in between.

    The three orders of 2016: Part 1 builds its model after seeding; Part 2 before, so that each run
    starts from where the one before had left the generator; the convolutional runs of Part 3
    also shuffle another provider in place of their own.
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
        return Trial(build_model(arm, rng, rng), train, valid)
    kernel_rng = as_run.kernel_rng(arm.convolution.kernel_draws) if arm.convolution else rng
    model = build_model(arm, rng, kernel_rng)
    valid = provider("valid", arm.batch_size)
    rng.seed(SEED_2016)
    if arm.convolution:
        rng.permutation(as_run.NUM_TRAIN)  # went to a provider that this run does not use
    else:
        train.reset()
    valid.reset()
    return Trial(model, train, valid)


def _set_up_paired(arm: Arm, seed: int, images: mnist.ImageSet) -> Trial:
    """A stream each for weights, batch order and augmentation.

    The same seed starts all arms of equal shape from the same weights and feeds them the same
    batches, whatever else an arm draws.
    """
    children = np.random.SeedSequence(seed).spawn(4)
    return _build_paired(arm, images, [np.random.default_rng(child) for child in children])


def _build_paired(arm: Arm, images: mnist.ImageSet, streams: list[checks.Rng]) -> Trial:
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
    return Trial(build_model(arm, weights, weights), train, valid)


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


def num_first_weights(arm: Arm) -> int:
    """How many weights the lowest affine layer of an arm has."""
    input_dim = IMAGE_DIM**2
    if arm.convolution:
        output_dim = IMAGE_DIM - arm.convolution.kernel_dim + 1
        input_dim = arm.convolution.num_output_channels * output_dim**2
    return input_dim * (*arm.hidden_dims, NUM_CLASSES)[0]


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


def load_images(data: str, data_dir: str | None = None) -> mnist.ImageSet:
    """The data that an arm names, "mnist" or "digits"."""
    return mnist.digits() if data == "digits" else mnist.load(data_dir)


@functools.cache
def probe(arm: Arm) -> dict[str, Any]:
    """What an arm does in its first updates on the embedded digits, in float64.

    It tells whether a stored run is stale: a change of the code that changes what the arm does
    changes its probe, and one that changes no number keeps it. It sees the network, the penalty,
    the transform and the update, not the start states of 2016 nor the reader of MNIST.

    Returns:
        "loss" on the digits' validation images and "penalty" after 20 updates, and "weights": the
        sum of the magnitudes of each layer's parameters.
    """
    arm = dataclasses.replace(arm, data="digits", protocol="paired", dtype="float64")
    # RandomState, whose streams no release of NumPy changes.
    streams = [np.random.RandomState(seed) for seed in range(4)]
    trial = _build_paired(arm, mnist.digits(), streams)
    optimiser = trial.optimiser(arm)
    passes = itertools.chain.from_iterable(itertools.repeat(trial.train))
    optimiser.train_dataset = itertools.islice(passes, PROBE_UPDATES)
    optimiser.do_training_epoch()
    stats = optimiser.eval_monitors(trial.valid, "")
    return {
        "loss": float(stats["error"]),
        "penalty": float(trial.model.params_penalty()),
        "weights": [
            float(sum(np.abs(param).sum() for param in layer.params))
            for layer in trial.model.layers
            if isinstance(layer, LayerWithParameters)
        ],
    }
