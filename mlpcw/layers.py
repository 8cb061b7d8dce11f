"""Layers: the steps of which a network is made.

A layer maps a batch of inputs to a batch of outputs (`fprop`), maps gradients with respect to its
outputs back to gradients with respect to its inputs (`bprop`), and, where it has parameters, gives
the gradients with respect to those too (`grads_wrt_params`). It keeps no activations: whoever
calls `bprop` hands the inputs and outputs back in. A dropout mask is the one exception.

Inputs and gradients are arrays whose first axis is the batch. What a layer returns has the dtype of
its parameters, or of its inputs where it has none, whatever the dtype of the gradients it is given.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from mlpcw import checks, compiled, conv, kernels
from mlpcw.errors import as_floats, sigmoid, softmax
from mlpcw.initialisers import ConstantInit, UniformInit

Initialiser = Callable[[tuple[int, ...]], np.ndarray]


class Layer:
    """The contract of every layer."""

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        """Forward propagation.

        Args:
            inputs: Layer inputs, `(batch_size, ...)`.

        Returns:
            Layer outputs, `(batch_size, ...)`.

        Raises:
            ValueError: If the shape of the inputs does not fit the layer.
        """
        raise NotImplementedError(f"{self} has no fprop")

    def bprop(
        self, inputs: np.ndarray, outputs: np.ndarray, grads_wrt_outputs: np.ndarray
    ) -> np.ndarray:
        """Back propagation.

        Args:
            inputs: Layer inputs, as given to `fprop`.
            outputs: Layer outputs, as `fprop` returned them.
            grads_wrt_outputs: Gradient of a scalar with respect to the outputs, their shape.

        Returns:
            Gradient of that scalar with respect to the inputs, their shape.
        """
        raise NotImplementedError(f"{self} has no bprop")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class LayerWithParameters(Layer):
    """The contract of a layer with parameters."""

    def grads_wrt_params(
        self, inputs: np.ndarray, grads_wrt_outputs: np.ndarray
    ) -> list[np.ndarray]:
        """Gradients with respect to the parameters, the layer's own penalties included.

        Args:
            inputs: Layer inputs, as given to `fprop`.
            grads_wrt_outputs: Gradient of a scalar with respect to the outputs, their shape.

        Returns:
            One new array a parameter, in the order and the shapes of `params`.
        """
        raise NotImplementedError(f"{self} has no grads_wrt_params")

    def params_penalty(self) -> float:
        """Sum of the penalties of the layer's parameters."""
        raise NotImplementedError(f"{self} has no params_penalty")

    @property
    def params(self) -> list[np.ndarray]:
        """The parameter arrays themselves, not copies; may be set to arrays of equal shapes."""
        raise NotImplementedError(f"{self} has no params")

    @params.setter
    def params(self, value: Sequence[np.ndarray]) -> None:
        raise NotImplementedError(f"{self} has no params that may be set")


class StochasticLayer(Layer):
    """The contract of a layer that draws random numbers.

    Args:
        rng: A `RandomState` or a `Generator`; `None` takes fresh entropy.
    """

    def __init__(self, rng: checks.Rng | None = None) -> None:
        self.rng = checks.as_rng(rng)

    def fprop(self, inputs: np.ndarray, stochastic: bool = True) -> np.ndarray:
        """Forward propagation, as `Layer.fprop`.

        Args:
            inputs: Layer inputs, `(batch_size, ...)`.
            stochastic: Whether to draw, as in training; otherwise the outputs are expected values.
        """
        raise NotImplementedError(f"{self} has no fprop")


def _penalty(name: str, index: int) -> property:
    """The penalty of one parameter as an attribute of its layer, checked when it is set."""

    def read(layer: "_PenalisedLayer") -> Callable | None:
        return layer._penalties[index]

    def write(layer: "_PenalisedLayer", penalty: Callable | None) -> None:
        if penalty is not None:
            allowed = "None or a penalty such as L2Penalty(0.0001)"
            checks.able(f"{name}_penalty", penalty, ("__call__", "grad"), allowed)
        layer._penalties[index] = penalty

    return property(read, write, doc=f"Penalty of the {name}, or `None`.")


