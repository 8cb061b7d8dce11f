"""The fused step: the same update as the plain step; what takes the plain step, and why."""

import itertools
import logging
import tracemalloc

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given
from hypothesis import strategies as st
from support import (
    IN_PLACE,
    LAYOUTS,
    agree,
    changed_only,
    dtypes,
    examples,
    lay,
    looks,
    seeds,
    unchanged,
)

from mlpcw import compiled, fused, fusible
from mlpcw.data_providers import DataProvider
from mlpcw.errors import CrossEntropyError, CrossEntropySoftmaxError, SumOfSquaredDiffsError
from mlpcw.initialisers import ConstantInit, GlorotUniformInit, UniformInit
from mlpcw.layers import (
    AffineLayer,
    ConvolutionalLayer,
    DropoutLayer,
    MaxPooling2DLayer,
    ReluLayer,
    ReshapeLayer,
    SigmoidLayer,
    SoftmaxLayer,
    TanhLayer,
)
from mlpcw.learning_rules import (
    AdamLearningRule,
    GradientDescentLearningRule,
    MomentumLearningRule,
    NesterovMomentumLearningRule,
)
from mlpcw.models import MultipleLayerModel, SingleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty

TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


class DoubledAffineLayer(AffineLayer):
    def fprop(self, inputs):
        return 2 * super().fprop(inputs)


class OtherReluLayer(ReluLayer):
    pass


class OtherConvolutionalLayer(ConvolutionalLayer):
    pass


class OtherModel(MultipleLayerModel):
    pass


class OtherRule(MomentumLearningRule):
    pass


class HalvedL2Penalty(L2Penalty):
    def grad(self, parameter):
        return 0.5 * super().grad(parameter)


PENALTIES = {
    "none": None,
    "L1": L1Penalty(1e-2),
    "L2": L2Penalty(1e-1),
    "L1 + L2": L1L2Penalty(1e-2, 1e-1),
    "zero": L1Penalty(0),
    "own": HalvedL2Penalty(0.3),
}
RULES = {
    "momentum": lambda: MomentumLearningRule(0.05, 0.9),
    "no momentum": lambda: MomentumLearningRule(0.05, 0),
    "gradient descent": lambda: GradientDescentLearningRule(0.05),
}


@pytest.fixture(params=[True, False], ids=["compiled", "NumPy"], autouse=True)
def ways(request, monkeypatch):
    """Each test runs with compiled kernels and with their NumPy twins."""
    if request.param and not compiled.enabled():
        pytest.skip("no compiler")
    monkeypatch.setattr(compiled, "enabled", lambda: request.param)


def networks(weights=None, biases=None):
    """Functions that make the layers of networks from 16 inputs to 3 outputs."""
    rng = np.random.RandomState(301)
    glorot, draw = GlorotUniformInit(rng=rng), UniformInit(-0.5, 0.5, rng)

    def affine(input_dim, output_dim):
        return AffineLayer(input_dim, output_dim, glorot, draw, weights, biases)

    def convolution(num_inputs, num_outputs, size, kernel_size):
        dims = num_inputs, num_outputs, size, size, kernel_size, kernel_size
        return ConvolutionalLayer(*dims, draw, draw, weights, biases)

    return {
        "one": lambda: [affine(16, 3)],
        "relu": lambda: [affine(16, 8), ReluLayer(), affine(8, 8), ReluLayer(), affine(8, 3)],
        "relu on top": lambda: [affine(16, 8), ReluLayer(), affine(8, 3), ReluLayer()],
        "relu below": lambda: [ReluLayer(), affine(16, 3)],
        "two relus": lambda: [affine(16, 8), ReluLayer(), ReluLayer(), affine(8, 3)],
        "affine on affine": lambda: [affine(16, 8), affine(8, 3)],
        "sigmoid": lambda: [affine(16, 8), SigmoidLayer(), affine(8, 3)],
        "tanh": lambda: [affine(16, 8), TanhLayer(), affine(8, 3)],
        "reshape": lambda: [
            affine(16, 12),
            ReshapeLayer((3, 4)),
            ReluLayer(),
            ReshapeLayer(),
            affine(12, 3),
        ],
        "convolution": lambda: [
            ReshapeLayer((1, 4, 4)),
            convolution(1, 2, 4, 3),
            ReluLayer(),
            MaxPooling2DLayer(2),
            ReshapeLayer(),
            affine(2, 3),
        ],
        "two convolutions": lambda: [
            ReshapeLayer((1, 4, 4)),
            convolution(1, 2, 4, 2),
            ReluLayer(),
            convolution(2, 3, 3, 2),
            TanhLayer(),
            ReshapeLayer(),
            ReluLayer(),
            affine(12, 3),
        ],
    }


