"""The update of parameters in the fused step: gradient, penalty and momentum in one go.

With momentum, each parameter p goes through `m = a m - eta (l1 sign(p) + l2 p)`, then m gets
`-eta` times the gradient of the error, then `p += m`. Without momentum, p takes the place of m and
a is 1. The formulas are those of `mlpcw.learning_rules` and `mlpcw.penalties`.
"""

from collections.abc import Callable

import numpy as np

from mlpcw import compiled, step_kernels
from mlpcw.layers import AffineLayer, LayerWithParameters
from mlpcw.learning_rules import GradientDescentLearningRule
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty

FLUSH_INTERVAL = 100
"""Updates between two searches for momenta close to subnormal. With a coefficient of 0.9 they reach
subnormal numbers 150 updates after the limit in float32, and 340 in float64."""

_PENALTIES = (L1L2Penalty, L1Penalty, L2Penalty)


def slopes(penalty: Callable | None) -> tuple[float, float] | None:
    """`(l1, l2)` in a penalty's gradient `l1 sign(p) + l2 p`; `None` for a penalty not known."""
    if penalty is None:
        return 0.0, 0.0
    known = type(penalty) in _PENALTIES and "grad" not in vars(penalty)
    return penalty.slopes if known else None


class Update:
    """The update of a layer's parameters by the layer's own gradients."""

    def __init__(
        self,
        layer: LayerWithParameters,
        weights: "Parameter",
        biases: "Parameter",
        blas: "Blas",
    ) -> None:
        self._layer, self._weights, self._biases, self._blas = layer, weights, biases, blas

    def __call__(self, inputs: np.ndarray, grads_wrt_outputs: np.ndarray) -> None:
        """Updates the parameters.

        Args:
            inputs: Inputs of the layer.
            grads_wrt_outputs: Gradients with respect to its outputs, of their shape.
        """
        grads = self._layer.grads_wrt_params(inputs, grads_wrt_outputs)
        for state, grad in zip((self._weights, self._biases), grads, strict=True):
            rate = state.begin(None)  # the layer's gradient contains the penalty's
            grad *= rate
            state.sum -= grad
            state.end()


class AffineUpdate(Update):
    """The update of an affine layer, `(batch_size, input_dim)` to `(batch_size, output_dim)`."""

    _layer: AffineLayer

    def __call__(self, inputs: np.ndarray, grads_wrt_outputs: np.ndarray) -> None:
        rate = self._weights.begin(self._layer.weights_penalty)
        self._blas.add_product(-rate, grads_wrt_outputs, inputs, self._weights.sum)
        self._weights.end()
        self._biases.update_by_rows(grads_wrt_outputs, self._layer.biases_penalty)


class Parameter:
    """A parameter p and what gradients are added to: its momentum m, or p itself without one.

    An update is `begin`, `sum -= rate * grad` and `end`.
    """

    def __init__(
        self,
        param: np.ndarray,
        mom: np.ndarray | None,
        rule: GradientDescentLearningRule,
        blas: "Blas",
    ) -> None:
        self.sum = param if mom is None else mom
        self._has_mom, self._rule, self._blas = mom is not None, rule, blas
        self._param, self._number = param, blas.dtype.type
        # Element-wise work goes in the order of memory.
        self._flat_param, self._flat_sum = param.ravel("K"), self.sum.ravel("K")
        self._num_updates = 0

    def begin(self, penalty: Callable | None) -> float:
        """Decays the momentum and adds the penalty's part; returns the learning rate."""
        rate, known = self._rule.learning_rate, slopes(penalty)
        l1, l2 = known or (0.0, 0.0)
        # `beta` of GEMM could decay too, but OpenBLAS takes 14 us longer for it than this
        # (benchmarks/training.py, float32, 784 x 100).
        if self._has_mom or l1 or l2:
            decay = self._decay_compiled if compiled.enabled() else self._decay
            decay(rate * l1, rate * l2)
        if known is None:
            self.sum -= rate * penalty.grad(self._param)
        return rate

    def end(self) -> None:
        """Adds the momentum to the parameter."""
        if self._has_mom:
            self._flat_param += self._flat_sum

    def update_by_rows(self, rows: np.ndarray, penalty: Callable | None) -> None:
        """A whole update by the sum of rows, `(batch_size, size)`."""
        if penalty is None and self._has_mom and compiled.enabled():
            coeff, rate = self._number(self._rule.mom_coeff), self._number(self._rule.learning_rate)
            step_kernels.update_biases(self._flat_param, self._flat_sum, coeff, rate, rows)
            return
        rate = self.begin(penalty)
        self._blas.add_rows(-rate, rows, self.sum)
        self.end()

    def _decay_compiled(self, l1: float, l2: float) -> None:
        """`sum = a sum - (l1 sign(param) + l2 param)`, numbers close to subnormal set to 0."""
        number, coeff, smallest = self._number, 1.0, 0.0
        if self._has_mom:
            coeff, smallest = self._rule.mom_coeff, self._blas.near_subnormal
        numbers = number(coeff), number(l1), number(l2), number(smallest)
        step_kernels.decay(self._flat_sum, self._flat_param, *numbers)

    def _decay(self, l1: float, l2: float) -> None:
        """The same in NumPy and BLAS, with no new arrays."""
        if self._has_mom:
            if self._num_updates % FLUSH_INTERVAL == 0:
                self._blas.flush(self._flat_sum)
            self._num_updates += 1
            self._flat_sum *= self._rule.mom_coeff
        signs = self._blas.signs(self._flat_param) if l1 else None  # before `sum` may change it
        if l2:
            self._blas.axpy(self._flat_param, self._flat_sum, a=-l2)
        if l1:
            self._blas.axpy(signs, self._flat_sum, a=-l1)


