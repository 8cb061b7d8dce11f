"""Arms: everything that fixes a run but its seed.

An arm says which data, which network, which penalty, augmentation or convolution, how it is
trained, and by which protocol its random numbers are drawn. A run is an arm and a seed. Which arms
the report has is said in its chapters, not here.

The names of the arms are those of the published logs where there is one. A coefficient of a penalty
is the report's lambda / n.
"""

import re

import msgspec

from mlpcw import checks

PARTS = ("part1", "part2", "part3", "starts")
PROFILES = ("full", "quick")
SEED_2016 = 24102016
MOST = 10_000
"""Most epochs, and most seeds an arm, that can be asked for; a larger number is probably a typo."""

IMAGE_DIM, NUM_CLASSES = 28, 10
AUGMENTATIONS = ("rotation", "distortion", "shift_2016", "noise_2016")
KERNEL_GRADIENTS = ("whole_batch", "first_image")
STARTS = ("reseeded", "fresh", "plain", "rotation", "shift", "distortion")
_PAIRED_SEEDS = 3


class Base(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values that do not change and are stored as JSON objects with these fields and no others."""


class Penalty(Base):
    """A penalty on all weights; a coefficient of 0 leaves its term out.

    Attributes:
        l1: Coefficient of the L1 penalty.
        l2: Coefficient of the L2 penalty. If both are given, each acts with half its strength
            (`penalties.L1L2Penalty`).
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        checks.number("l1", self.l1, low=0)
        checks.number("l2", self.l2, low=0)


class Augmentation(Base):
    """A transform of a share of each training batch.

    Attributes:
        kind: One of `AUGMENTATIONS`; the two of 2016 differ from the report's text and are in
            `study.original`.
        fraction: Share of each batch that is transformed, in [0, 1].
        sigma: Of a distortion: standard deviation of the blur, pixels.
        alpha: Of a distortion: scale of the displacements.
    """

    kind: str
    fraction: float = 0.25
    sigma: float = 4.0
    alpha: float = 34.0

    def __post_init__(self) -> None:
        checks.one_of("augmentation", self.kind, AUGMENTATIONS)
        checks.number("fraction", self.fraction, low=0, high=1)
        checks.number("sigma", self.sigma, low=0, strict=True, unit="pixels")
        checks.number("alpha", self.alpha, low=0)


class Convolution(Base):
    """A convolutional layer below the affine ones, with no ReLU after it, as in 2016.

    Attributes:
        kernel_dim: Side of the kernel, pixels.
        num_output_channels: Number of feature maps.
        kernel_gradient: "whole_batch", or "first_image" of each batch only, as in the published
            log.
        kernel_draws: In the 2016 protocol, how many numbers the kernel's own generator had drawn
            before this kernel.
    """

    kernel_dim: int
    num_output_channels: int = 1
    kernel_gradient: str = "whole_batch"
    kernel_draws: int = 0

    def __post_init__(self) -> None:
        checks.whole_number("kernel_dim", self.kernel_dim, low=1, high=IMAGE_DIM)
        checks.whole_number("num_output_channels", self.num_output_channels, low=1)
        checks.one_of("kernel_gradient", self.kernel_gradient, KERNEL_GRADIENTS)
        checks.whole_number("kernel_draws", self.kernel_draws, low=0)


class Arm(Base):
    """Everything that fixes a run but its seed.

    Attributes:
        part: One of `PARTS`.
        name: Unique within the part; names the folder of its runs.
        data: "mnist", or "digits" for the embedded digits.
        protocol: "2016" (one shared `RandomState`, the shuffles of 2016) or "paired" (a seed fixes
            weights, batch order and augmentation through separate streams).
        start: In the 2016 protocol, what `rng` had been through when the train provider was built:
            one of `STARTS`. "reseeded" says that the model was built after `rng.seed`.
        batch_size: Images in a batch.
        max_num_batches: Most batches in one pass over the training data; -1 for all.
        num_epochs: Passes over the training data.
        stats_interval: Epochs between statistics.
        hidden_dims: Sizes of the hidden affine layers, each followed by a ReLU.
        weights_gain: Gain of the Glorot initialiser.
        learning_rate: Of the momentum rule.
        mom_coeff: Of the momentum rule.
        dtype: "float64" or "float32".
        penalty: Penalty on all weights, or `None`.
        augmentation: Transform of the training batches, or `None`.
        convolution: Convolutional layer below the affine ones, or `None`.
    """

    part: str
    name: str
    data: str = "mnist"
    protocol: str = "2016"
    start: str = "plain"
    batch_size: int = 100
    max_num_batches: int = -1
    num_epochs: int = 100
    stats_interval: int = 5
    hidden_dims: tuple[int, ...] = (100, 100)
    weights_gain: float = 0.5
    learning_rate: float = 0.01
    mom_coeff: float = 0.9
    dtype: str = "float64"
    penalty: Penalty | None = None
    augmentation: Augmentation | None = None
    convolution: Convolution | None = None

    def __post_init__(self) -> None:
        checks.one_of("part", self.part, PARTS)
        # It names a folder, and a damaged record may hold any name: none may lead elsewhere.
        if not isinstance(self.name, str) or not re.fullmatch(r"\w[\w.+-]*", self.name, re.ASCII):
            raise ValueError(
                f"name must be letters, digits, '_', '-', '+' and '.', the first of them a letter,"
                f" a digit or '_', got {self.name!r}"
            )
        checks.one_of("data", self.data, ("mnist", "digits"))
        checks.one_of("protocol", self.protocol, ("2016", "paired"))
        checks.one_of("start", self.start, STARTS)
        checks.whole_number("batch_size", self.batch_size, low=1)
        if checks.whole_number("max_num_batches", self.max_num_batches, low=-1) == 0:
            raise ValueError("max_num_batches must be -1 (all) or at least 1, got 0")
        checks.whole_number("num_epochs", self.num_epochs, low=0)
        checks.whole_number("stats_interval", self.stats_interval, low=1)
        for hidden_dim in self.hidden_dims:
            checks.whole_number("hidden_dims", hidden_dim, low=1)
        checks.number("weights_gain", self.weights_gain, low=0)
        checks.number("learning_rate", self.learning_rate, low=0, strict=True)
        checks.number("mom_coeff", self.mom_coeff, low=0, high=1)
        checks.one_of("dtype", self.dtype, ("float32", "float64"))

    @property
    def key(self) -> str:
        """The arm's part and name, "part1/none": how people name it."""
        return f"{self.part}/{self.name}"

    @property
    def num_first_weights(self) -> int:
        """Number of weights of the lowest affine layer."""
        input_dim = IMAGE_DIM**2
        if self.convolution:
            output_dim = IMAGE_DIM - self.convolution.kernel_dim + 1
            input_dim = self.convolution.num_output_channels * output_dim**2
        return input_dim * (*self.hidden_dims, NUM_CLASSES)[0]


def seeds(arm: Arm, num_seeds: int = 0) -> tuple[int, ...]:
    """The seeds that an arm is run with: the one of 2016, or 0, 1, 2, ... for a paired arm.

    Args:
        arm: The arm.
        num_seeds: How many; 0 is the profile's own number, 1 for the 2016 protocol, else 3.

    Raises:
        ValueError: If `num_seeds` is negative, above `MOST`, or more than 1 for the 2016 protocol.
    """
    checks.whole_number("seeds", num_seeds, low=0, high=MOST)
    if arm.protocol == "2016":
        if num_seeds > 1:
            raise ValueError(
                f"seeds must be 0 or 1 for {arm.key}, which follows the protocol of 2016 and its"
                f" one seed {SEED_2016}, got {num_seeds}"
            )
        return (SEED_2016,)
    return tuple(range(num_seeds or _PAIRED_SEEDS))