KINDS = tuple(networks())


def model(dtype="float64", kind="relu", **penalties):
    return MultipleLayerModel(networks(**penalties)[kind]()).astype(dtype)


def batches(num=5, batch_size=6):
    rng = np.random.RandomState(302)
    return [
        (rng.normal(size=(batch_size, 16)), np.eye(3)[rng.randint(3, size=batch_size)])
        for _ in range(num)
    ]


def optimiser(model, rule=None, error=None, data=None, **options):
    error, rule = error or CrossEntropySoftmaxError(), rule or MomentumLearningRule(0.05, 0.9)
    return Optimiser(model, error, rule, batches() if data is None else data, **options)


def plain_step(monkeypatch):
    monkeypatch.setattr(fused, "make_step", lambda *_: None)
    monkeypatch.setattr(fused, "make_forward", lambda *_: None)


def assert_same_update(monkeypatch, make, num_epochs=1):
    """Trains what `make()` returns with both steps and compares parameters and momenta."""
    taken = make()
    before = [np.copy(param) for param in taken.model.params]
    assert fused.make_step(taken.model, taken.error, taken.learning_rule) is not None
    plain = make()
    for _ in range(num_epochs):
        taken.do_training_epoch()
    with monkeypatch.context() as patch:
        plain_step(patch)
        for _ in range(num_epochs):
            plain.do_training_epoch()
    for name in ("params", "moms"):
        arrays = getattr(taken.learning_rule, name, [])
        expected = getattr(plain.learning_rule, name, [])
        for array, other in zip(arrays, expected, strict=True):
            tolerance = TOLERANCES[array.dtype.name] * np.abs(other).max()
            np.testing.assert_allclose(array, other, rtol=0, atol=tolerance)
    assert all(np.any(old != new) for old, new in zip(before, taken.model.params, strict=True)), (
        "nothing was learnt"
    )


# ---- the same update --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("kind", KINDS)
def test_same_update_as_the_general_path(monkeypatch, kind, penalty, rule, dtype):
    def make():
        penalties = dict(weights=PENALTIES[penalty], biases=PENALTIES[penalty])
        return optimiser(model(dtype, kind=kind, **penalties), RULES[rule]())

    assert_same_update(monkeypatch, make, num_epochs=3)


class OwnError(CrossEntropySoftmaxError):
    """An error whose gradient has a layout of its own, and is float64."""

    def __init__(self, look):
        self.look = look

    def grad(self, outputs, targets):
        return lay(super().grad(outputs, targets), self.look)


