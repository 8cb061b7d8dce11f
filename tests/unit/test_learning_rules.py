"""The learning rules: their formulas over several updates, in place, and their state."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import IN_PLACE, agree, changed_only, dtypes, examples, lay, looks, seeds, unchanged

from mlpcw.learning_rules import (
    AdaGradLearningRule,
    AdamLearningRule,
    GradientDescentLearningRule,
    MomentumLearningRule,
    NesterovMomentumLearningRule,
    RMSPropLearningRule,
)

# ---- the formulas for one number --------------------------------------------------------------
#
# They take a parameter and one gradient per update, and yield the parameter after every update.


def gradient_descent(p, grads):
    for g in grads:
        p = p - 0.1 * g
        yield p


def momentum(p, grads):
    m = 0.0
    for g in grads:
        m = 0.9 * m - 0.1 * g
        p = p + m
        yield p


def nesterov(p, grads):
    m = 0.0
    for g in grads:
        new = 0.9 * m - 0.1 * g
        p = p - 0.9 * m + (1 + 0.9) * new
        m = new
        yield p


def adam(p, grads):
    """The paper's first form, with both moments corrected; epsilon is scaled to its second."""
    m = v = 0.0
    for t, g in enumerate(grads, start=1):
        m = 0.8 * m + (1 - 0.8) * g
        v = 0.95 * v + (1 - 0.95) * g * g
        m_hat, v_hat = m / (1 - 0.8**t), v / (1 - 0.95**t)
        p = p - 0.1 * m_hat / (math.sqrt(v_hat) + 1e-3 / math.sqrt(1 - 0.95**t))
        yield p


def adagrad(p, grads):
    s = 0.0
    for g in grads:
        s = s + g * g
        p = p - 0.1 * g / math.sqrt(s + 1e-3)
        yield p


def rmsprop(p, grads):
    s = 0.0
    for g in grads:
        s = 0.8 * s + (1 - 0.8) * g * g
        p = p - 0.1 * g / math.sqrt(s + 1e-3)
        yield p


RULES = {
    "gradient descent": (lambda: GradientDescentLearningRule(0.1), gradient_descent),
    "momentum": (lambda: MomentumLearningRule(0.1, 0.9), momentum),
    "Nesterov": (lambda: NesterovMomentumLearningRule(0.1, 0.9), nesterov),
    "Adam": (lambda: AdamLearningRule(0.1, 0.8, 0.95, 1e-3), adam),
    "AdaGrad": (lambda: AdaGradLearningRule(0.1, 1e-3), adagrad),
    "RMSProp": (lambda: RMSPropLearningRule(0.1, 0.8, 1e-3), rmsprop),
}
EVERY_RULE = pytest.mark.parametrize("name", RULES)
SHAPES = [(3, 4), (4,)]
NUM_UPDATES = 5


def start():
    """Parameters, and as many gradients for each as there are updates."""
    rng = np.random.RandomState(61)
    params = [rng.normal(size=shape) for shape in SHAPES]
    return params, [[rng.normal(size=shape) for shape in SHAPES] for _ in range(NUM_UPDATES)]


def run(rule, params, grads):
    """The parameters after each update."""
    rule.initialise(params)
    trace = []
    for grads_of_update in grads:
        rule.update_params(grads_of_update)
        trace.append([param.copy() for param in params])
    return trace


# ---- tests ------------------------------------------------------------------------------------


@EVERY_RULE
@examples(25)
@given(seed=seeds, looks=looks(2, layouts=IN_PLACE), grads_looks=looks(2, dtypes | st.just("u1")))
def test_follows_its_formula(name, seed, looks, grads_looks):
    """In place, in arrays of any layout and dtype, and the gradients stay as they are."""
    make, formula = RULES[name]
    rng = np.random.default_rng(seed)
    shapes = [tuple(rng.integers(1, 6, size=2)), tuple(rng.integers(1, 6, size=4))]

    def draw(looks):
        return [
            lay(rng.normal(size=shape), look) for shape, look in zip(shapes, looks, strict=True)
        ]

    params, updates = draw(looks), [draw(grads_looks) for _ in range(NUM_UPDATES)]
    rule, first = make(), [np.array(param, float) for param in params]
    with unchanged(*itertools.chain(*updates)), changed_only(*params):
        trace = run(rule, params, updates)
    assert all(a is b for a, b in zip(rule.params, params, strict=True))
    for which, param in enumerate(first):
        grads = [np.array(update[which], float) for update in updates]
        expected = [np.empty(param.shape) for _ in updates]
        for index in np.ndindex(param.shape):
            for array, value in zip(
                expected, formula(param[index], [grad[index] for grad in grads]), strict=True
            ):
                array[index] = value
        agree([step[which] for step in trace], expected, params[which].dtype)
    state = [array for value in vars(rule).values() if isinstance(value, list) for array in value]
    assert {array.dtype for array in state} == {param.dtype for param in params}


