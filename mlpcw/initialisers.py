"""Initialisers: initial values of parameters.

An initialiser is called with a shape and returns a new float64 array of that shape. `rng` is a
`RandomState` or a `Generator`; `None` takes fresh entropy. The Glorot initialisers take the shape
of a weight matrix, `(output_dim, input_dim)`.
"""

import numpy as np

from mlpcw import checks


class ConstantInit:
    """All values equal `value`."""

    def __init__(self, value: float) -> None:
        self.value = checks.number("value", value)

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        """A new array of `shape`."""
        return np.full(shape, self.value)


class UniformInit:
    """Values drawn uniformly from [low, high).

    Raises:
        ValueError: If `high` is below `low`.
    """

    def __init__(self, low: float, high: float, rng: checks.Rng | None = None) -> None:
        self.low = checks.number("low", low)
        self.high = checks.number("high", high, low=self.low)
        self.rng = checks.as_rng(rng)

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        """A new array of `shape`, the draws of one `rng.uniform` call."""
        return self.rng.uniform(low=self.low, high=self.high, size=shape)


class NormalInit:
    """Values drawn from a normal distribution.

    Raises:
        ValueError: If `std` is negative.
    """

    def __init__(self, mean: float, std: float, rng: checks.Rng | None = None) -> None:
        self.mean = checks.number("mean", mean)
        self.std = checks.number("std", std, low=0)
        self.rng = checks.as_rng(rng)

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        """A new array of `shape`, the draws of one `rng.normal` call."""
        return self.rng.normal(loc=self.mean, scale=self.std, size=shape)


class GlorotUniformInit:
    """Uniform with variance `gain ** 2 * 2 / (input_dim + output_dim)` (Glorot and Bengio 2010).

    Raises:
        ValueError: If `gain` is negative.
    """

    def __init__(self, gain: float = 1.0, rng: checks.Rng | None = None) -> None:
        self.gain = checks.number("gain", gain, low=0)
        self.rng = checks.as_rng(rng)

    def __call__(self, shape: tuple[int, int]) -> np.ndarray:
        """A new weight matrix of `shape`, `(output_dim, input_dim)`."""
        # A uniform distribution on [-h, h] has standard deviation h / sqrt(3).
        half_width = _glorot_std(self.gain, shape) * 3.0**0.5
        return self.rng.uniform(low=-half_width, high=half_width, size=shape)


class GlorotNormalInit:
    """Normal with variance `gain ** 2 * 2 / (input_dim + output_dim)` (Glorot and Bengio 2010).

    Raises:
        ValueError: If `gain` is negative.
    """

    def __init__(self, gain: float = 1.0, rng: checks.Rng | None = None) -> None:
        self.gain = checks.number("gain", gain, low=0)
        self.rng = checks.as_rng(rng)

    def __call__(self, shape: tuple[int, int]) -> np.ndarray:
        """A new weight matrix of `shape`, `(output_dim, input_dim)`."""
        return self.rng.normal(loc=0.0, scale=_glorot_std(self.gain, shape), size=shape)


def _glorot_std(gain: float, shape: tuple[int, int]) -> float:
    if len(shape) != 2:
        raise ValueError(f"shape must be (output_dim, input_dim), got {tuple(shape)}")
    output_dim, input_dim = shape
    return gain * (2.0 / (input_dim + output_dim)) ** 0.5