@pytest.mark.parametrize("kind", KINDS)
@examples(15)
@given(
    seed=seeds,
    dtype=dtypes,
    penalty=st.sampled_from(list(PENALTIES.values())),
    rule=st.sampled_from(list(RULES.values())),
    kept=st.sampled_from([["C", "Fortran"], ["C", "unaligned"], IN_PLACE]).flatmap(
        lambda layouts: looks(8, layouts=layouts)
    ),
    handed=looks(2, dtypes | st.just("u1"), ["C", "Fortran", "apart", "read-only"]),
    grads_look=looks(1, st.just("f8"), list(LAYOUTS)) | st.none(),
)
def test_same_update_in_arrays_of_any_layout(
    monkeypatch, kind, seed, dtype, penalty, rule, kept, handed, grads_look
):
    """Whichever step is taken, and whatever the layout and the dtype of the batches."""
    rng, data = np.random.default_rng(seed), []
    for batch_size in rng.integers(1, 8, size=4):
        inputs = np.abs(rng.normal(size=(batch_size, 16)))
        targets = np.eye(3)[rng.integers(3, size=batch_size)]
        data.append([lay(*pair) for pair in zip((inputs, targets), handed, strict=True)])

    def make(layouts):
        made = model(dtype, kind=kind, weights=penalty, biases=penalty)
        made.params = [
            lay(param, (layout, dtype, 1))
            for param, layout in zip(made.params, layouts, strict=False)
        ]
        return optimiser(made, rule(), grads_look and OwnError(*grads_look), data=data)

    found, expected = make([layout for layout, *_ in kept]), make(["C"] * len(kept))
    params, moms = found.model.params, list(getattr(found.learning_rule, "moms", []))
    with unchanged(*itertools.chain(*data)), changed_only(*params):
        found.do_training_epoch()
    with monkeypatch.context() as patch:
        plain_step(patch)
        expected.do_training_epoch()
    rule, expected_rule = found.learning_rule, expected.learning_rule
    for arrays in (found.model.params, rule.params):
        assert all(a is b for a, b in zip(arrays, params, strict=True))
    assert all(a is b for a, b in zip(getattr(rule, "moms", []), moms, strict=True))
    agree(params, expected.model.params, dtype)
    agree(moms, getattr(expected_rule, "moms", []), dtype)


def test_the_sign_of_zero_is_zero(monkeypatch):
    def make():
        made = model(kind="one", weights=L1Penalty(0.5))
        made.params[0][:, ::2] = 0
        made.params[0][:, 2] = -0.0
        made.params[0][:, 3] = -5e-324
        return optimiser(made, data=[(np.zeros((2, 16)), np.eye(3)[:2])])

    assert_same_update(monkeypatch, make)
    made = make()
    made.do_training_epoch()
    assert np.all(made.model.params[0][:, ::2] == 0)


@pytest.mark.parametrize("error", [SumOfSquaredDiffsError(), CrossEntropyError()])
def test_any_error(monkeypatch, error):
    """With positive outputs, for the logarithm of the cross-entropy."""

    def make():
        made = model(kind="one")
        for param in made.params:
            np.abs(param, out=param)
        return optimiser(made, error=error, data=[(np.abs(inputs), targets)])

    inputs, targets = batches(1)[0]
    assert_same_update(monkeypatch, make)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_momentum_does_not_become_subnormal(dtype):
    inputs, targets = batches(1)[0]
    inputs[:, 0] = 0
    made = optimiser(model(dtype, kind="one"), data=[(inputs, targets)] * 1000)
    weights = made.learning_rule.moms[0]
    weights[:, 0] = 1e20 * np.finfo(dtype).tiny
    made.do_training_epoch()
    assert np.all(weights[:, 0] == 0)
    assert np.any(weights != 0)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_nothing_else_becomes_zero(dtype):
    made = optimiser(
        model(dtype, kind="one"),
        MomentumLearningRule(0.05, 0.5),
        data=[(np.zeros((2, 16)), np.eye(3)[:2])],
    )
    moms, limit = made.learning_rule.moms[0], np.finfo(dtype).tiny / np.finfo(dtype).eps
    moms[:2], moms[2] = 3 * limit, 0.9 * limit
    made.do_training_epoch()
    np.testing.assert_array_equal(moms / limit, [[1.5] * 16] * 2 + [[0] * 16])


def test_no_gradient_is_propagated_below_the_lowest_parameters(monkeypatch):
    made = optimiser(model(kind="convolution"))
    monkeypatch.setattr(ConvolutionalLayer, "bprop", None)
    made.do_training_epoch()


# ---- after any change between epochs ----------------------------------------------------------


class WatchedProvider(DataProvider):
    """Calls `before_batch` before each batch."""

    before_batch = staticmethod(lambda: None)

    def next(self):
        self.before_batch()
        return super().next()


