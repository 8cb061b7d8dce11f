"""The training loop: what it returns, in which order it does things, and that it learns."""

import itertools
import logging
import math
import re

import numpy as np
import pytest
import reference

from mlpcw.data_providers import DataProvider, DigitsDataProvider
from mlpcw.errors import CrossEntropySoftmaxError, SumOfSquaredDiffsError
from mlpcw.initialisers import GlorotUniformInit
from mlpcw.layers import AffineLayer, DropoutLayer, Layer, LayerWithParameters, ReluLayer
from mlpcw.learning_rules import (
    AdamLearningRule,
    GradientDescentLearningRule,
    MomentumLearningRule,
)
from mlpcw.models import MultipleLayerModel, SingleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.penalties import L2Penalty
from mlpcw.schedulers import ConstantLearningRateScheduler, ExponentialLearningRateScheduler

SEED = 24102016
INPUTS = np.random.RandomState(101).normal(size=(12, 4))
CLASSES = np.arange(12) % 3
TARGETS = np.eye(3)[CLASSES]


def accuracy(outputs, targets):
    return (outputs.argmax(-1) == targets.argmax(-1)).mean()


def classifier(sizes=(4, 5, 3), penalty=None, seed=102):
    """Affine layers with ReLU between them, as in the report."""
    weights_init = GlorotUniformInit(0.5, np.random.RandomState(seed))
    layers = []
    for input_dim, output_dim in itertools.pairwise(sizes):
        layers += [AffineLayer(input_dim, output_dim, weights_init, None, penalty), ReluLayer()]
    return MultipleLayerModel(layers[:-1])


def provider(inputs=INPUTS, targets=TARGETS, batch_size=4, seed=SEED, **options):
    return DataProvider(inputs, targets, batch_size, rng=np.random.RandomState(seed), **options)


def optimiser(model=None, rule=None, train=None, valid=True, **options):
    return Optimiser(
        model or classifier(),
        CrossEntropySoftmaxError(),
        rule or MomentumLearningRule(0.1, 0.9),
        train or provider(),
        provider(INPUTS[:6], TARGETS[:6], 3) if valid is True else valid,
        options.pop("data_monitors", {"acc": accuracy}),
        **options,
    )


# ---- what train returns -----------------------------------------------------------------------


def test_returns_statistics_their_columns_and_the_seconds():
    stats, keys, seconds = optimiser().train(4, 2)
    names = ["error(train)", "acc(train)", "error(valid)", "acc(valid)", "params_penalty"]
    assert list(keys.items()) == list(zip(names, range(5), strict=True))
    assert stats.shape == (3, 5)
    assert stats.dtype == np.float64
    assert 0 < seconds < 60


def test_without_validation_data_and_monitors_there_are_fewer_columns():
    stats, keys, _ = optimiser(valid=None, data_monitors=None).train(1, 1)
    assert list(keys) == ["error(train)", "params_penalty"]
    assert stats.shape == (2, 2)


@pytest.mark.parametrize(
    "arguments, rows", [((0,), 1), ((4,), 1), ((5,), 2), ((11, 5), 3), ((3, 1), 4), ((3, -1), 4)]
)
def test_a_row_before_the_first_epoch_and_one_per_interval(arguments, rows):
    assert optimiser().train(*arguments)[0].shape == (rows, 5)


def test_a_row_is_the_statistics_of_the_model_as_it_then_was():
    model = classifier(penalty=L2Penalty(0.1))
    stats, keys, _ = optimiser(model).train(3, 3)
    error = CrossEntropySoftmaxError()
    outputs = model.fprop(INPUTS)[-1]
    assert stats[-1, keys["error(train)"]] == pytest.approx(error(outputs, TARGETS), rel=1e-12)
    assert stats[-1, keys["acc(train)"]] == pytest.approx(accuracy(outputs, TARGETS), rel=1e-12)
    valid_error = error(outputs[:6], TARGETS[:6])
    assert stats[-1, keys["error(valid)"]] == pytest.approx(valid_error, rel=1e-12)
    assert stats[-1, keys["params_penalty"]] == model.params_penalty()
    assert stats[0, keys["params_penalty"]] == classifier(penalty=L2Penalty(0.1)).params_penalty()


def test_statistics_are_means_over_the_batches_of_a_pass():
    """A pass over twelve examples in batches of five leaves out two."""
    seen = []

    def monitor(outputs, targets):
        seen.append(targets)
        return float(len(seen))

    stats = optimiser(data_monitors={"call": monitor}).eval_monitors(
        provider(batch_size=5), "(here)"
    )
    assert list(stats) == ["error(here)", "call(here)"]
    assert stats["call(here)"] == 1.5
    assert [len(targets) for targets in seen] == [5, 5]


