"""Learning rules: how gradients change parameters.

A rule takes the parameter arrays once, by `initialise`, and a list of gradients in the same order
for every update. It changes the arrays in place. In the formulas p is a parameter, g its gradient,
eta the learning rate and m, v the rule's state for p.
"""

from collections.abc import Sequence

import numpy as np

from mlpcw import checks


class GradientDescentLearningRule:
    """Plain gradient descent, `p -= eta g`.

    This class is the contract of all rules; the others differ in formula and state.

    Args:
        learning_rate: eta, above 0; a scheduler may set it to 0.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is out of its range.
    """

    learning_rate = checks.number_attribute("learning_rate", low=0)

    def __init__(self, learning_rate: float = 1e-3) -> None:
        self.learning_rate = checks.number("learning_rate", learning_rate, low=0, strict=True)

    def initialise(self, params: Sequence[np.ndarray]) -> None:
        """Takes the parameter arrays, before the first update.

        Args:
            params: Arrays of any shape, to be changed in place.
        """
        self.params = list(params)
        self._make_state()

    def _make_state(self) -> None:
        """Allocates the rule's state; here none."""

    def reset(self) -> None:
        """Resets the rule's state; the parameters stay the same."""

    def update_params(self, grads_wrt_params: Sequence[np.ndarray]) -> None:
        """One update of every parameter, in place.

        Args:
            grads_wrt_params: Gradients of the error, in the order and with the shapes of the
                parameters.

        Raises:
            ValueError: If the number or the shapes of the gradients are wrong.
        """
        for index, grad in self._numbered(grads_wrt_params):
            self.params[index] -= self.learning_rate * grad

    def _numbered(self, grads: Sequence[np.ndarray]) -> list[tuple[int, np.ndarray]]:
        """Pairs of an index and the gradient, in the dtype of its parameter."""
        if len(grads) != len(self.params):
            raise ValueError(
                f"grads_wrt_params must have one gradient for each of {len(self.params)}"
                f" parameters, got {len(grads)}"
            )
        shapes = [param.shape for param in self.params]
        given = [np.shape(grad) for grad in grads]
        if given != shapes:
            raise ValueError(f"grads_wrt_params must have the shapes {shapes}, got {given}")
        return [
            (index, np.asarray(grad, param.dtype))
            for index, (grad, param) in enumerate(zip(grads, self.params, strict=True))
        ]

    def _zeros(self) -> list[np.ndarray]:
        return [np.zeros_like(param) for param in self.params]


class MomentumLearningRule(GradientDescentLearningRule):
    """Gradient descent with classical momentum, `m = a m - eta g; p += m` (Polyak 1964).

    Args:
        learning_rate: eta, above 0.
        mom_coeff: a, in [0, 1]; 0 is plain gradient descent.
    """

    mom_coeff = checks.number_attribute("mom_coeff", low=0, high=1)

    def __init__(self, learning_rate: float = 1e-3, mom_coeff: float = 0.9) -> None:
        super().__init__(learning_rate)
        self.mom_coeff = mom_coeff

    def _make_state(self) -> None:
        self.moms = self._zeros()

    def reset(self) -> None:
        for mom in self.moms:
            mom[...] = 0

    def update_params(self, grads_wrt_params: Sequence[np.ndarray]) -> None:
        for index, grad in self._numbered(grads_wrt_params):
            mom = self.moms[index]
            mom *= self.mom_coeff
            mom -= self.learning_rate * grad
            self.params[index] += mom


class NesterovMomentumLearningRule(MomentumLearningRule):
    """Momentum that looks ahead, `m' = a m - eta g; p += (1 + a) m' - a m` (Sutskever 2013)."""

    def update_params(self, grads_wrt_params: Sequence[np.ndarray]) -> None:
        for index, grad in self._numbered(grads_wrt_params):
            mom = self.moms[index]
            self.params[index] -= self.mom_coeff * mom
            mom *= self.mom_coeff
            mom -= self.learning_rate * grad
            self.params[index] += (1 + self.mom_coeff) * mom