class Blas:
    """What the updates need of BLAS, for one dtype, with memory for one array of signs.

    Args:
        dtype: float32 or float64.
        size: Size of the largest parameter.
    """

    def __init__(self, dtype: np.dtype, size: int) -> None:
        # Imported here: scipy.linalg loads slowly, and only training needs it.
        from scipy.linalg import blas

        self.dtype = dtype
        functions = blas.get_blas_funcs(("gemm", "gemv", "axpy"), dtype=dtype)
        self._gemm, self._gemv, self.axpy = functions
        self._ones = np.ones(0, dtype)
        self._positive, self._negative = np.empty((2, size), bool)
        self._values = np.empty(size, dtype)
        limits = np.finfo(dtype)
        self.near_subnormal = limits.tiny / limits.eps

    def add_product(
        self, factor: float, left: np.ndarray, right: np.ndarray, target: np.ndarray
    ) -> None:
        """`target += factor * left.T @ right`, with no array for the product.

        Args:
            factor: A number.
            left: `(batch_size, num_rows)`, in C order, as `right`.
            right: `(batch_size, num_columns)`.
            target: `(num_rows, num_columns)`, in either order.
        """
        # BLAS wants Fortran's order: that of the transposes, and of the target or its transpose.
        if target.flags.f_contiguous:
            self._gemm(factor, left.T, right.T, 1.0, target, 0, 1, 1)
        else:
            self._gemm(factor, right.T, left.T, 1.0, target.T, 0, 1, 1)

    def add_rows(self, factor: float, rows: np.ndarray, target: np.ndarray) -> None:
        """`target += factor * rows.sum(axis=0)`; `(batch_size, size)` in C order, and `(size,)`."""
        if len(self._ones) != len(rows):
            self._ones = np.ones(len(rows), self.dtype)
        # alpha, a, x, beta, y, offx, incx, offy, incy, trans, overwrite_y
        self._gemv(factor, rows.T, self._ones, 1.0, target, 0, 1, 0, 1, 0, 1)

    def signs(self, values: np.ndarray) -> np.ndarray:
        """-1, 0 or 1 for each of `values`, `(size,)`; overwritten by the next call.

        `numpy.sign` takes 1.7 times as long, as it is not vectorised: 44 us against 26 us for
        78 400 numbers in float32.
        """
        size = values.size
        positive, negative = self._positive[:size], self._negative[:size]
        np.greater(values, 0, out=positive)
        np.less(values, 0, out=negative)
        whole = positive.view(np.int8)
        whole -= negative.view(np.int8)
        signs = self._values[:size]
        np.copyto(signs, whole)
        return signs

    def flush(self, values: np.ndarray) -> None:
        """Sets to 0 what is close to the smallest normal number, in place; `(size,)`.

        The weights of a pixel that is black in every image of hundreds of batches get no gradient.
        Their momentum decays to subnormal numbers, which processors multiply slowly: in float32, to
        decay the momentum of 784 x 100 weights took 61 us a step without this, and takes 9 us.
        """
        magnitudes = np.abs(values, out=self._values[: values.size])
        values[np.less(magnitudes, self.near_subnormal, out=self._positive[: values.size])] = 0
