"""Single precision stays single: no array on the hot path is widened to float64.

A watch has two eyes. The parameters are a kind of array that reports what NumPy does with it and
passes its kind on to the results; and Python's profiler shows every local variable and returned
value of the library's own functions, those of arrays that were made anew, without the first eye. It
does not report the inputs and targets, which come in as float64 here.
"""

import sys

import numpy as np
import pytest

from mlpcw import compiled, conv, errors, learning_rules, penalties
from mlpcw.data_providers import OneOfKDataProvider
from mlpcw.errors import CrossEntropyError, SumOfSquaredDiffsError
from mlpcw.initialisers import ConstantInit, GlorotUniformInit, UniformInit
from mlpcw.layers import (
    AffineLayer,
    ConvolutionalLayer,
    DropoutLayer,
    MaxPooling2DLayer,
    MaxPoolingLayer,
    RadialBasisFunctionLayer,
    ReluLayer,
    ReshapeLayer,
    SigmoidLayer,
    SoftmaxLayer,
    TanhLayer,
)
from mlpcw.learning_rules import (
    GradientDescentLearningRule,
    MomentumLearningRule,
    NesterovMomentumLearningRule,
)
from mlpcw.models import MultipleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty

WATCHED = (
    *("mlpcw.layers", "mlpcw.conv", "mlpcw.models", "mlpcw.errors", "mlpcw.penalties"),
    *("mlpcw.learning_rules", "mlpcw.optimisers"),
)
"""Modules, and packages with all of theirs."""


class Watched(np.ndarray):
    """An array that reports what NumPy's elementwise functions, sums and products do with it."""

    watch = None

    def __array_ufunc__(self, ufunc, method, *operands, out=None, **options):
        plain = [o.view(np.ndarray) if isinstance(o, Watched) else o for o in operands]
        if out is not None:
            options["out"] = tuple(o.view(np.ndarray) for o in out)
        results = getattr(ufunc, method)(*plain, **options)
        if Watched.watch is not None:
            for array in (*operands, results):
                Watched.watch.look_at(array, f"numpy.{ufunc.__name__}")
        return results.view(Watched) if isinstance(results, np.ndarray) else results


class Watch:
    """Collects what is float64 while it is active, in a `with` block.

    The arrays in the list `allowed` may be; the list may grow.
    """

    def __init__(self, monkeypatch, allowed):
        self.allowed = allowed
        self.found = []
        # The library takes arguments with `numpy.asarray`, which would take off the disguise.
        monkeypatch.setattr(np, "asarray", np.asanyarray)

    def __enter__(self):
        Watched.watch, self.outer = self, sys.getprofile()
        sys.setprofile(self.profile)
        return self

    def __exit__(self, *_):
        sys.setprofile(self.outer)
        Watched.watch = None

    def profile(self, frame, event, returned):
        if event == "return" and str(frame.f_globals.get("__name__")).startswith(WATCHED):
            where = f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}"
            self.look_at(returned, f"returned by {where}")
            for name, value in frame.f_locals.items():
                self.look_at(value, f"{name} in {where}")

    def look_at(self, value, where):
        if isinstance(value, list | tuple):
            for item in value:
                self.look_at(item, where)
        elif (
            isinstance(value, np.ndarray | np.generic)
            and value.dtype == np.float64
            and not any(value is allowed for allowed in self.allowed)
        ):
            self.found.append(where)


def watched(array):
    return array.astype(np.float32).view(Watched)


def networks(penalty):
    """Networks that between them hold every layer, each with the shape of its inputs."""
    rng = np.random.RandomState(81)
    glorot, kernels, zeros = (
        GlorotUniformInit(rng=rng),
        UniformInit(-0.5, 0.5, rng),
        ConstantInit(0),
    )
    return {
        "dense": (
            [
                DropoutLayer(rng, 0.9),
                AffineLayer(16, 12, glorot, zeros, penalty, penalty),
                ReluLayer(),
                AffineLayer(12, 12, glorot, zeros, penalty),
                MaxPoolingLayer(2),
                AffineLayer(6, 6, glorot, zeros, penalty),
                SigmoidLayer(),
                DropoutLayer(rng, 0.9, share_across_batch=False),
                AffineLayer(6, 3, glorot, zeros, penalty),
                SoftmaxLayer(),
            ],
            16,
        ),
        "convolutional": (
            [
                ReshapeLayer((1, 6, 6)),
                ConvolutionalLayer(1, 2, 6, 6, 3, 3, kernels, zeros, penalty, penalty),
                TanhLayer(),
                ConvolutionalLayer(2, 2, 4, 4, 3, 3, kernels, zeros, penalty),
                MaxPooling2DLayer(2),
                ReshapeLayer(),
                AffineLayer(2, 3, glorot, zeros, penalty),
                SigmoidLayer(),
            ],
            36,
        ),
        "radial basis functions": (
            [RadialBasisFunctionLayer(3, [(0, 1)] * 2), AffineLayer(18, 3, glorot, zeros, penalty)],
            2,
        ),
    }


NETWORKS = list(networks(None))
METHODS = sorted(set(conv.METHODS) - (set() if compiled.enabled() else conv.COMPILED))
PENALTIES = [None, L1Penalty(1e-3), L2Penalty(1e-2), L1L2Penalty(1e-3, 1e-2)]


def public(module, name):
    """The classes of a module whose names end in a name, but not the contract of that name."""
    return [value for key, value in vars(module).items() if key.endswith(name) and key != name]