def test_a_second_training_goes_on_where_the_first_ended():
    whole = optimiser().train(4, 1)[0]
    halves = optimiser()
    first, second = halves.train(2, 1)[0], halves.train(2, 1)[0]
    assert len(first) == len(second) == 3
    # One more pass over each set of data for the statistics that both have: another order.
    np.testing.assert_allclose(first, whole[:3], rtol=1e-12)
    np.testing.assert_allclose(second[0], whole[2], rtol=1e-12)


# ---- in which order things are done -----------------------------------------------------------


def test_one_epoch_is_an_update_for_each_batch_by_the_formula_written_out():
    """Momentum and L2, with the functions that handle one number at a time."""
    model = classifier(penalty=L2Penalty(0.1))
    weights_1, biases_1, weights_2, biases_2 = params = [p.copy() for p in model.params]
    moms = [np.zeros_like(param) for param in params]
    for inputs, targets in provider():
        hidden, _, _, _ = reference.affine(inputs, np.zeros((4, 5)), weights_1, biases_1)
        rectified, _ = reference.relu(hidden, np.zeros((4, 5)))
        outputs, _, _, _ = reference.affine(rectified, np.zeros((4, 3)), weights_2, biases_2)
        _, grads = reference.cross_entropy_softmax(outputs, targets)
        _, grads, *grads_2 = reference.affine(rectified, grads, weights_2, biases_2)
        _, grads = reference.relu(hidden, grads)
        _, _, *grads_1 = reference.affine(inputs, grads, weights_1, biases_1)
        grads_1[0] += 0.1 * weights_1
        grads_2[0] += 0.1 * weights_2
        for param, mom, grad in zip(params, moms, grads_1 + grads_2, strict=True):
            mom[...] = 0.9 * mom - 0.01 * grad
            param += mom
    optimiser(model, MomentumLearningRule(0.01, 0.9)).do_training_epoch()
    for param, expected in zip(model.params, params, strict=True):
        np.testing.assert_allclose(param, expected, rtol=1e-10, atol=1e-13)


def test_every_pass_ends_with_a_permutation_those_for_statistics_too():
    """Drawn from one generator: training data, validation data; epoch; training, validation."""
    rng = np.random.RandomState(SEED)
    train = DataProvider(INPUTS, TARGETS, 4, rng=rng)
    valid = DataProvider(INPUTS[:6], TARGETS[:6], 3, rng=rng)
    optimiser(train=train, valid=valid).train(4, 2)
    slow = np.random.RandomState(SEED)
    order, valid_order = slow.permutation(12), slow.permutation(6)
    passes = "tv" + "t" + "t" + "tv" + "t" + "t" + "tv"
    for which in passes:
        if which == "t":
            order = order[slow.permutation(12)]
        else:
            valid_order = valid_order[slow.permutation(6)]
    np.testing.assert_array_equal(train.inputs, INPUTS[order])
    np.testing.assert_array_equal(valid.inputs, INPUTS[:6][valid_order])
    assert rng.random_sample() == slow.random_sample()


class NotingScheduler:
    """Notes the epoch numbers and the learning rates."""

    def __init__(self):
        self.notes = []

    def update_learning_rule(self, learning_rule, epoch_number):
        self.notes.append((epoch_number, learning_rule.learning_rate))


def test_schedulers_run_in_turn_before_each_epoch_the_first_of_which_is_zero():
    before, after = NotingScheduler(), NotingScheduler()
    schedulers = [before, ExponentialLearningRateScheduler(0.1, 1.0), after]
    optimiser(rule=GradientDescentLearningRule(0.7), schedulers=schedulers).train(3, 2)
    rates = [0.1, 0.1 * math.exp(-1), 0.1 * math.exp(-2)]
    assert before.notes == list(zip(range(3), [0.7, *rates[:2]], strict=True))
    assert after.notes == list(zip(range(3), rates, strict=True))


def test_a_scheduler_acts_on_the_updates_of_its_epoch():
    slow = optimiser(rule=GradientDescentLearningRule(0.05))
    slow.do_training_epoch()
    fast = optimiser(
        rule=GradientDescentLearningRule(0.1), schedulers=[ConstantLearningRateScheduler(0.05)]
    )
    fast.get_epoch_stats = lambda: {"error(train)": 0.0}  # no pass for statistics
    fast.train(1, 1)
    for param, expected in zip(fast.model.params, slow.model.params, strict=True):
        np.testing.assert_array_equal(param, expected)