CHANGES = {
    "nothing": lambda made, rng: None,
    "set_batch_size": lambda made, rng: setattr(
        made.train_dataset, "batch_size", one_of(rng, 1, 4, 5, 12)
    ),
    "set_data": lambda made, rng: setattr(
        made.train_dataset, "inputs", one_of(rng, 0.5, np.float32(2)) * made.train_dataset.inputs
    ),
    "set_error": lambda made, rng: setattr(
        made, "error", one_of(rng, SumOfSquaredDiffsError(), CrossEntropySoftmaxError())
    ),
    "to_float32": lambda made, rng: made.model.astype(np.float32),
    "to_float64": lambda made, rng: made.model.astype(np.float64),
    "initialise_rule": lambda made, rng: made.learning_rule.initialise(made.model.params),
    "reset_rule": lambda made, rng: made.learning_rule.reset(),
    # As a notebook that makes all optimisers with one rule before it trains the first:
    "take_rule_elsewhere": lambda made, rng: Optimiser(
        model(kind="one"), made.error, made.learning_rule, []
    ),
}


def change(function):
    """A change of an optimiser, with random numbers for its choices."""
    CHANGES[function.__name__] = function
    return function


def one_of(rng, *values):
    return values[rng.randint(len(values))]


def penalised(made, rng):
    """A layer with parameters, and the names of its weights and of its penalties."""
    layer = one_of(rng, *[layer for layer in made.model.layers if hasattr(layer, "params")])
    weights = "weights" if isinstance(layer, AffineLayer) else "kernels"
    return layer, weights, one_of(rng, f"{weights}_penalty", "biases_penalty")


@change
def set_penalty(made, rng):
    layer, _, name = penalised(made, rng)
    penalties = L1Penalty(0.02), L2Penalty(0.3), L1L2Penalty(0.02, 0.3), HalvedL2Penalty(0.3)
    setattr(layer, name, one_of(rng, None, *penalties))


@change
def set_coefficient(made, rng):
    layer, _, name = penalised(made, rng)
    penalty = L1L2Penalty(0.01, 0.1)
    setattr(layer, name, penalty)
    made.do_training_epoch()
    penalty.l1_coefficient, penalty.l2_coefficient = np.float64(0.05), np.float32(0.5)


@change
def replace_gradient_of_penalty(made, rng):
    layer, _, name = penalised(made, rng)
    penalty = L2Penalty(0.1)
    penalty.grad = lambda parameter: 3 * np.tanh(parameter)
    setattr(layer, name, penalty)


def laid_out(array, rng):
    """A copy that lies in memory otherwise."""
    return lay(array, (one_of(rng, *IN_PLACE), array.dtype, 1))


@change
def set_array(made, rng):
    layer, weights, _ = penalised(made, rng)
    name = one_of(rng, weights, "biases")
    setattr(layer, name, laid_out(getattr(layer, name) * 0.9, rng))


@change
def set_params(made, rng):
    holder = one_of(rng, made.model, penalised(made, rng)[0])
    holder.params = [laid_out(param, rng) for param in holder.params]


@change
def share_memory(made, rng):
    params = made.model.params
    first, second = rng.permutation(len(params))[:2]
    memory = 0.1 * rng.normal(size=max(params[first].size, params[second].size))
    memory = memory.astype(params[0].dtype)
    params[first] = memory[: params[first].size].reshape(params[first].shape)
    params[second] = memory[-params[second].size :].reshape(params[second].shape)
    made.model.params = params


@change
def set_momenta(made, rng):
    rule = made.learning_rule
    if hasattr(rule, "moms"):
        rule.moms = [laid_out(mom, rng) for mom in rule.moms]


@change
def set_rule(made, rng):
    made.learning_rule = one_of(
        rng,
        MomentumLearningRule(0.03, 0.5),
        GradientDescentLearningRule(0.03),
        AdamLearningRule(0.003),
        NesterovMomentumLearningRule(0.03, 0.5),
        OtherRule(0.03, 0.5),
    )


@change
def set_rates(made, rng):
    made.learning_rule.learning_rate = one_of(rng, 0.02, np.float64(0.03), np.float32(0.04))
    if hasattr(made.learning_rule, "mom_coeff"):
        made.learning_rule.mom_coeff = one_of(rng, 0, 0.5, np.float64(0.8))


