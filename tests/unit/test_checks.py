"""The checks of arguments: values that pass, and the error messages for others."""

import math
from fractions import Fraction

import numpy as np
import pytest

from mlpcw import checks


@pytest.mark.parametrize(
    "value", [0, 0.5, 1, np.float32(0.5), np.float64(0.5), np.int64(1), Fraction(1, 2)]
)
def test_a_number_passes_as_a_python_float(value):
    for passed in (checks.number("rate", value), checks.number("rate", value, low=0, high=1)):
        assert passed == value
        assert type(passed) is float


@pytest.mark.parametrize("value", ["0.5", None, True, np.True_, 1j, [0.5], np.array(0.5)])
def test_what_is_not_a_number_is_refused(value):
    with pytest.raises(TypeError) as refusal:
        checks.number("rate", value)
    assert str(refusal.value) == f"rate must be a number, got {value!r}"


@pytest.mark.parametrize(
    "options, value, allowed",
    [
        ({}, math.nan, "a number that is finite"),
        ({}, math.inf, "a number that is finite"),
        ({}, -math.inf, "a number that is finite"),
        ({}, 10**400, "a number that is finite"),
        ({"low": 0}, -0.1, "a number of at least 0"),
        ({"low": 0}, math.inf, "a number of at least 0"),
        ({"low": 0}, math.nan, "a number of at least 0"),
        ({"low": 0, "strict": True}, 0, "a number above 0"),
        ({"low": 0, "strict": True}, -1, "a number above 0"),
        ({"high": 2}, 2.5, "a number of at most 2"),
        ({"high": 2}, -math.inf, "a number of at most 2"),
        ({"low": 0, "high": 1}, 1.5, "a number in [0, 1]"),
        ({"low": 0, "high": 1}, -0.5, "a number in [0, 1]"),
        ({"low": 0, "high": 1, "strict": True}, 0, "a number above 0 and at most 1"),
        ({"low": 0, "unit": "pixels"}, -3, "a number of pixels of at least 0"),
        ({"low": 0, "high": 9, "unit": "pixels"}, 10, "a number of pixels in [0, 9]"),
    ],
)
def test_a_number_out_of_range_is_refused(options, value, allowed):
    with pytest.raises(ValueError) as refusal:
        checks.number("rate", value, **options)
    assert str(refusal.value) == f"rate must be {allowed}, got {value}"


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_a_whole_number_passes_as_a_python_int(value):
    passed = checks.whole_number("epochs", value, low=3, high=3)
    assert passed == 3 and type(passed) is int


@pytest.mark.parametrize("value", [3.0, "3", None, True, np.float64(3)])
def test_what_is_not_a_whole_number_is_refused(value):
    with pytest.raises(TypeError) as refusal:
        checks.whole_number("epochs", value, low=0)
    assert str(refusal.value) == f"epochs must be a whole number, got {value!r}"


@pytest.mark.parametrize(
    "high, value, allowed",
    [
        (None, -1, "a whole number of at least 0"),
        (9, -1, "a whole number in [0, 9]"),
        (9, 10, "a whole number in [0, 9]"),
    ],
)
def test_a_whole_number_out_of_range_is_refused(high, value, allowed):
    with pytest.raises(ValueError) as refusal:
        checks.whole_number("epochs", value, low=0, high=high)
    assert str(refusal.value) == f"epochs must be {allowed}, got {value}"


def test_an_attribute_is_checked_whenever_it_is_set():
    class Rule:
        rate = checks.number_attribute("rate", low=0, high=1)

    rule = Rule()
    rule.rate = np.float64(0.5)
    for wrong, error in ((1.5, ValueError), (-0.5, ValueError), ("0.5", TypeError)):
        with pytest.raises(error, match=f"rate must be a number.* got {wrong!r}"):
            rule.rate = wrong
    assert rule.rate == 0.5
    assert type(rule.rate) is float


@pytest.mark.parametrize(
    "value, found",
    [
        (0.5, "0.5 without keys and values"),
        (np.ones(1), "array([1.]) without keys and values"),
        (dict, "the class dict itself"),
    ],
)
def test_an_object_without_the_methods_is_refused(value, found):
    assert checks.able("error", math.fabs, ["__call__"], "a function") is math.fabs
    with pytest.raises(TypeError) as refusal:
        checks.able("monitors", value, ["keys", "values"], "a dictionary")
    assert str(refusal.value) == f"monitors must be a dictionary, got {found}"


def test_one_of_the_values_passes_and_another_is_refused():
    assert checks.one_of("which_set", "valid", ("train", "valid")) == "valid"
    with pytest.raises(ValueError) as refusal:
        checks.one_of("which_set", "eval", ("train", "valid"))
    assert str(refusal.value) == "which_set must be one of train, valid, got 'eval'"


def test_a_generator_passes_as_it_is_and_none_is_fresh_entropy():
    for rng in (np.random.RandomState(1), np.random.default_rng(1)):
        assert checks.as_rng(rng) is rng
    assert checks.as_rng(None).random() != checks.as_rng(None).random()


@pytest.mark.parametrize("rng", [7, "seed", np.random])
def test_what_is_not_a_generator_is_refused(rng):
    with pytest.raises(TypeError) as refusal:
        checks.as_rng(rng)
    assert str(refusal.value) == f"rng must be a RandomState, a Generator or None, got {rng!r}"