def test_momentum_by_hand():
    """m = -0.1 * 2 = -0.2, p = 0.8; m = 0.9 * -0.2 - 0.1 * -1 = -0.08, p = 0.72; then other rates:
    m = -0.08 - 0.5 = -0.58, p = 0.14."""
    rule = MomentumLearningRule(0.1, 0.9)
    params = [np.array([1.0])]
    rule.initialise(params)
    rule.update_params([np.array([2.0])])
    assert params[0] == pytest.approx(0.8, rel=1e-15)
    rule.update_params([np.array([-1.0])])
    assert params[0] == pytest.approx(0.72, rel=1e-15)
    assert rule.moms[0] == pytest.approx(-0.08, rel=1e-15)
    rule.learning_rate, rule.mom_coeff = 0.5, 1
    rule.update_params([np.array([1.0])])
    assert params[0] == pytest.approx(0.14, rel=1e-15)


def states_after(prepare, name):
    """Parameters after one update, following the steps of `prepare`."""
    params, grads = start()
    rule = RULES[name][0]()
    rule.initialise(params)
    prepare(rule, params, grads)
    rule.update_params(grads[2])
    return params


@EVERY_RULE
def test_reset_forgets_the_updates_but_not_the_parameters(name):
    fresh = states_after(lambda rule, params, grads: None, name)

    def update_and_reset(rule, params, grads):
        before = [param.copy() for param in params]
        rule.update_params(grads[0])
        rule.update_params(grads[1])
        moved = [param.copy() for param in params]
        rule.reset()
        for param, after in zip(params, moved, strict=True):
            np.testing.assert_array_equal(param, after)
        for param, first in zip(params, before, strict=True):
            param[...] = first

    for param, expected in zip(states_after(update_and_reset, name), fresh, strict=True):
        np.testing.assert_array_equal(param, expected)


@EVERY_RULE
def test_a_rule_may_be_initialised_again_for_another_model(name):
    make = RULES[name][0]
    first, grads = start()
    expected = run(make(), [param.copy() for param in first], grads)
    rule = make()
    run(rule, [np.ones(shape) for shape in SHAPES], grads)
    found = run(rule, [param.copy() for param in first], grads)
    for params, others in zip(found, expected, strict=True):
        for param, other in zip(params, others, strict=True):
            np.testing.assert_array_equal(param, other)


# ---- what is refused --------------------------------------------------------------------------


@EVERY_RULE
@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_wrong_number_of_gradients_is_refused_and_nothing_changed(name, number):
    params, grads = start()
    before = [param.copy() for param in params]
    rule = RULES[name][0]()
    rule.initialise(params)
    with pytest.raises(ValueError) as refusal:
        rule.update_params((grads[0] * 2)[:number])
    assert str(refusal.value) == (
        f"grads_wrt_params must have one gradient for each of 2 parameters, got {number}"
    )
    for param, copied in zip(params, before, strict=True):
        np.testing.assert_array_equal(param, copied)
    rule.update_params(grads[2])
    for param, expected in zip(params, states_after(lambda *_: None, name), strict=True):
        np.testing.assert_array_equal(param, expected)


@EVERY_RULE
def test_a_gradient_that_would_only_broadcast_is_refused(name):
    params, _ = start()
    rule = RULES[name][0]()
    rule.initialise(params)
    with pytest.raises(ValueError) as refusal:
        rule.update_params([np.ones(4), np.ones(4)])
    assert str(refusal.value) == (
        "grads_wrt_params must have the shapes [(3, 4), (4,)], got [(4,), (4,)]"
    )


RATE = "learning_rate must be a number above 0, got"
COEFF = "mom_coeff must be a number in [0, 1], got"
EPSILON = "epsilon must be a number above 0, got 0"
BETA = "must be a number of at least 0 and below 1, got"
REFUSALS = [
    (GradientDescentLearningRule, {"learning_rate": 0}, f"{RATE} 0"),
    (MomentumLearningRule, {"learning_rate": -1.0}, f"{RATE} -1.0"),
    (NesterovMomentumLearningRule, {"learning_rate": math.nan}, f"{RATE} nan"),
    (MomentumLearningRule, {"mom_coeff": 1.5}, f"{COEFF} 1.5"),
    (NesterovMomentumLearningRule, {"mom_coeff": -0.5}, f"{COEFF} -0.5"),
    (AdamLearningRule, {"beta_1": 1.0}, f"beta_1 {BETA} 1.0"),
    (AdamLearningRule, {"beta_2": 1.5}, "beta_2 must be a number in [0, 1], got 1.5"),
    (AdamLearningRule, {"epsilon": 0}, EPSILON),
    (AdaGradLearningRule, {"epsilon": 0}, EPSILON),
    (AdaGradLearningRule, {"learning_rate": 0}, f"{RATE} 0"),
    (RMSPropLearningRule, {"epsilon": 0}, EPSILON),
    (RMSPropLearningRule, {"beta": 1}, f"beta {BETA} 1"),
]


@pytest.mark.parametrize(("kind", "argument", "message"), REFUSALS)
def test_an_argument_out_of_range_is_refused(kind, argument, message):
    with pytest.raises(ValueError) as refusal:
        kind(**argument)
    assert str(refusal.value) == message


def test_an_argument_that_is_not_a_number_is_refused():
    with pytest.raises(TypeError, match=r"learning_rate must be a number, got '0\.1'"):
        MomentumLearningRule("0.1")