@change
def replace_update(made, rng):
    rule, update = made.learning_rule, made.learning_rule.update_params
    rule.update_params = lambda grads: update([np.clip(grad, -0.05, 0.05) for grad in grads])


@change
def swap_layer(made, rng):
    layers = made.model.layers
    place = rng.randint(len(layers))
    if isinstance(layers[place], AffineLayer):
        kind = one_of(rng, AffineLayer, DoubledAffineLayer)
        layer = kind(layers[place].input_dim, layers[place].output_dim, UniformInit(-0.3, 0.3, rng))
        layer.params = [param.astype(made.model.params[0].dtype) for param in layer.params]
        layers[place] = layer
    elif isinstance(layers[place], ReluLayer | TanhLayer | SigmoidLayer):
        layers[place] = one_of(rng, ReluLayer, TanhLayer, SigmoidLayer, DropoutLayer)()
        layers[place].rng = np.random.RandomState(5)
    else:
        layers.append(one_of(rng, ReluLayer, SigmoidLayer)())


@change
def replace_method_of_layer(made, rng):
    layer = one_of(rng, *made.model.layers)
    fprop = layer.fprop
    layer.fprop = lambda inputs, **options: 0.9 * fprop(inputs, **options)


@change
def replace_gradient_of_error(made, rng):
    error = CrossEntropySoftmaxError()
    error.grad = lambda outputs, targets: (np.tanh(outputs) - targets) / len(outputs)
    made.error = error


@change
def change_during_the_epoch(made, rng):
    """Before each batch: penalty, coefficient and rates, as annealing does."""
    layer, _, name = penalised(made, rng)
    penalties = itertools.cycle([L2Penalty(0.1), None, L1Penalty(0.01), HalvedL2Penalty(0.1)])

    def before_batch():
        setattr(layer, name, next(penalties))
        made.learning_rule.learning_rate = max(0.01, 0.9 * made.learning_rule.learning_rate)

    made.train_dataset.before_batch = before_batch


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(sorted(TOLERANCES)),
    rule=st.sampled_from(sorted(RULES)),
    changes=st.lists(
        st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 2**16)), min_size=1, max_size=5
    ),
)
@examples(200)
def test_both_steps_train_the_same_model_after_any_change(kind, dtype, rule, changes):
    """The optimiser's own choice of step beside the plain step: the same after every epoch."""

    def make():
        rng = np.random.RandomState(303)
        inputs, targets = rng.normal(size=(12, 16)), np.eye(3)[rng.randint(3, size=12)]
        data = WatchedProvider(inputs, targets, 4, rng=np.random.RandomState(304))
        penalties = dict(weights=L1L2Penalty(0.01, 0.1), biases=L2Penalty(0.1))
        return optimiser(model(dtype, kind=kind, **penalties), RULES[rule](), data=data)

    def trained(made, change, seed):
        CHANGES[change](made, np.random.RandomState(seed))
        before = [np.copy(param) for param in made.model.params]
        made.do_training_epoch()
        params, updated = made.model.params, made.learning_rule.params
        assert all(np.shares_memory(a, b) for a, b in zip(params, updated, strict=True))
        assert any(np.any(a != b) for a, b in zip(params, before, strict=True))
        return list(made.get_epoch_stats().values())

    fused, plain = make(), make()
    tolerance = 10 * TOLERANCES[dtype]
    for change, seed in changes:
        statistics = trained(fused, change, seed)
        with pytest.MonkeyPatch.context() as patch:
            plain_step(patch)
            expected_statistics = trained(plain, change, seed)
        precisions = [TOLERANCES[param.dtype.name] for param in fused.model.params]
        tolerance = max(tolerance, 10 * max(precisions))  # what was float32 has lost digits
        np.testing.assert_allclose(statistics, expected_statistics, rtol=tolerance)
        for param, expected in zip(fused.model.params, plain.model.params, strict=True):
            assert param.dtype == expected.dtype
            atol = tolerance * np.abs(expected).max()
            np.testing.assert_allclose(param, expected, rtol=0, atol=atol)


