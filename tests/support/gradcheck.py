"""Gradients checked by projection on random directions.

A function from an array to a number is evaluated a small step before and a small step after a point
on a random line through it. The difference, divided by the distance, must equal the projection of
the gradient on that line. In float64 the two agree to about ten digits, so a relative error of 1e-6
leaves room for rounding and none for a wrong factor. Points must be away from kinks, where there is
no gradient to compare with.
"""

import numpy as np

from mlpcw.layers import LayerWithParameters

STEP = 1e-5
TOLERANCE = 1e-6
NUM_PROJECTIONS = 3


def check_gradient(function, gradient, point, seed=1):
    """Checks the gradient of a function from an array to a number.

    Args:
        function: Called with an array of the shape of `point`, returns a number.
        gradient: The array to check, the alleged gradient of `function` at `point`.
        point: Array of any shape, float64.
        seed: Fixes the directions.

    Raises:
        AssertionError: If the shape or the dtype is wrong, or a projection differs.
    """
    assert point.dtype == np.float64, f"the point must be float64, got {point.dtype}"
    assert gradient.dtype == np.float64, f"the gradient must be float64, got {gradient.dtype}"
    assert gradient.shape == point.shape, f"gradient {gradient.shape}, point {point.shape}"
    rng = np.random.RandomState(seed)
    for _ in range(NUM_PROJECTIONS):
        direction = rng.normal(size=point.shape)
        after, before = function(point + STEP * direction), function(point - STEP * direction)
        slope = (after - before) / (2 * STEP)
        projection = np.sum(gradient * direction)
        # The norm is the usual size of the projection: what is left where the terms cancel is not
        # blown up.
        scale = max(abs(slope), abs(projection), np.linalg.norm(gradient * direction))
        error = abs(slope - projection) / scale if scale > 0 else 0.0
        # Not "error >= TOLERANCE": NaN has to fail.
        assert error < TOLERANCE, f"slope {slope}, gradient {projection}: relative error {error}"


def check_layer(layer, inputs, seed=2):
    """Checks `bprop` and, where there are parameters, `grads_wrt_params` with penalties."""
    outputs = layer.fprop(inputs)
    weights = np.random.RandomState(seed).normal(size=outputs.shape)
    check_gradient(
        lambda moved: np.sum(weights * layer.fprop(moved)),
        layer.bprop(inputs, outputs, weights),
        inputs,
    )
    if isinstance(layer, LayerWithParameters):
        check_params(
            layer,
            lambda: np.sum(weights * layer.fprop(inputs)) + layer.params_penalty(),
            layer.grads_wrt_params(inputs, weights),
        )


def check_model(model, error, inputs, targets):
    """Checks the gradient of error plus penalties with respect to all parameters."""
    activations = model.fprop(inputs)
    grads_wrt_outputs = error.grad(activations[-1], targets)
    check_params(
        model,
        lambda: error(model.fprop(inputs)[-1], targets) + model.params_penalty(),
        model.grads_wrt_params(activations, grads_wrt_outputs),
    )


def check_error(error, outputs, targets):
    """Checks `error.grad`."""
    check_gradient(lambda moved: error(moved, targets), error.grad(outputs, targets), outputs)


def check_penalty(penalty, parameter):
    """Checks `penalty.grad`."""
    check_gradient(penalty, penalty.grad(parameter), parameter)


def check_params(holder, value, grads):
    """Checks gradients with respect to the parameters of a layer or a model, one at a time.

    Args:
        holder: What has `params`, which are the same afterwards as before.
        value: Called without arguments, returns the number whose gradient is checked.
        grads: The alleged gradients, one for each of `holder.params`.
    """
    params = holder.params
    assert len(grads) == len(params), f"{len(grads)} gradients for {len(params)} parameters"
    for index, grad in enumerate(grads):

        def moved_value(moved, index=index):
            holder.params = [*params[:index], moved, *params[index + 1 :]]
            return value()

        try:
            check_gradient(moved_value, grad, params[index])
        finally:
            holder.params = params
