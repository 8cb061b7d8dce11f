"""Checks of arguments, with error messages of one form.

A check returns the value, as a plain Python type, or raises an error whose message names the
argument, its value and the allowed values.
"""

import math
import numbers
import operator
from collections.abc import Collection
from typing import Any

import numpy as np

Rng = np.random.RandomState | np.random.Generator


def number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    strict: bool = False,
    unit: str = "",
) -> float:
    """A finite real number in [low, high], or in (low, high] if `strict`.

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        low: Least value allowed.
        high: Greatest value allowed.
        strict: Whether `low` itself is refused.
        unit: Unit named in the message, such as "pixels".

    Returns:
        The value as a Python float: a product with a float32 array stays float32.

    Raises:
        TypeError: If the value is not a number.
        ValueError: If it is outside the range, infinite or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    too_low = value <= low if strict else value < low
    if not _is_finite(value) or too_low or value > high:
        raise ValueError(
            f"{name} must be {_range('a number', low, high, strict, unit)}, got {value}"
        )
    return float(value)


def number_attribute(name: str, low: float = -math.inf, high: float = math.inf) -> property:
    """An attribute of a class: a number in [low, high], checked at every assignment."""
    private = f"_{name}"

    def write(owner: Any, value: float) -> None:
        setattr(owner, private, number(name, value, low, high))

    return property(operator.attrgetter(private), write)


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """A whole number in [low, high].

    Raises:
        TypeError: If the value is not a whole number.
        ValueError: If it is outside the range.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    top = math.inf if high is None else high
    if not low <= value <= top:
        raise ValueError(f"{name} must be {_range('a whole number', low, top)}, got {value}")
    return int(value)


def one_of(name: str, value: Any, allowed: Collection[Any]) -> Any:
    """One of the allowed values.

    Raises:
        ValueError: If the value is not one of them.
    """
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")
    return value


def able(name: str, value: Any, methods: Collection[str], allowed: str) -> Any:
    """An object with certain methods, of any class, including a user's own.

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        methods: Names of the methods; "__call__" if the object itself is called.
        allowed: Description of what is allowed, for the message.

    Raises:
        TypeError: If a method is missing, or the value is a class instead of an object.
    """
    if isinstance(value, type):
        raise TypeError(f"{name} must be {allowed}, got the class {value.__name__} itself")
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing:
        raise TypeError(f"{name} must be {allowed}, got {value!r} without {' and '.join(missing)}")
    return value


def as_rng(rng: Rng | None) -> Rng:
    """`rng` itself, or a new `Generator` with fresh entropy for `None`.

    Raises:
        TypeError: If it is neither a `RandomState`, a `Generator` nor `None`.
    """
    if rng is None:
        return np.random.default_rng()
    if not isinstance(rng, Rng):
        raise TypeError(f"rng must be a RandomState, a Generator or None, got {rng!r}")
    return rng


def _is_finite(value: numbers.Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number above the largest float
        return False


def _range(what: str, low: float, high: float, strict: bool = False, unit: str = "") -> str:
    of = f"{what} of {unit}" if unit else what
    least = f"above {low}" if strict else f"of at least {low}"
    if math.isinf(low) and math.isinf(high):
        return f"{of} that is finite"
    if math.isinf(low):
        return f"{of} of at most {high}"
    if math.isinf(high):
        return f"{of} {least}"
    return f"{of} {least} and at most {high}" if strict else f"{of} in [{low}, {high}]"