# ---- statistics -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_monitor_may_keep_the_outputs(kind):
    kept = []

    def monitor(outputs, targets):
        kept.append((outputs, outputs.copy()))
        return 0.0

    optimiser(model(kind=kind), data_monitors={"keep": monitor}, data=batches()).eval_monitors(
        DataProvider(*batches(1, 12)[0], 4), ""
    )
    for outputs, as_they_were in kept:
        np.testing.assert_array_equal(outputs, as_they_were)


# ---- what takes the plain step ----------------------------------------------------------------


def with_layers(*layers):
    return optimiser(MultipleLayerModel(layers))


def with_own_method():
    made = optimiser(model())
    made.model.layers[0].fprop = made.model.layers[0].fprop
    return made


def with_arrays(change):
    made = model()
    made.params = [change(param) for param in made.params]
    return optimiser(made)


def with_other_arrays():
    made = optimiser(model())
    made.model.params = [param.copy() for param in made.model.params]
    return made


def with_momenta_in_c_order():
    made = optimiser(model())
    made.learning_rule.moms = [np.ascontiguousarray(mom) for mom in made.learning_rule.moms]
    return made


def with_read_only_array():
    made = optimiser(model())
    made.model.params[0].flags.writeable = False
    return made


def by_rule(rule):
    return lambda: optimiser(model(), rule)


AFFINE = AffineLayer(16, 16)
MODEL, RULE = "has no fused form: plain step and plain statistics", "has no fused form: plain step"
LIES = "an array of MultipleLayerModel or its momentum is read-only or lies in memory otherwise"
DTYPES = "parameters of MultipleLayerModel are not all float32 or all float64: plain step and plain"
PLAIN = [
    (f"DoubledAffineLayer {MODEL}", lambda: with_layers(DoubledAffineLayer(16, 3))),
    (f"OtherReluLayer {MODEL}", lambda: with_layers(AFFINE, OtherReluLayer())),
    (f"OtherConvolutionalLayer {MODEL}", lambda: with_layers(OtherConvolutionalLayer(*[1] * 6))),
    (f"DropoutLayer {MODEL}", lambda: with_layers(DropoutLayer(), AFFINE)),
    (f"SoftmaxLayer {MODEL}", lambda: with_layers(AFFINE, SoftmaxLayer())),
    (f"AffineLayer with its own fprop {MODEL}", with_own_method),
    (f"OtherModel {MODEL}", lambda: optimiser(OtherModel([AFFINE]))),
    (f"{DTYPES} statistics", lambda: with_layers(ReluLayer())),
    (
        f"{DTYPES} statistics",
        lambda: with_arrays(lambda p: p.astype("f4" if p.ndim == 1 else "f8")),
    ),
    (f"AdamLearningRule {RULE}", by_rule(AdamLearningRule())),
    (f"NesterovMomentumLearningRule {RULE}", by_rule(NesterovMomentumLearningRule())),
    (f"OtherRule {RULE}", by_rule(OtherRule())),
    (
        "MultipleLayerModel has a layer of more than 1048576 weights: plain step",
        lambda: with_layers(AffineLayer(2**11, 2**9 + 1)),
    ),
    (
        "MomentumLearningRule has other arrays than MultipleLayerModel: plain step",
        with_other_arrays,
    ),
    (
        "arrays of MultipleLayerModel share memory: plain step",
        lambda: with_layers(AFFINE, ReluLayer(), AFFINE),
    ),
    (f"{LIES}: plain step", lambda: with_arrays(lambda p: np.repeat(p, 2, axis=-1)[..., ::2])),
    (f"{LIES}: plain step", with_momenta_in_c_order),
    (f"{LIES}: plain step", with_read_only_array),
]


@pytest.fixture
def logged(monkeypatch, caplog):
    """What a process that has said nothing yet logs of the fused step."""
    monkeypatch.setattr(fusible, "_logged", set())
    caplog.set_level(logging.INFO, "mlpcw.fused")
    return lambda: [(r.name, r.levelname, r.getMessage()) for r in caplog.records]


