"""Schedulers: hyperparameters of a learning rule that change from epoch to epoch.

A scheduler's `update_learning_rule(learning_rule, epoch_number)` runs before every epoch, counted
from 0, and sets an attribute of the rule.
"""

import math

from mlpcw import checks
from mlpcw.learning_rules import GradientDescentLearningRule


class ConstantLearningRateScheduler:
    """The same learning rate in every epoch.

    Raises:
        ValueError: If `learning_rate` is not above 0.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = checks.number("learning_rate", learning_rate, low=0, strict=True)

    def update_learning_rule(
        self, learning_rule: GradientDescentLearningRule, epoch_number: int
    ) -> None:
        """Sets the learning rate for epoch `epoch_number`."""
        learning_rule.learning_rate = self.learning_rate


class _DecayingLearningRateScheduler:
    """A learning rate that falls from `init_learning_rate`, over about `decay_param` epochs.

    Raises:
        ValueError: If an argument is not above 0.
    """

    def __init__(self, init_learning_rate: float, decay_param: float) -> None:
        self.init_learning_rate = checks.number(
            "init_learning_rate", init_learning_rate, low=0, strict=True
        )
        self.decay_param = checks.number("decay_param", decay_param, low=0, strict=True)


class ExponentialLearningRateScheduler(_DecayingLearningRateScheduler):
    """`init_learning_rate * exp(-epoch_number / decay_param)`."""

    def update_learning_rule(
        self, learning_rule: GradientDescentLearningRule, epoch_number: int
    ) -> None:
        """Sets the learning rate for epoch `epoch_number`."""
        decay = math.exp(-epoch_number / self.decay_param)
        learning_rule.learning_rate = self.init_learning_rate * decay


class ReciprocalLearningRateScheduler(_DecayingLearningRateScheduler):
    """`init_learning_rate / (1 + epoch_number / decay_param)`."""

    def update_learning_rule(
        self, learning_rule: GradientDescentLearningRule, epoch_number: int
    ) -> None:
        """Sets the learning rate for epoch `epoch_number`."""
        decay = 1 + epoch_number / self.decay_param
        learning_rule.learning_rate = self.init_learning_rate / decay


class ReciprocalMomentumCoefficientScheduler:
    """`max_mom_coeff * (1 - growth_param / (epoch_number + epoch_offset))`.

    Args:
        max_mom_coeff: Limit of the momentum coefficient, in [0, 1].
        growth_param: Slowness of the approach to it, in [0, epoch_offset].
        epoch_offset: Added to the epoch number, at least 1.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self, max_mom_coeff: float = 0.99, growth_param: float = 3.0, epoch_offset: float = 5.0
    ) -> None:
        self.max_mom_coeff = checks.number("max_mom_coeff", max_mom_coeff, low=0, high=1)
        self.epoch_offset = checks.number("epoch_offset", epoch_offset, low=1)
        self.growth_param = checks.number(
            "growth_param", growth_param, low=0, high=self.epoch_offset
        )

    def update_learning_rule(
        self, learning_rule: GradientDescentLearningRule, epoch_number: int
    ) -> None:
        """Sets the momentum coefficient for epoch `epoch_number`."""
        growth = 1 - self.growth_param / (epoch_number + self.epoch_offset)
        learning_rule.mom_coeff = self.max_mom_coeff * growth
