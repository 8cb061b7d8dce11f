"""The fused training step: the same update as the plain step, up to rounding, in less time.

The plain step (`Optimiser.do_training_epoch`) asks each layer and then the learning rule, and each
of them returns new arrays. The fused step knows the formulas of all layers of a model, and instead

* adds the gradient of the weights, `-eta G^T X`, to the momentum within a product of BLAS, so that
  it never is an array (X are the inputs of a layer, G the gradients with respect to its outputs);
* lets a ReLU overwrite the outputs of the layer below it, and the gradients on their way back;
* allocates outputs and gradients of affine layers once per batch size;
* runs the remaining element-wise work in compiled kernels if Numba is installed.

`Forward` and `Step` are the two passes; the update is `mlpcw.updates`. What the fused step does not
know takes the plain step, subclasses included, and the logger `mlpcw.fused` says so once, at INFO
(`mlpcw.fusible`). `benchmarks/training.py` measures what each trick saves.
"""

import functools
from collections.abc import Iterable

import numpy as np
import threadpoolctl

from mlpcw import compiled, fusible, step_kernels
from mlpcw.errors import Error
from mlpcw.layers import (
    AffineLayer,
    ConvolutionalLayer,
    Layer,
    MaxPooling2DLayer,
    ReluLayer,
    ReshapeLayer,
    SigmoidLayer,
    TanhLayer,
)
from mlpcw.learning_rules import GradientDescentLearningRule, MomentumLearningRule
from mlpcw.models import MultipleLayerModel
from mlpcw.updates import AffineUpdate, Blas, Parameter, Update


def make_forward(model: MultipleLayerModel) -> "Forward | None":
    """The forward half of a step, or `None` if the model has none (see `mlpcw.fusible`)."""
    return Forward(model) if fusible.is_model(model, _UNITS) else None


def make_step(
    model: MultipleLayerModel, error: Error, rule: GradientDescentLearningRule
) -> "Step | None":
    """A fused step, or `None` if the model or the rule has none (see `mlpcw.fusible`).

    It holds for as long as model and rule keep their arrays, whatever is written into these. It
    reads the learning rate, the momentum coefficient and the penalties anew at each call.
    """
    if not (fusible.is_model(model, _UNITS) and fusible.is_rule(rule, model)):
        return None
    fusible.log_own_gradients(model, error)
    return Step(Forward(model), error, rule)


class Forward:
    """Forward propagation without new arrays, for as long as the model keeps its parameters."""

    def __init__(self, model: MultipleLayerModel) -> None:
        self.dtype = model.params[0].dtype
        self.units: list[_Unit] = []
        for layer in model.layers:
            below = self.units[-1] if self.units else None
            self.units.append(_UNITS[type(layer)](layer, self.dtype, below))

    def __call__(self, inputs: np.ndarray) -> list[np.ndarray]:
        """As `MultipleLayerModel.fprop`, but into arrays that the next call overwrites.

        A layer with parameters and the ReLU above it have one array of outputs, rectified.

        Args:
            inputs: Inputs of the first layer, `(batch_size, ...)`, of any dtype.

        Raises:
            ValueError: If the shape of the inputs does not fit.
        """
        activations = [np.ascontiguousarray(inputs, dtype=self.dtype)]
        for unit in self.units:
            activations.append(unit.forward(activations[-1]))
        return activations