class _PenalisedLayer(LayerWithParameters):
    """Weights and biases with their penalties: what affine and convolutional layers share."""

    def __init__(self, weights, biases) -> None:
        self._params = [as_floats(weights), as_floats(biases)]
        self._penalties = [None, None]

    biases_penalty = _penalty("biases", 1)

    @property
    def params(self) -> list[np.ndarray]:
        """The weights (or kernels), then the biases; the arrays themselves, not copies."""
        return list(self._params)

    @params.setter
    def params(self, value: Sequence[np.ndarray]) -> None:
        shapes = [param.shape for param in self._params]
        given = [np.shape(param) for param in value]
        if given != shapes:
            raise ValueError(f"params of {self} must have shapes {shapes}, got {given}")
        self._params = [as_floats(param) for param in value]

    @property
    def biases(self) -> np.ndarray:
        """One number an output unit or channel, `(num_outputs,)`."""
        return self._params[1]

    @biases.setter
    def biases(self, value: np.ndarray) -> None:
        self.params = [self._params[0], value]

    def params_penalty(self) -> float:
        return sum(
            penalty(param)
            for param, penalty in zip(self._params, self._penalties, strict=True)
            if penalty is not None
        )

    def _add_penalty_grads(self, grads: list[np.ndarray]) -> list[np.ndarray]:
        for grad, param, penalty in zip(grads, self._params, self._penalties, strict=True):
            if penalty is not None:
                grad += penalty.grad(param)
        return grads


def _like(values: np.ndarray, grads_wrt_outputs: np.ndarray) -> np.ndarray:
    """Gradients in the dtype of a layer's inputs or outputs; float64 where that is whole."""
    dtype = values.dtype if values.dtype.kind == "f" else float
    return np.asarray(grads_wrt_outputs, dtype)


def _drawn(
    name: str, initialiser: Initialiser | None, default: Initialiser, shape: tuple[int, ...]
) -> np.ndarray:
    """What an initialiser, checked, or for `None` the default makes of a shape."""
    if initialiser is None:
        return default(shape)
    allowed = "None or an initialiser such as ConstantInit(0)"
    drawn = checks.able(name, initialiser, ("__call__",), allowed)(shape)
    if np.shape(drawn) != shape:
        raise ValueError(f"{name} must return shape {shape}, got {np.shape(drawn)}")
    return drawn


