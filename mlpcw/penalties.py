"""Penalties: terms that regularisation adds to the error, for the size of the parameters.

A penalty is called with a parameter array and returns a number; its `grad` returns the gradient of
that number, an array of the parameter's shape and dtype. A coefficient is the report's lambda / n,
the strength divided by the size of the training set; 0 is allowed and switches the penalty off.
"""

import numpy as np

from mlpcw import checks


class L1Penalty:
    """L1 penalty, `coefficient * sum(abs(w))` (report, Part 1, section 2.1; Tibshirani 1996).

    Args:
        coefficient: Strength of the penalty, the report's lambda / n; at least 0.

    Raises:
        TypeError: If the coefficient is not a number.
        ValueError: If it is negative or not finite.
    """

    coefficient = checks.number_attribute("coefficient", low=0)

    def __init__(self, coefficient: float) -> None:
        self.coefficient = coefficient

    def __call__(self, parameter: np.ndarray) -> float:
        """Value of the penalty of `parameter`, an array of any shape."""
        return self.coefficient * np.abs(parameter).sum()

    def grad(self, parameter: np.ndarray) -> np.ndarray:
        """Gradient, `coefficient * sign(w)`, with 0 at the kink w = 0; shape of `parameter`."""
        return self.coefficient * np.sign(parameter)

    @property
    def slopes(self) -> tuple[float, float]:
        """`(l1, l2)` in the gradient `l1 sign(w) + l2 w`, which the fused step adds in place."""
        return self.coefficient, 0.0

    def __repr__(self) -> str:
        return f"L1Penalty({self.coefficient})"


class L2Penalty:
    """L2 penalty, `coefficient / 2 * sum(w ** 2)` (report, Part 1, section 2.2).

    Args:
        coefficient: Strength of the penalty, the report's lambda / n; at least 0.

    Raises:
        TypeError: If the coefficient is not a number.
        ValueError: If it is negative or not finite.
    """

    coefficient = checks.number_attribute("coefficient", low=0)

    def __init__(self, coefficient: float) -> None:
        self.coefficient = coefficient

    def __call__(self, parameter: np.ndarray) -> float:
        """Value of the penalty of `parameter`, an array of any shape."""
        return 0.5 * self.coefficient * (parameter**2).sum()

    def grad(self, parameter: np.ndarray) -> np.ndarray:
        """Gradient, `coefficient * w`; shape of `parameter`."""
        return self.coefficient * parameter

    @property
    def slopes(self) -> tuple[float, float]:
        """As `L1Penalty.slopes`."""
        return 0.0, self.coefficient

    def __repr__(self) -> str:
        return f"L2Penalty({self.coefficient})"


class L1L2Penalty:
    """Half of the sum of an L1 and an L2 penalty (report, Part 1, section 2.3).

    `(l1_coefficient * sum(abs(w)) + l2_coefficient / 2 * sum(w ** 2)) / 2`. The factor one half is
    the report's own: it halves the strength of both terms. The elastic net of Zou and Hastie (2005)
    is the plain sum.

    Args:
        l1_coefficient: Strength of the L1 term, the report's lambda_1 / n; at least 0.
        l2_coefficient: Strength of the L2 term, the report's lambda_2 / n; at least 0.

    Raises:
        TypeError: If a coefficient is not a number.
        ValueError: If a coefficient is negative or not finite.
    """

    l1_coefficient = checks.number_attribute("l1_coefficient", low=0)
    l2_coefficient = checks.number_attribute("l2_coefficient", low=0)

    def __init__(self, l1_coefficient: float, l2_coefficient: float) -> None:
        self.l1_coefficient = l1_coefficient
        self.l2_coefficient = l2_coefficient

    def __call__(self, parameter: np.ndarray) -> float:
        """Value of the penalty of `parameter`, an array of any shape."""
        l1, l2 = self._terms()
        return l1(parameter) + l2(parameter)

    def grad(self, parameter: np.ndarray) -> np.ndarray:
        """Gradient, half of the sum of both gradients; shape of `parameter`."""
        l1, l2 = self._terms()
        return l1.grad(parameter) + l2.grad(parameter)

    def _terms(self) -> tuple[L1Penalty, L2Penalty]:
        l1, l2 = self.slopes
        return L1Penalty(l1), L2Penalty(l2)

    @property
    def slopes(self) -> tuple[float, float]:
        """As `L1Penalty.slopes`; the one half of the report is here and nowhere else."""
        return 0.5 * self.l1_coefficient, 0.5 * self.l2_coefficient

    def __repr__(self) -> str:
        return f"L1L2Penalty({self.l1_coefficient}, {self.l2_coefficient})"