@pytest.mark.parametrize("use_stochastic_eval", [False, True])
def test_training_draws_dropout_masks_and_statistics_do_if_told_to(use_stochastic_eval):
    dropout, calls = DropoutLayer(incl_prob=0.5), []
    fprop = dropout.fprop
    dropout.fprop = lambda inputs, stochastic: calls.append(stochastic) or fprop(inputs, stochastic)
    model = MultipleLayerModel([dropout, AffineLayer(4, 3)])
    made = optimiser(model, valid=None, use_stochastic_eval=use_stochastic_eval)
    made.do_training_epoch()
    assert calls == [True] * 3
    made.get_epoch_stats()
    assert calls[3:] == [use_stochastic_eval] * 3


def test_two_runs_of_the_same_seeds_are_equal_to_the_bit():
    first, second = optimiser(), optimiser()
    np.testing.assert_array_equal(first.train(3, 1)[0], second.train(3, 1)[0])
    for param, other in zip(first.model.params, second.model.params, strict=True):
        np.testing.assert_array_equal(param, other)


def test_its_parts_can_be_read():
    model, rule, train, schedulers = classifier(), MomentumLearningRule(0.1), provider(), []
    made = optimiser(model, rule, train, valid=None, schedulers=schedulers)
    assert (made.model, made.learning_rule, made.train_dataset) == (model, rule, train)
    assert all(a is b for a, b in zip(rule.params, model.params, strict=True))
    assert (made.valid_dataset, made.schedulers, made.use_stochastic_eval) == (None, [], False)
    assert list(made.data_monitors) == ["error", "acc"]


def test_an_error_that_is_set_is_trained_and_measured():
    made = optimiser()
    made.error = SumOfSquaredDiffsError()
    outputs = made.model.fprop(INPUTS)[-1]
    expected = SumOfSquaredDiffsError()(outputs, TARGETS)
    assert made.get_epoch_stats()["error(train)"] == pytest.approx(expected, rel=1e-12)


def test_a_rule_that_is_set_takes_the_parameters():
    made = optimiser()
    made.learning_rule = AdamLearningRule()
    assert all(a is b for a, b in zip(made.learning_rule.params, made.model.params, strict=True))


def test_a_rule_keeps_its_state_while_the_model_keeps_its_arrays():
    """Even if a layer returns new views of them."""

    class Views(AffineLayer):
        params = property(lambda self: [param[:] for param in self._params])

    made = optimiser(SingleLayerModel(Views(4, 3)))
    made.do_training_epoch()
    moms = made.learning_rule.moms
    made.do_training_epoch()
    assert made.learning_rule.moms is moms


class OwnRule:
    """A user's rule, of no class of the library."""

    def initialise(self, params):
        self.taken = params

    def update_params(self, grads_wrt_params):
        for param, grad in zip(self.taken, grads_wrt_params, strict=True):
            param -= 0.1 * grad


class OwnError:
    def __call__(self, outputs, targets):
        return float(((outputs - targets) ** 2).mean())

    def grad(self, outputs, targets):
        return 2 * (outputs - targets) / outputs.size


def test_a_user_s_own_error_and_rule_train():
    own = Optimiser(classifier(), OwnError(), OwnRule(), provider())
    stats, keys, _ = own.train(30, 30)
    assert stats[-1, keys["error(train)"]] < stats[0, keys["error(train)"]] / 1.2


class Unfinished(Layer):
    def fprop(self, inputs):
        return inputs


class UnfinishedParameters(LayerWithParameters):
    params = ()

    def fprop(self, inputs):
        return inputs

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        return grads_wrt_outputs


AFFINE = AffineLayer(4, 3)
AN_ERROR = "error must be an error such as CrossEntropySoftmaxError(), got"
A_RULE = "learning_rule must be a learning rule such as MomentumLearningRule(0.1), got"
SCHEDULERS = (
    "schedulers must be a list of schedulers such as ConstantLearningRateScheduler(0.1), got"
)