class AdamLearningRule(GradientDescentLearningRule):
    """Adaptive moments (Kingma and Ba 2015, section 2, its faster form).

    `m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= eta_t m / (sqrt(v) + epsilon)` with
    `eta_t = eta sqrt(1 - b2^t) / (1 - b1^t)` at update t = 1, 2, ...

    Args:
        learning_rate: eta, above 0.
        beta_1: b1, in [0, 1).
        beta_2: b2, in [0, 1).
        epsilon: Above 0; keeps the division finite.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate)
        self.beta_1 = _decay_rate("beta_1", beta_1)
        self.beta_2 = _decay_rate("beta_2", beta_2)
        self.epsilon = checks.number("epsilon", epsilon, low=0, strict=True)

    def _make_state(self) -> None:
        self.moms_1 = self._zeros()
        self.moms_2 = self._zeros()
        self.step_count = 0

    def reset(self) -> None:
        self._make_state()

    def update_params(self, grads_wrt_params: Sequence[np.ndarray]) -> None:
        numbered = self._numbered(grads_wrt_params)
        self.step_count += 1
        correction = (1 - self.beta_2**self.step_count) ** 0.5 / (1 - self.beta_1**self.step_count)
        step = self.learning_rate * correction
        for index, grad in numbered:
            mom_1, mom_2 = self.moms_1[index], self.moms_2[index]
            mom_1 *= self.beta_1
            mom_1 += (1 - self.beta_1) * grad
            mom_2 *= self.beta_2
            mom_2 += (1 - self.beta_2) * grad**2
            self.params[index] -= step * mom_1 / (np.sqrt(mom_2) + self.epsilon)


class AdaGradLearningRule(GradientDescentLearningRule):
    """Adaptive gradients, `v += g^2; p -= eta g / sqrt(v + epsilon)` (Duchi and others 2011).

    Args:
        learning_rate: eta, above 0.
        epsilon: Above 0; keeps the division finite.
    """

    def __init__(self, learning_rate: float = 1e-2, epsilon: float = 1e-8) -> None:
        super().__init__(learning_rate)
        self.epsilon = checks.number("epsilon", epsilon, low=0, strict=True)

    def _make_state(self) -> None:
        self.sum_sq_grads = self._zeros()

    def reset(self) -> None:
        self._make_state()

    def update_params(self, grads_wrt_params: Sequence[np.ndarray]) -> None:
        for index, grad in self._numbered(grads_wrt_params):
            sum_sq_grad = self.sum_sq_grads[index]
            sum_sq_grad += grad**2
            self.params[index] -= self.learning_rate * grad / np.sqrt(sum_sq_grad + self.epsilon)


class RMSPropLearningRule(GradientDescentLearningRule):
    """`v = b v + (1 - b) g^2; p -= eta g / sqrt(v + epsilon)` (Tieleman and Hinton 2012).

    Args:
        learning_rate: eta, above 0.
        beta: b, in [0, 1).
        epsilon: Above 0; keeps the division finite.
    """

    def __init__(
        self, learning_rate: float = 1e-3, beta: float = 0.9, epsilon: float = 1e-8
    ) -> None:
        super().__init__(learning_rate)
        self.beta = _decay_rate("beta", beta)
        self.epsilon = checks.number("epsilon", epsilon, low=0, strict=True)

    def _make_state(self) -> None:
        self.moms_2 = self._zeros()

    def reset(self) -> None:
        self._make_state()

    def update_params(self, grads_wrt_params: Sequence[np.ndarray]) -> None:
        for index, grad in self._numbered(grads_wrt_params):
            mom_2 = self.moms_2[index]
            mom_2 *= self.beta
            mom_2 += (1 - self.beta) * grad**2
            self.params[index] -= self.learning_rate * grad / np.sqrt(mom_2 + self.epsilon)


def _decay_rate(name: str, value: float) -> float:
    if checks.number(name, value, low=0, high=1) == 1:
        raise ValueError(f"{name} must be a number of at least 0 and below 1, got {value}")
    return float(value)