class AffineLayer(_PenalisedLayer):
    """`outputs = inputs W^T + b`, with weights W of shape `(output_dim, input_dim)`.

    Args:
        input_dim: Number of inputs, at least 1.
        output_dim: Number of outputs, at least 1.
        weights_initialiser: Called with `(output_dim, input_dim)`; `None` draws uniformly from
            [-0.1, 0.1) with fresh entropy.
        biases_initialiser: Called with `(output_dim,)`; `None` is zeros.
        weights_penalty: Penalty of the weights, or `None`.
        biases_penalty: Penalty of the biases, or `None`.

    Raises:
        TypeError: If a dimension is not a whole number, or an initialiser or a penalty
            lacks its methods.
        ValueError: If a dimension is below 1, or an initialiser returns another shape.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        weights_initialiser: Initialiser | None = None,
        biases_initialiser: Initialiser | None = None,
        weights_penalty: Callable | None = None,
        biases_penalty: Callable | None = None,
    ) -> None:
        self.input_dim = checks.whole_number("input_dim", input_dim, low=1)
        self.output_dim = checks.whole_number("output_dim", output_dim, low=1)
        shape, uniform = (output_dim, input_dim), UniformInit(-0.1, 0.1)
        weights = _drawn("weights_initialiser", weights_initialiser, uniform, shape)
        super().__init__(
            # In Fortran's order, W^T is as BLAS likes the right side of a product: `fprop` in
            # float32, batch 50, 784 to 100, takes 73 us against 100 us (benchmarks/training.py).
            np.asfortranarray(weights),
            _drawn("biases_initialiser", biases_initialiser, ConstantInit(0.0), shape[:1]),
        )
        self.weights_penalty = weights_penalty
        self.biases_penalty = biases_penalty

    weights_penalty = _penalty("weights", 0)

    @property
    def weights(self) -> np.ndarray:
        """Weights, `(output_dim, input_dim)`."""
        return self._params[0]

    @weights.setter
    def weights(self, value: np.ndarray) -> None:
        self.params = [value, self._params[1]]

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        if inputs.ndim != 2 or inputs.shape[1] != self.input_dim:
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit {self}:"
                f" they must be (batch_size, {self.input_dim})"
            )
        outputs = np.asarray(inputs, dtype=self.weights.dtype) @ self.weights.T
        outputs += self.biases
        return outputs

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return np.asarray(grads_wrt_outputs, self.weights.dtype) @ self.weights

    def grads_wrt_params(self, inputs, grads_wrt_outputs):
        inputs, grads_wrt_outputs = (
            np.asarray(array, self.weights.dtype) for array in (inputs, grads_wrt_outputs)
        )
        return self._add_penalty_grads(
            [
                # (input_dim, batch_size) @ (batch_size, output_dim), transposed: in Fortran's
                # order, as the weights
                (inputs.T @ grads_wrt_outputs).T,
                grads_wrt_outputs.sum(axis=0),
            ]
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(input_dim={self.input_dim}, output_dim={self.output_dim})"


class ConvolutionalLayer(_PenalisedLayer):
    """Two-dimensional convolution, 'valid', stride 1, with the kernels flipped, plus a bias.

    Inputs are `(batch_size, num_input_channels, input_dim_1, input_dim_2)`, outputs
    `(batch_size, num_output_channels, input_dim_1 - kernel_dim_1 + 1,
    input_dim_2 - kernel_dim_2 + 1)`. See `mlpcw.conv` for the formula and the methods.

    Args:
        num_input_channels: At least 1.
        num_output_channels: At least 1.
        input_dim_1: Height of the inputs, pixels.
        input_dim_2: Width of the inputs, pixels.
        kernel_dim_1: Height of the kernels, pixels, at most `input_dim_1`.
        kernel_dim_2: Width of the kernels, pixels, at most `input_dim_2`.
        kernels_init: Called with `(num_output_channels, num_input_channels, kernel_dim_1,
            kernel_dim_2)`; `None` draws uniformly from [-0.01, 0.01) with fresh entropy.
        biases_init: Called with `(num_output_channels,)`; `None` is zeros.
        kernels_penalty: Penalty of the kernels, or `None`.
        biases_penalty: Penalty of the biases, or `None`.

    Raises:
        TypeError: If a dimension is not a whole number, or an initialiser or a penalty
            lacks its methods.
        ValueError: If a dimension is below 1, or a kernel is larger than the image.
    """

    def __init__(
        self,
        num_input_channels: int,
        num_output_channels: int,
        input_dim_1: int,
        input_dim_2: int,
        kernel_dim_1: int,
        kernel_dim_2: int,
        kernels_init: Initialiser | None = None,
        biases_init: Initialiser | None = None,
        kernels_penalty: Callable | None = None,
        biases_penalty: Callable | None = None,
    ) -> None:
        self.num_input_channels = checks.whole_number(
            "num_input_channels", num_input_channels, low=1
        )
        self.num_output_channels = checks.whole_number(
            "num_output_channels", num_output_channels, low=1
        )
        self.input_dim_1 = checks.whole_number("input_dim_1", input_dim_1, low=1)
        self.input_dim_2 = checks.whole_number("input_dim_2", input_dim_2, low=1)
        self.kernel_dim_1 = checks.whole_number("kernel_dim_1", kernel_dim_1, low=1)
        self.kernel_dim_2 = checks.whole_number("kernel_dim_2", kernel_dim_2, low=1)
        if kernel_dim_1 > input_dim_1 or kernel_dim_2 > input_dim_2:
            raise ValueError(
                f"kernels of {kernel_dim_1} x {kernel_dim_2} pixels do not fit images of"
                f" {input_dim_1} x {input_dim_2}: a kernel must be no larger than the image"
            )
        shape = num_output_channels, num_input_channels, kernel_dim_1, kernel_dim_2
        super().__init__(
            _drawn("kernels_init", kernels_init, UniformInit(-0.01, 0.01), shape),
            _drawn("biases_init", biases_init, ConstantInit(0.0), shape[:1]),
        )
        self.kernels_penalty = kernels_penalty
        self.biases_penalty = biases_penalty

    kernels_penalty = _penalty("kernels", 0)

    @property
    def kernels(self) -> np.ndarray:
        """Kernels, `(num_output_channels, num_input_channels, kernel_dim_1, kernel_dim_2)`."""
        return self._params[0]

    @kernels.setter
    def kernels(self, value: np.ndarray) -> None:
        self.params = [value, self._params[1]]

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        image = (self.num_input_channels, self.input_dim_1, self.input_dim_2)
        if inputs.shape[1:] != image:
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit {self}: they must be"
                f" (batch_size, {', '.join(map(str, image))})"
            )
        outputs = conv.convolve(np.asarray(inputs, dtype=self.kernels.dtype), self.kernels)
        outputs += self.biases[:, np.newaxis, np.newaxis]
        return outputs

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        grads_wrt_outputs = np.asarray(grads_wrt_outputs, self.kernels.dtype)
        return conv.grad_inputs(self.kernels, grads_wrt_outputs)

    def grads_wrt_params(self, inputs, grads_wrt_outputs):
        inputs, grads_wrt_outputs = (
            np.asarray(array, self.kernels.dtype) for array in (inputs, grads_wrt_outputs)
        )
        return self._add_penalty_grads(
            [
                self._grads_wrt_kernels(inputs, grads_wrt_outputs),
                grads_wrt_outputs.sum(axis=(0, 2, 3)),
            ]
        )

    def _grads_wrt_kernels(self, inputs: np.ndarray, grads_wrt_outputs: np.ndarray) -> np.ndarray:
        return conv.grad_kernels(inputs, grads_wrt_outputs)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.num_input_channels} -> {self.num_output_channels}"
            f" channels, {self.input_dim_1} x {self.input_dim_2} pixels,"
            f" kernels {self.kernel_dim_1} x {self.kernel_dim_2})"
        )


class ReshapeLayer(Layer):
    """Gives each example of the batch another shape.

    Args:
        output_shape: Shape of one example, the batch axis left out; `None` flattens it.
    """

    def __init__(self, output_shape: tuple[int, ...] | None = None) -> None:
        self.output_shape = (-1,) if output_shape is None else tuple(output_shape)

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        try:
            return inputs.reshape((len(inputs), *self.output_shape))
        except ValueError:
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit {self}: one example has"
                f" {inputs[0].size} values"
            ) from None

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return _like(inputs, grads_wrt_outputs).reshape(inputs.shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(output_shape={self.output_shape})"


class SigmoidLayer(Layer):
    """Logistic sigmoid of each input, `1 / (1 + exp(-x))`."""

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        return sigmoid(inputs)

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return _like(outputs, grads_wrt_outputs) * outputs * (1 - outputs)


class ReluLayer(Layer):
    """Rectified linear, `max(x, 0)`; the gradient at the kink x = 0 is 0."""

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        return np.maximum(inputs, 0)

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return (outputs > 0) * _like(outputs, grads_wrt_outputs)


class TanhLayer(Layer):
    """Hyperbolic tangent of each input."""

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        return np.tanh(as_floats(inputs))

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return (1 - outputs**2) * _like(outputs, grads_wrt_outputs)


class SoftmaxLayer(Layer):
    """Softmax over the last axis: outputs are positive and sum to 1."""

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        return softmax(inputs)

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        grads_wrt_outputs = _like(outputs, grads_wrt_outputs)
        weighted = (outputs * grads_wrt_outputs).sum(axis=-1, keepdims=True)
        return outputs * (grads_wrt_outputs - weighted)


class RadialBasisFunctionLayer(Layer):
    """`exp(-((x - c) / s) ** 2)` for each input x and each point c of a grid.

    Inputs are `(batch_size, num_dims)`, or `(batch_size,)` where the grid has one dimension.

    Args:
        grid_dim: Number of points of the grid along each dimension, at least 1.
        intervals: Ends (low, high) of the grid in each input dimension; `None` is [0, 1] in one
            dimension. The scale s of a dimension is (high - low) / grid_dim.

    Raises:
        ValueError: If `grid_dim` is below 1, or an interval has `high` at most `low`.
    """

    def __init__(
        self, grid_dim: int, intervals: Sequence[tuple[float, float]] | None = None
    ) -> None:
        grid_dim = checks.whole_number("grid_dim", grid_dim, low=1)
        intervals = [(0.0, 1.0)] if intervals is None else intervals
        for low, high in intervals:
            checks.number("the end of an interval", high, low=low, strict=True)
        axes = [np.linspace(low, high, grid_dim) for low, high in intervals]
        # (num_dims, grid_dim ** num_dims): one column a point of the grid
        self.centres = np.array(np.meshgrid(*axes)).reshape(len(intervals), -1)
        self.scales = np.array([[(high - low) / grid_dim] for low, high in intervals])

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        num_dims = len(self.centres)
        if inputs.shape[1:] != (num_dims,) and (inputs.ndim, num_dims) != (1, 1):
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit a grid in {num_dims}"
                f" dimensions: they must be (batch_size, {num_dims})"
            )
        return np.exp(-(self._scaled(inputs) ** 2)).reshape(len(inputs), -1)

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        scaled = self._scaled(inputs)
        weighted = (outputs * _like(outputs, grads_wrt_outputs)).reshape(scaled.shape)
        grads = -2 * (weighted * scaled / self.scales.astype(outputs.dtype)).sum(axis=-1)
        return grads.reshape(inputs.shape)

    def _scaled(self, inputs: np.ndarray) -> np.ndarray:
        """(x - c) / s, `(batch_size, num_dims, num_points)`, in the dtype of the inputs."""
        inputs = as_floats(inputs)
        centres, scales = self.centres.astype(inputs.dtype), self.scales.astype(inputs.dtype)
        return (inputs.reshape(len(inputs), -1, 1) - centres) / scales


class DropoutLayer(StochasticLayer):
    """Sets each input to 0 with probability `1 - incl_prob` (Srivastava and others 2014).

    Not stochastic, it multiplies the inputs with `incl_prob`, their expected share.

    Args:
        rng: A `RandomState` or a `Generator`; `None` takes fresh entropy.
        incl_prob: Probability that an input is kept, in (0, 1].
        share_across_batch: Whether one mask serves the whole batch.

    Raises:
        ValueError: If `incl_prob` is out of its range.
    """

    incl_prob = checks.number_attribute("incl_prob", low=0, high=1)

    def __init__(
        self,
        rng: checks.Rng | None = None,
        incl_prob: float = 0.5,
        share_across_batch: bool = True,
    ) -> None:
        super().__init__(rng)
        self.incl_prob = checks.number("incl_prob", incl_prob, low=0, high=1, strict=True)
        self.share_across_batch = share_across_batch
        self._mask = None

    def fprop(self, inputs: np.ndarray, stochastic: bool = True) -> np.ndarray:
        if not stochastic:
            self._mask = None
            return inputs * self.incl_prob
        num_masks = 1 if self.share_across_batch else len(inputs)
        self._mask = self.rng.uniform(size=(num_masks, *inputs.shape[1:])) < self.incl_prob
        return inputs * self._mask

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        factor = self.incl_prob if self._mask is None else self._mask
        return _like(inputs, grads_wrt_outputs) * factor

    def __repr__(self) -> str:
        return f"{type(self).__name__}(incl_prob={self.incl_prob})"


class MaxPoolingLayer(Layer):
    """Maximum over non-overlapping pools of `pool_size` values along the last axis (maxout).

    Of equal maxima in a pool, the first receives the gradient.

    Args:
        pool_size: Number of values in a pool, at least 1; it must divide the last axis.

    Raises:
        ValueError: If `pool_size` is below 1, or does not divide the inputs' last axis.
    """

    def __init__(self, pool_size: int = 2) -> None:
        self.pool_size = checks.whole_number("pool_size", pool_size, low=1)

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        return self._pools(inputs).max(axis=-1)

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        grads_wrt_outputs = _like(inputs, grads_wrt_outputs)
        return _to_first_maximum(self._pools(inputs), grads_wrt_outputs).reshape(inputs.shape)

    def _pools(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs with their last axis split, `(batch_size, ..., num_pools, pool_size)`."""
        if inputs.shape[-1] % self.pool_size:
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit {self}: their last axis must be a"
                f" multiple of {self.pool_size}"
            )
        return inputs.reshape((*inputs.shape[:-1], -1, self.pool_size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(pool_size={self.pool_size})"


class MaxPooling2DLayer(Layer):
    """Maximum over non-overlapping windows of `pool_size` x `pool_size` pixels.

    Inputs are `(batch_size, num_channels, height, width)`, outputs `(batch_size, num_channels,
    height / pool_size, width / pool_size)`. Of equal maxima in a window, the first in reading
    order receives the gradient (LeCun and others 1998 subsample by means instead).

    Args:
        pool_size: Side of a window, pixels, at least 1; it must divide height and width.

    Raises:
        ValueError: If `pool_size` is below 1, or does not divide both sides of the inputs.
    """

    def __init__(self, pool_size: int = 2) -> None:
        self.pool_size = checks.whole_number("pool_size", pool_size, low=1)

    def fprop(self, inputs: np.ndarray) -> np.ndarray:
        self._check(inputs)
        size = self.pool_size
        # Maxima of whole arrays, of the rows of all windows and then of their columns: a twentieth
        # of the time of `_windows(inputs).max(axis=-1)` (benchmarks/convolution.py).
        rows = functools.reduce(np.maximum, [inputs[:, :, i::size] for i in range(size)])
        return functools.reduce(np.maximum, [rows[:, :, :, j::size] for j in range(size)])

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        size, grads_wrt_outputs = self.pool_size, _like(inputs, grads_wrt_outputs)
        if compiled.enabled() and self._fits_kernel(inputs, outputs, grads_wrt_outputs):
            arrays = map(np.ascontiguousarray, (inputs, outputs, grads_wrt_outputs))
            grads = np.empty(inputs.shape, grads_wrt_outputs.dtype)
            kernels.unpool(*arrays, grads)
            return grads
        grads = _to_first_maximum(self._windows(inputs), grads_wrt_outputs)
        # (batch, channels, rows, columns, size, size) -> (batch, channels, height, width)
        grads = grads.reshape((*grads.shape[:4], size, size))
        return grads.transpose(0, 1, 2, 4, 3, 5).reshape(inputs.shape)

    def _fits_kernel(self, *arrays: np.ndarray) -> bool:
        """Whether inputs, outputs and gradients are what `kernels.unpool` takes unchecked."""
        inputs, outputs, grads_wrt_outputs = arrays
        return (
            self.pool_size == 2
            and {array.dtype for array in arrays} in ({np.dtype("f4")}, {np.dtype("f8")})
            and outputs.shape == grads_wrt_outputs.shape
            and inputs.shape == (*outputs.shape[:2], *(2 * side for side in outputs.shape[2:]))
        )

    def _windows(self, inputs: np.ndarray) -> np.ndarray:
        """A row of values a window, `(batch, channels, rows, columns, pool_size ** 2)`."""
        self._check(inputs)
        size = self.pool_size
        batch_size, num_channels, height, width = inputs.shape
        split = inputs.reshape(batch_size, num_channels, height // size, size, width // size, size)
        return split.transpose(0, 1, 2, 4, 3, 5).reshape(
            batch_size, num_channels, height // size, width // size, size * size
        )

    def _check(self, inputs: np.ndarray) -> None:
        size = self.pool_size
        if inputs.ndim != 4 or inputs.shape[2] % size or inputs.shape[3] % size:
            raise ValueError(
                f"inputs of shape {inputs.shape} do not fit {self}: they must be (batch_size,"
                f" num_channels, height, width) with sides that are multiples of {size}"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(pool_size={self.pool_size})"


def _to_first_maximum(pools: np.ndarray, grads: np.ndarray) -> np.ndarray:
    """Zeros of the shape of `pools` but for `grads` at the first maximum along the last axis."""
    first = pools.argmax(axis=-1)[..., np.newaxis]
    spread = np.zeros(pools.shape, dtype=grads.dtype)
    np.put_along_axis(spread, first, grads[..., np.newaxis], axis=-1)
    return spread