def widened(monkeypatch, network="dense", penalty=None, error=None, make_rule=None, spoil=None):
    """Where a float32 model with float64 inputs and targets computes in float64, in two updates."""
    error, rule = error or SumOfSquaredDiffsError(), (make_rule or GradientDescentLearningRule)()
    layers, size = networks(penalty)[network]
    model = MultipleLayerModel(layers).astype(np.float32)
    inputs = np.random.RandomState(82).uniform(0.1, 0.9, size=(4, size))
    targets = np.eye(3)[[0, 1, 2, 1]]
    assert inputs.dtype == targets.dtype == np.float64
    with Watch(monkeypatch, [inputs, targets]) as watch:
        model.params = [watched(param) for param in model.params]
        rule.initialise(model.params)
        if spoil is not None:
            spoil(model, rule)
        for _ in range(2):
            activations = model.fprop(inputs)
            value = error(activations[-1], targets) + model.params_penalty()
            grads_wrt_outputs = error.grad(activations[-1], targets)
            rule.update_params(model.grads_wrt_params(activations, grads_wrt_outputs))
        model.fprop(inputs, stochastic=False)
    watch.look_at([value, *model.params], "result")
    return watch.found


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_every_layer_with_every_penalty(monkeypatch, network, penalty):
    assert widened(monkeypatch, network, penalty) == []


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_convolution(monkeypatch, method):
    monkeypatch.setattr(conv, "choose_method", lambda *_: method)
    assert widened(monkeypatch, "convolutional", L2Penalty(1e-2)) == []


@pytest.mark.parametrize("error", public(errors, "Error"))
def test_every_error(monkeypatch, error):
    assert widened(monkeypatch, error=error()) == []


@pytest.mark.parametrize("make_rule", public(learning_rules, "LearningRule"))
def test_every_learning_rule(monkeypatch, make_rule):
    assert widened(monkeypatch, penalty=L1L2Penalty(1e-3, 1e-2), make_rule=make_rule) == []


def test_numbers_of_numpy_that_are_set_later(monkeypatch):
    """As a scheduler sets them that takes `numpy.exp` of something."""
    penalty, combined = L1Penalty(1e-3), L1L2Penalty(1e-3, 1e-2)
    penalty.coefficient = combined.l1_coefficient = combined.l2_coefficient = np.float64(1e-2)

    def change(model, rule):
        rule.learning_rate, rule.mom_coeff = np.float64(0.1), np.float64(0.5)
        model.layers[0].incl_prob = np.float64(0.7)
        model.layers[1].weights_penalty, model.layers[1].biases_penalty = penalty, combined

    assert widened(monkeypatch, make_rule=NesterovMomentumLearningRule, spoil=change) == []


def test_an_epoch_of_training(monkeypatch):
    """With batches of float64, as a provider of classes hands them out."""
    handed_out = []

    class NotingProvider(OneOfKDataProvider):
        def next(self):
            batch = super().next()
            handed_out.extend(batch)
            return batch

    layers, size = networks(L1L2Penalty(1e-3, 1e-2))["dense"]
    model = MultipleLayerModel(layers).astype(np.float32)
    inputs = np.random.RandomState(83).uniform(0.1, 0.9, size=(9, size))
    train = NotingProvider(inputs, np.arange(9) % 3, 3, rng=np.random.RandomState(84))
    with Watch(monkeypatch, handed_out) as watch:
        model.params = [watched(param) for param in model.params]
        optimiser = Optimiser(model, CrossEntropyError(), MomentumLearningRule(0.1), train)
        optimiser.do_training_epoch()
    assert [array.dtype for array in handed_out] == [np.float64] * 6
    assert watch.found == []


# ---- the watch itself -------------------------------------------------------------------------


def test_the_watch_sees_wide_penalties(monkeypatch):
    penalty = L2Penalty(1e-2)
    penalty._coefficient = np.float64(1e-2)
    found = widened(monkeypatch, penalty=penalty)
    assert "returned by mlpcw.penalties.L2Penalty.grad" in found
    monkeypatch.setattr(penalties.L1Penalty, "grad", lambda self, p: 1e-3 * np.sign(p, dtype=float))
    assert "numpy.sign" in widened(monkeypatch, penalty=L1Penalty(1e-3))


def test_the_watch_sees_targets_that_widen_the_error(monkeypatch):
    monkeypatch.setattr(errors, "_fitting", lambda *outputs_and_targets: outputs_and_targets)
    found = widened(monkeypatch)
    assert "returned by mlpcw.errors.SumOfSquaredDiffsError._grad" in found
    assert "numpy.subtract" in found


def test_the_watch_sees_wide_numbers_of_a_learning_rule(monkeypatch):
    def widen_rate(model, rule):
        rule._learning_rate = np.float64(0.1)

    def widen_momentum(model, rule):
        rule.moms = [np.zeros(param.shape) for param in rule.params]

    assert "numpy.multiply" in widened(monkeypatch, spoil=widen_rate)
    found = widened(monkeypatch, make_rule=MomentumLearningRule, spoil=widen_momentum)
    assert "mom in mlpcw.learning_rules.MomentumLearningRule.update_params" in found


@pytest.mark.parametrize("method", METHODS)
def test_the_watch_sees_into_a_convolution(monkeypatch, method):
    """A kernel is widened on its way in and the outputs are narrowed again on their way out."""
    module = conv.METHODS[method]
    narrow = module.convolve
    monkeypatch.setattr(module, "convolve", lambda x, k: np.float32(narrow(x, np.float64(k))))
    monkeypatch.setattr(conv, "choose_method", lambda *_: method)
    found = widened(monkeypatch, "convolutional")
    assert f"kernels in mlpcw.conv.{method}.convolve" in found
    assert "result" not in found


def test_the_watch_sees_wide_activations(monkeypatch):
    monkeypatch.setattr(
        SigmoidLayer, "fprop", lambda self, x: (1.0 / (1.0 + np.exp(-np.float64(x)))).astype("f4")
    )
    assert "numpy.exp" in widened(monkeypatch)
