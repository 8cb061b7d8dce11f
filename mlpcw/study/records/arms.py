"""Arms: everything that fixes a run but its seed.

An arm says which data, which network, which penalty, augmentation or convolution, how it is
trained, and by which protocol its random numbers are drawn. A run is an arm and a seed. The arms of
a profile are listed here once, under the parts of the report; everything else (runner, store,
figures, command line) asks this module which arms there are.

The names of the arms are those of the published logs where there is one. A coefficient of a penalty
is the report's lambda / n.
"""

import dataclasses
import re
import types
import typing
from typing import Any

from mlpcw import checks

PARTS = ("part1", "part2", "part3", "starts")
PROFILES = ("full", "quick")
SEED_2016 = 24102016
_QUICK_SEEDS = 3
MOST = 10_000
"""Most epochs, and most seeds an arm, that can be asked for; more are a slip of the keyboard."""

AUGMENTATIONS = ("rotation", "distortion", "shift_2016", "noise_2016")
KERNEL_GRADIENTS = ("whole_batch", "first_image")
STARTS = ("reseeded", "fresh", "plain", "rotation", "shift", "distortion")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Penalty:
    """A penalty of all weights; the coefficients that are not 0 say which.

    Attributes:
        l1: Coefficient of the L1 penalty.
        l2: Coefficient of the L2 penalty. Where both are given, each acts with half its strength
            (`penalties.L1L2Penalty`).
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        checks.number("l1", self.l1, low=0)
        checks.number("l2", self.l2, low=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """A transform of a share of each training batch.

    Attributes:
        kind: One of `AUGMENTATIONS`; the two of 2016 that differ from the report are in `replay`.
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
        checks.number("sigma", self.sigma, low=0, above=True, unit="pixels")
        checks.number("alpha", self.alpha, low=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolutional layer in front of the affine ones, with no ReLU after it, as in 2016.

    Attributes:
        kernel_dim: Side of the kernel, pixels.
        num_output_channels: Number of feature maps.
        kernel_gradient: "whole_batch", or "first_image" of each batch only, as in the published
            log.
        kernel_draws: In the 2016 protocol, how many numbers the kernel's own generator had given
            before this kernel.
    """

    kernel_dim: int
    num_output_channels: int = 1
    kernel_gradient: str = "whole_batch"
    kernel_draws: int = 0

    def __post_init__(self) -> None:
        checks.whole_number("kernel_dim", self.kernel_dim, low=1, high=28)
        checks.whole_number("num_output_channels", self.num_output_channels, low=1)
        checks.one_of("kernel_gradient", self.kernel_gradient, KERNEL_GRADIENTS)
        checks.whole_number("kernel_draws", self.kernel_draws, low=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
    """Everything that fixes a run but its seed.

    Attributes:
        part: One of `PARTS`.
        name: Unique within the part; names the folder of its runs.
        data: "mnist", or "digits" for the embedded digits.
        protocol: "2016" (one shared `RandomState`, the shuffles of 2016) or "paired" (a seed fixes
            weights, batch order and augmentation through streams of their own).
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
        penalty: Penalty of all weights, or `None`.
        augmentation: Transform of the training batches, or `None`.
        convolution: Convolutional layer in front, or `None`.
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
        # The name is a folder's, and a record that is read may hold any: none leads out of its own.
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
        checks.number("learning_rate", self.learning_rate, low=0, above=True)
        checks.number("mom_coeff", self.mom_coeff, low=0, high=1)
        checks.one_of("dtype", self.dtype, ("float32", "float64"))

    @property
    def key(self) -> str:
        """The arm's part and name, "part1/none": how people name it."""
        return f"{self.part}/{self.name}"

    def to_json(self) -> dict[str, Any]:
        """The whole arm as plain values, tuples as lists."""
        return dataclasses.asdict(self) | {"hidden_dims": list(self.hidden_dims)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Arm":
        """The arm that `to_json` wrote.

        Raises:
            TypeError: If a field is missing, unknown or of another type.
            ValueError: If a value is not allowed.
        """
        return _from_json(cls, values)


def _from_json(cls: type, values: dict[str, Any]) -> Any:
    """A dataclass from plain values; every field must be there."""
    if not isinstance(values, dict):
        raise TypeError(f"{cls.__name__} must be an object, got {values!r}")
    hints = typing.get_type_hints(cls)
    if set(values) != set(hints):
        odd = sorted(set(values) ^ set(hints))
        raise TypeError(f"{cls.__name__} has missing or unknown fields: {', '.join(odd)}")
    return cls(**{name: _field(name, hints[name], value) for name, value in values.items()})


def _field(name: str, hint: Any, value: Any) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    kind = options[0]
    if dataclasses.is_dataclass(kind):
        return _from_json(kind, value)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise TypeError(f"{name} must be a list of whole numbers, got {value!r}")
        return tuple(value)
    if type(value) is not kind:
        raise TypeError(f"{name} must be of type {kind.__name__}, got {value!r}")
    return value


def arms(profile: str, part: str | None = None, num_epochs: int = 0) -> tuple[Arm, ...]:
    """The arms of a profile; see `chapters.arms`."""
    from mlpcw.study import chapters

    return chapters.arms(profile, part, num_epochs)


def find(profile: str, key: str, num_epochs: int = 0) -> Arm:
    """The arm of a profile with a key; see `chapters.find`."""
    from mlpcw.study import chapters

    return chapters.find(profile, key, num_epochs)


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
    return tuple(range(num_seeds or _QUICK_SEEDS))
