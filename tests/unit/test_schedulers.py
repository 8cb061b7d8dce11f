"""The schedulers: the value that each sets, epoch by epoch."""

import math

import numpy as np
import pytest

from mlpcw.learning_rules import GradientDescentLearningRule, MomentumLearningRule
from mlpcw.schedulers import (
    ConstantLearningRateScheduler,
    ExponentialLearningRateScheduler,
    ReciprocalLearningRateScheduler,
    ReciprocalMomentumCoefficientScheduler,
)


def learning_rates(scheduler, epochs):
    rule = GradientDescentLearningRule(123.0)
    rates = []
    for epoch in epochs:
        scheduler.update_learning_rule(rule, epoch)
        rates.append(rule.learning_rate)
    return rates


@pytest.mark.parametrize(
    "scheduler, rates",
    [
        (ConstantLearningRateScheduler(np.float32(0.5)), [0.5, 0.5, 0.5]),
        (
            ExponentialLearningRateScheduler(np.float64(0.5), np.int64(10)),
            [0.5, 0.5 / math.e, 0.5 / math.e**2],
        ),
        (ReciprocalLearningRateScheduler(np.float64(0.6), 10), [0.6, 0.3, 0.2]),
    ],
)
def test_the_rates_of_epochs_0_10_and_20(scheduler, rates):
    """They are Python floats: a product with a float32 array stays float32."""
    found = learning_rates(scheduler, [0, 10, 20])
    np.testing.assert_allclose(found, rates, rtol=1e-15)
    assert {type(rate) for rate in found} == {float}


def test_momentum():
    """By default 0.99 * (1 - 3 / (epoch + 5)): 0.396 at first, 0.693 after five epochs."""
    rule = MomentumLearningRule(0.1, 0.5)
    scheduler = ReciprocalMomentumCoefficientScheduler()
    for epoch, expected in ((0, 0.396), (5, 0.693), (2995, 0.98901)):
        scheduler.update_learning_rule(rule, epoch)
        assert rule.mom_coeff == pytest.approx(expected, rel=1e-14)
    assert rule.learning_rate == 0.1


def test_momentum_stays_in_range():
    rule = MomentumLearningRule(0.1, 0.5)
    scheduler = ReciprocalMomentumCoefficientScheduler(1.0, growth_param=5.0, epoch_offset=5.0)
    scheduler.update_learning_rule(rule, 0)
    assert rule.mom_coeff == 0
    scheduler.update_learning_rule(rule, 10**9)
    assert 0.99 < rule.mom_coeff <= 1
    ReciprocalMomentumCoefficientScheduler(0.8, 2.0, 4.0).update_learning_rule(rule, 4)
    assert rule.mom_coeff == pytest.approx(0.6, rel=1e-15)


RATE, INIT_RATE, DECAY = (
    f"{name} must be a number above 0, got"
    for name in ("learning_rate", "init_learning_rate", "decay_param")
)
MOMENTUM = ReciprocalMomentumCoefficientScheduler


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ConstantLearningRateScheduler(0), f"{RATE} 0"),
        (lambda: ExponentialLearningRateScheduler(-1, 1), f"{INIT_RATE} -1"),
        (lambda: ExponentialLearningRateScheduler(1, 0), f"{DECAY} 0"),
        (lambda: ReciprocalLearningRateScheduler(1, math.nan), f"{DECAY} nan"),
        (
            lambda: ReciprocalLearningRateScheduler(1, None),
            "decay_param must be a number, got None",
        ),
        (lambda: MOMENTUM(1.5), "max_mom_coeff must be a number in [0, 1], got 1.5"),
        (lambda: MOMENTUM(1, 0, 0.5), "epoch_offset must be a number of at least 1, got 0.5"),
        (lambda: MOMENTUM(1, 6.0), "growth_param must be a number in [0, 5.0], got 6.0"),
    ],
)
def test_a_wrong_argument_is_refused(make, message):
    with pytest.raises((TypeError, ValueError)) as refusal:
        make()
    assert str(refusal.value) == message