class Step:
    """One update of all parameters from one batch; made by `make_step`."""

    def __init__(self, forward: Forward, error: Error, rule: GradientDescentLearningRule) -> None:
        self._forward, self._error = forward, error
        self._error_is_known = not fusible.obstacle(error, fusible.ERRORS)
        blas = Blas(forward.dtype, max(param.size for param in rule.params))
        moms = rule.moms if isinstance(rule, MomentumLearningRule) else [None] * len(rule.params)
        pairs = zip(rule.params, moms, strict=True)
        states = (Parameter(param, mom, rule, blas) for param, mom in pairs)
        self._updates = {
            index: unit.update(unit.layer, next(states), next(states), blas)
            for index, unit in enumerate(forward.units)
            if unit.update is not None
        }
        self._lowest = min(self._updates)  # no layer below needs a gradient

    def train(self, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Takes one step per batch.

        BLAS has one thread meanwhile: products this small lose time with more, most of all where
        NumPy and SciPy, which have a BLAS each, take turns.

        Args:
            batches: Inputs and targets, as a step takes them.
        """
        with _threadpools().limit(limits=1, user_api="blas"):
            for inputs, targets in batches:
                self(inputs, targets)

    def __call__(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Takes one step.

        Args:
            inputs: Inputs of the model, `(batch_size, ...)`.
            targets: Targets of the batch, `(batch_size, output_dim)`.

        Raises:
            ValueError: If a shape does not fit.
        """
        units = self._forward.units
        activations = self._forward(inputs)
        grads = self._grads_of_error(activations[-1], targets)
        owns_grads = False  # True once grads may be overwritten in place
        changes = []
        for index in range(len(units) - 1, self._lowest - 1, -1):
            inputs, outputs = activations[index], activations[index + 1]
            if index in self._updates:
                changes.append((self._updates[index], inputs, grads))
            if index > self._lowest:
                grads, owns_grads = units[index].backward(inputs, outputs, grads, owns_grads)
        # The backward pass reads all weights, so no update comes before its end.
        for update, inputs, grads in changes:
            update(inputs, grads)

    def _grads_of_error(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Gradients with respect to the outputs of the model, of their shape and dtype."""
        if (
            compiled.enabled()
            and self._error_is_known
            and isinstance(targets, np.ndarray)
            and outputs.ndim == 2
            and targets.shape == outputs.shape
            and targets.dtype in fusible.FLOATS
            and targets.flags.c_contiguous
        ):
            grads = np.empty_like(outputs)
            step_kernels.softmax_grads(outputs, targets, grads)
            return grads
        return np.ascontiguousarray(self._error.grad(outputs, targets), self._forward.dtype)


@functools.cache
def _threadpools() -> threadpoolctl.ThreadpoolController:
    """The libraries with threads; looking for them takes longer than a step."""
    return threadpoolctl.ThreadpoolController()


# ---- layers as the fused step computes them ----------------------------------------------------


class _Unit:
    """A layer computed by its own methods, with results in C order and the model's dtype.

    Args:
        layer: The layer.
        dtype: float32 or float64.
        below: The unit that computes the layer below, or `None`.
    """

    update: type[Update] | None = None  # for a layer with parameters

    def __init__(self, layer: Layer, dtype: np.dtype, below: "_Unit | None") -> None:
        self.layer, self.dtype = layer, dtype

    def rectify(self) -> bool:
        """Asks the unit to set its negative outputs to 0 for a ReLU above; whether it does."""
        return False

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self.layer.fprop(inputs))

    def backward(
        self, inputs: np.ndarray, outputs: np.ndarray, grads: np.ndarray, owns_grads: bool
    ) -> tuple[np.ndarray, bool]:
        """As `bprop`; also takes and returns whether the gradients may be overwritten in place."""
        return np.ascontiguousarray(self.layer.bprop(inputs, outputs, grads), self.dtype), True


class _Reshape(_Unit):
    def backward(self, inputs, outputs, grads, owns_grads):
        return super().backward(inputs, outputs, grads, owns_grads)[0], owns_grads  # a view


class _Relu(_Unit):
    def __init__(self, layer, dtype, below):
        super().__init__(layer, dtype, below)
        self._done_below = below is not None and below.rectify()

    def forward(self, inputs):
        return inputs if self._done_below else super().forward(inputs)

    def backward(self, inputs, outputs, grads, owns_grads):
        if not owns_grads:
            return super().backward(inputs, outputs, grads, owns_grads)
        if compiled.enabled():
            step_kernels.mask(grads.reshape(-1), outputs.reshape(-1))
        else:
            grads *= outputs > 0
        return grads, True


class _WithParameters(_Unit):
    """A layer with parameters, by its own methods; does the work of a ReLU above it."""

    update = Update
    _rectify = False

    def rectify(self):
        self._rectify = True
        return True

    def forward(self, inputs):
        outputs = super().forward(inputs)
        return np.maximum(outputs, 0, out=outputs) if self._rectify else outputs


class _Affine(_WithParameters):
    """An affine layer; the next batch overwrites its outputs and the gradients of its inputs."""

    update = AffineUpdate

    def __init__(self, layer, dtype, below):
        super().__init__(layer, dtype, below)
        self._outputs = np.empty((0, layer.output_dim), dtype)
        self._grads_wrt_inputs = np.empty((0, layer.input_dim), dtype)

    def forward(self, inputs):
        layer = self.layer
        if inputs.shape[1:] != (layer.input_dim,):
            return layer.fprop(inputs)  # which refuses them
        if len(self._outputs) != len(inputs):
            self._outputs = np.empty((len(inputs), layer.output_dim), self.dtype)
        outputs = np.dot(inputs, layer.weights.T, out=self._outputs)
        if compiled.enabled():
            step_kernels.add_biases(outputs, layer.biases, self._rectify)
            return outputs
        outputs += layer.biases
        return np.maximum(outputs, 0, out=outputs) if self._rectify else outputs

    def backward(self, inputs, outputs, grads, owns_grads):
        if len(self._grads_wrt_inputs) != len(grads):
            self._grads_wrt_inputs = np.empty((len(grads), self.layer.input_dim), self.dtype)
        return np.dot(grads, self.layer.weights, out=self._grads_wrt_inputs), True


_UNITS: dict[type[Layer], type[_Unit]] = {
    AffineLayer: _Affine,
    ConvolutionalLayer: _WithParameters,
    MaxPooling2DLayer: _Unit,
    ReluLayer: _Relu,
    ReshapeLayer: _Reshape,
    SigmoidLayer: _Unit,
    TanhLayer: _Unit,
}