NO_MONITORS = (
    f"data_monitors must be a dictionary of functions by name, got {accuracy} without keys"
)
A_MODEL = (
    "model must be a model such as MultipleLayerModel([...]), got the class MultipleLayerModel"
)
THE_MODEL = "of the model must have a"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"model": MultipleLayerModel}, f"{A_MODEL} itself"),
        ({"error": 0.1}, f"{AN_ERROR} 0.1 without __call__ and grad"),
        ({"error": OwnError}, f"{AN_ERROR} the class OwnError itself"),
        ({"error": accuracy}, f"{AN_ERROR} {accuracy} without grad"),
        ({"rule": 0.1}, f"{A_RULE} 0.1 without initialise and update_params"),
        ({"rule": OwnRule}, f"{A_RULE} the class OwnRule itself"),
        ({"schedulers": 0.1}, f"{SCHEDULERS} 0.1 without __iter__"),
        ({"schedulers": [0.1]}, f"{SCHEDULERS} 0.1 without update_learning_rule"),
        ({"data_monitors": accuracy}, NO_MONITORS),
        ({"layers": [AFFINE, Unfinished()]}, f"layer 1 {THE_MODEL} bprop, got Unfinished()"),
        ({"layers": [AFFINE, Layer()]}, f"layer 1 {THE_MODEL} fprop, got Layer()"),
        (
            {"layers": [UnfinishedParameters(), AFFINE]},
            f"layer 0 {THE_MODEL} grads_wrt_params, got UnfinishedParameters()",
        ),
    ],
)
def test_what_cannot_train_is_refused(options, message):
    error, rule = options.pop("error", OwnError()), options.pop("rule", OwnRule())
    model = MultipleLayerModel(options.pop("layers", [AffineLayer(4, 3)]))
    with pytest.raises(TypeError) as refusal:
        Optimiser(options.pop("model", model), error, rule, provider(), **options)
    assert str(refusal.value) == message


def test_a_layer_below_all_parameters_needs_no_gradient():
    optimiser(MultipleLayerModel([Unfinished(), AffineLayer(4, 3)])).train(1)


def test_logs_each_interval_and_prints_nothing(caplog, capfd):
    with caplog.at_level(logging.INFO):
        stats, _, seconds = optimiser().train(4, 2)
    assert capfd.readouterr() == ("", "")
    assert [record.name for record in caplog.records] == ["mlpcw.optimisers"] * 3
    for record, number, row in zip(caplog.records, (0, 2, 4), stats, strict=True):
        start = rf"Epoch {number}: (\d+\.\d)s to complete\n    error\(train\)="
        epoch = re.match(start, record.getMessage())
        assert float(epoch[1]) <= seconds + 0.05
        values = [float(value) for value in re.findall(r"=([\d.e+-]+)", record.getMessage())]
        np.testing.assert_allclose(values, row, rtol=0.005)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((-1,), "num_epochs must be a whole number of at least 0, got -1"),
        ((1.0,), "num_epochs must be a whole number, got 1.0"),
        ((1, 0), "stats_interval must be a whole number of at least 1, got 0"),
        ((1, -2), "stats_interval must be a whole number of at least 1, got -2"),
        ((1, "5"), "stats_interval must be a whole number, got '5'"),
    ],
)
def test_a_wrong_argument_of_train_is_refused(arguments, message):
    with pytest.raises((TypeError, ValueError)) as refusal:
        optimiser().train(*arguments)
    assert str(refusal.value) == message


# ---- that it learns ---------------------------------------------------------------------------


def digits_classifier():
    return classifier((784, 32, 10), seed=105)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_learns_twenty_digits_by_heart(dtype):
    inputs, targets = next(DigitsDataProvider(batch_size=20, rng=np.random.RandomState(SEED)))
    learner = optimiser(
        digits_classifier().astype(dtype),
        MomentumLearningRule(0.05, 0.9),
        provider(inputs, targets, 10),
        valid=None,
    )
    stats, keys, _ = learner.train(40, 40)
    assert stats[-1, keys["acc(train)"]] == 1
    assert stats[-1, keys["error(train)"]] < 0.05
    assert learner.model.params[0].dtype == dtype


def test_learns_digits_that_it_has_not_seen():
    rng = np.random.RandomState(SEED)
    train = DigitsDataProvider("train", 50, rng=rng)
    learner = optimiser(
        digits_classifier(), MomentumLearningRule(0.05, 0.9), train, DigitsDataProvider("valid", 50)
    )
    stats, keys, _ = learner.train(5, 5)
    assert stats[0, keys["error(train)"]] == pytest.approx(math.log(10), rel=0.05)
    assert stats[-1, keys["acc(valid)"]] > 0.85
    assert stats[-1, keys["error(valid)"]] < stats[0, keys["error(valid)"]] / 3


def test_a_penalty_shrinks_the_weights():
    sizes = []
    for penalty in (None, L2Penalty(0.1)):
        model = classifier(penalty=penalty)
        optimiser(model).train(50, 50)
        sizes.append(sum((param**2).sum() for param in model.params[::2]))
    assert sizes[1] < sizes[0] / 2