@pytest.mark.parametrize(("reason", "make"), PLAIN)
def test_what_takes_the_plain_step_says_why_once(logged, reason, make):
    for _ in range(2):
        made = make()
        assert fused.make_step(made.model, made.error, made.learning_rule) is None
    assert logged() == [("mlpcw.fused", "INFO", reason)]


def test_an_own_error_and_an_own_penalty_are_told_once(logged):
    for _ in range(2):
        made = optimiser(model(weights=HalvedL2Penalty(0.3)), error=SumOfSquaredDiffsError())
        assert fused.make_step(made.model, made.error, made.learning_rule) is not None
    assert [message for _, _, message in logged()] == [
        "SumOfSquaredDiffsError has no fused form: its gradient is not compiled",
        "HalvedL2Penalty has no fused form: its gradient is a new array",
    ]


def test_a_known_model_says_nothing_and_nor_does_a_silent_logger(logged, caplog):
    made = optimiser(SingleLayerModel(AffineLayer(16, 3, biases_initialiser=ConstantInit(0))))
    assert fused.make_step(made.model, made.error, made.learning_rule) is not None
    plain = with_layers(DropoutLayer(), AFFINE)
    caplog.set_level(logging.WARNING, "mlpcw.fused")
    assert fused.make_forward(plain.model) is None
    assert logged() == []
    caplog.set_level(logging.INFO, "mlpcw.fused")
    assert fused.make_forward(plain.model) is None
    assert len(logged()) == 1


# ---- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        *[
            (shape, (6, 3), "inputs of shape .* do not fit Aff")
            for shape in [(6, 15), (6, 4, 4), (6,)]
        ],
        *[
            ((6, 16), shape, r"targets of .* fit outputs of shape \(6, 3\)")
            for shape in [(6, 4), (5, 3), (6,)]
        ],
    ],
)
def test_shapes_that_do_not_fit(inputs, targets, message):
    made = optimiser(model(), data=[(np.zeros(inputs), np.zeros(targets))])
    with pytest.raises(ValueError, match=message):
        made.do_training_epoch()


# ---- precision and memory ---------------------------------------------------------------------


@pytest.mark.parametrize("penalty", PENALTIES)
def test_single_precision_stays_single(monkeypatch, penalty):
    penalties = dict(weights=PENALTIES[penalty], biases=PENALTIES[penalty])
    made = optimiser(model("float32", **penalties))
    step = fused.make_step(made.model, made.error, made.learning_rule)
    activations = step._forward(batches()[0][0])
    assert {array.dtype for array in activations} == {np.dtype("f4")}
    made.do_training_epoch()
    arrays = [*made.model.params, *made.learning_rule.moms]
    assert {array.dtype for array in arrays} == {np.dtype("f4")}


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_an_epoch_needs_little_memory(dtype):
    layers = [AffineLayer(784, 100), ReluLayer(), AffineLayer(100, 100), AffineLayer(100, 10)]
    for layer in layers[::2]:
        layer.weights_penalty = L1L2Penalty(1e-3, 1e-2)
    rng = np.random.RandomState(305)
    inputs = rng.uniform(size=(4000, 784)).astype("f4")  # 12.5 MB
    data = DataProvider(inputs, np.eye(10)[rng.randint(10, size=4000)], 50, rng=rng)
    made = optimiser(MultipleLayerModel(layers).astype(dtype), data=data)
    made.do_training_epoch()
    tracemalloc.start()
    try:
        made.do_training_epoch()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2e6


def test_the_threads_of_blas_are_given_back():
    def num_threads():
        pools = threadpoolctl.threadpool_info()
        return {p["filepath"]: p["num_threads"] for p in pools if p["user_api"] == "blas"}

    seen = []

    class Watching(SumOfSquaredDiffsError):
        def grad(self, outputs, targets):
            seen.extend(num_threads().values())
            return super().grad(outputs, targets)

    optimiser(model()).do_training_epoch()  # loads the library of scipy.linalg
    with threadpoolctl.threadpool_limits(limits=2):
        before = num_threads()
        optimiser(model(), error=Watching()).do_training_epoch()
        assert num_threads() == before
    assert set(seen) == {1}
