"""A notebook of the course runs when `from mlp.` is changed to `from mlpcw.`.

First the names: every class and method of the course's package of 2016 with its arguments, their
order and their defaults. Then the use: short programs that do with the package what the course's
notebooks do, in their style, with the embedded digits in MNIST's place.
"""

import importlib
import inspect
import logging
from collections import OrderedDict

import numpy as np
import pytest

from mlpcw import layers
from mlpcw.data_providers import (
    AugmentedMNISTDataProvider,
    DataProvider,
    MNISTAutoencoderDataProvider,
    MNISTDataProvider,
)
from mlpcw.errors import (
    BinaryCrossEntropySigmoidError,
    CrossEntropyError,
    CrossEntropySoftmaxError,
    SumOfSquaredDiffsError,
)
from mlpcw.initialisers import (
    ConstantInit,
    GlorotNormalInit,
    GlorotUniformInit,
    NormalInit,
    UniformInit,
)
from mlpcw.layers import (
    AffineLayer,
    ConvolutionalLayer,
    DropoutLayer,
    MaxPoolingLayer,
    RadialBasisFunctionLayer,
    ReluLayer,
    ReshapeLayer,
    SigmoidLayer,
    SoftmaxLayer,
    TanhLayer,
)
from mlpcw.learning_rules import (
    AdaGradLearningRule,
    AdamLearningRule,
    GradientDescentLearningRule,
    MomentumLearningRule,
    NesterovMomentumLearningRule,
    RMSPropLearningRule,
)
from mlpcw.models import MultipleLayerModel, SingleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.penalties import L1L2Penalty, L1Penalty, L2Penalty
from mlpcw.schedulers import (
    ConstantLearningRateScheduler,
    ExponentialLearningRateScheduler,
    ReciprocalLearningRateScheduler,
    ReciprocalMomentumCoefficientScheduler,
)

# ---- names ------------------------------------------------------------------------------------

LAYER = {"fprop": "inputs", "bprop": "inputs, outputs, grads_wrt_outputs"}
STOCHASTIC = {**LAYER, "fprop": "inputs, stochastic=True"}
WITH_PARAMETERS = {
    **LAYER,
    "grads_wrt_params": "inputs, grads_wrt_outputs",
    "params_penalty": "",
    "params": property,
}
PENALTY = {"__call__": "parameter", "grad": "parameter"}
ERROR = {"__call__": "outputs, targets", "grad": "outputs, targets"}
INITIALISER = {"__call__": "shape"}
RULE = {"initialise": "params", "reset": "", "update_params": "grads_wrt_params"}
SCHEDULER = {"update_learning_rule": "learning_rule, epoch_number"}
MODEL = {
    "params": property,
    "fprop": "inputs, stochastic=True",
    "grads_wrt_params": "activations, grads_wrt_outputs",
    "params_penalty": "",
}
PROVIDER = {
    "batch_size": property,
    "max_num_batches": property,
    "new_epoch": "",
    "reset": "",
    "shuffle": "",
    "next": "",
}
OPTIONS = "max_num_batches=-1, shuffle_order=True, rng=None"
MNIST = f"which_set='train', batch_size=100, {OPTIONS}"

# By class: the arguments of the constructor, the course's base class, the methods. Where the course
# has a live object or a seed as a default, here it is None.
COURSE = {
    "layers.Layer": ("", None, LAYER),
    "layers.LayerWithParameters": ("", "layers.Layer", WITH_PARAMETERS),
    "layers.StochasticLayer": ("rng=None", "layers.Layer", STOCHASTIC),
    "layers.AffineLayer": (
        "input_dim, output_dim, weights_initialiser=None, biases_initialiser=None,"
        " weights_penalty=None, biases_penalty=None",
        "layers.LayerWithParameters",
        WITH_PARAMETERS,
    ),
    "layers.ReshapeLayer": ("output_shape=None", "layers.Layer", LAYER),
    **{
        f"layers.{name}Layer": ("", "layers.Layer", LAYER)
        for name in ("Sigmoid", "Relu", "Tanh", "Softmax")
    },
    "layers.RadialBasisFunctionLayer": ("grid_dim, intervals=None", "layers.Layer", LAYER),
    "layers.DropoutLayer": (
        "rng=None, incl_prob=0.5, share_across_batch=True",
        "layers.StochasticLayer",
        STOCHASTIC,
    ),
    "layers.MaxPoolingLayer": ("pool_size=2", "layers.Layer", LAYER),
    "penalties.L1Penalty": ("coefficient", None, PENALTY),
    "penalties.L2Penalty": ("coefficient", None, PENALTY),
    **{
        f"errors.{name}Error": ("", None, ERROR)
        for name in (
            *("SumOfSquaredDiffs", "BinaryCrossEntropy", "BinaryCrossEntropySigmoid"),
            *("CrossEntropy", "CrossEntropySoftmax"),
        )
    },
    "initialisers.ConstantInit": ("value", None, INITIALISER),
    "initialisers.UniformInit": ("low, high, rng=None", None, INITIALISER),
    "initialisers.NormalInit": ("mean, std, rng=None", None, INITIALISER),
    "initialisers.GlorotUniformInit": ("gain=1.0, rng=None", None, INITIALISER),
    "initialisers.GlorotNormalInit": ("gain=1.0, rng=None", None, INITIALISER),
    "learning_rules.GradientDescentLearningRule": ("learning_rate=0.001", None, RULE),
    **{
        f"learning_rules.{name}LearningRule": (
            options,
            "learning_rules.GradientDescentLearningRule",
            RULE,
        )
        for name, options in {
            "Momentum": "learning_rate=0.001, mom_coeff=0.9",
            "NesterovMomentum": "learning_rate=0.001, mom_coeff=0.9",
            "Adam": "learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-08",
            "AdaGrad": "learning_rate=0.01, epsilon=1e-08",
            "RMSProp": "learning_rate=0.001, beta=0.9, epsilon=1e-08",
        }.items()
    },
    **{
        f"schedulers.{name}Scheduler": (options, None, SCHEDULER)
        for name, options in {
            "ConstantLearningRate": "learning_rate",
            "ExponentialLearningRate": "init_learning_rate, decay_param",
            "ReciprocalLearningRate": "init_learning_rate, decay_param",
            "ReciprocalMomentumCoefficient": (
                "max_mom_coeff=0.99, growth_param=3.0, epoch_offset=5.0"
            ),
        }.items()
    },
    "models.SingleLayerModel": ("layer", None, MODEL),
    "models.MultipleLayerModel": ("layers", None, MODEL),
    "data_providers.DataProvider": (f"inputs, targets, batch_size, {OPTIONS}", None, PROVIDER),
    "data_providers.OneOfKDataProvider": (
        f"inputs, targets, batch_size, {OPTIONS}",
        "data_providers.DataProvider",
        {**PROVIDER, "to_one_of_k": "int_targets"},
    ),
    "data_providers.MNISTDataProvider": (MNIST, "data_providers.OneOfKDataProvider", PROVIDER),
    "data_providers.AugmentedMNISTDataProvider": (
        f"{MNIST}, transformer=None",
        "data_providers.MNISTDataProvider",
        PROVIDER,
    ),
    "data_providers.MNISTAutoencoderDataProvider": (
        MNIST,
        "data_providers.MNISTDataProvider",
        PROVIDER,
    ),
    "optimisers.Optimiser": (
        "model, error, learning_rule, train_dataset, valid_dataset=None, data_monitors=None,"
        " schedulers=None, use_stochastic_eval=False",
        None,
        {
            "do_training_epoch": "",
            "eval_monitors": "dataset, label",
            "get_epoch_stats": "",
            "log_stats": "epoch, epoch_time, stats",
            "train": "num_epochs, stats_interval=5",
        },
    ),
}

# What the course's package of 2016 does not have.
NEW = {
    "layers.ConvolutionalLayer": (
        "num_input_channels, num_output_channels, input_dim_1, input_dim_2, kernel_dim_1,"
        " kernel_dim_2, kernels_init=None, biases_init=None, kernels_penalty=None,"
        " biases_penalty=None",
        "layers.LayerWithParameters",
        WITH_PARAMETERS,
    ),
    "layers.MaxPooling2DLayer": ("pool_size=2", "layers.Layer", LAYER),
    "penalties.L1L2Penalty": ("l1_coefficient, l2_coefficient", None, PENALTY),
}


def find(path):
    module, name = path.split(".")
    return getattr(importlib.import_module(f"mlpcw.{module}"), name)


def arguments(function):
    """The arguments as they are written, without `self` and types."""
    signature = inspect.signature(function)
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    if bare and bare[0].name == "self":
        bare = bare[1:]
    return str(inspect.Signature(bare))[1:-1]


@pytest.mark.parametrize("path", [*COURSE, *NEW])
def test_names_and_arguments_are_the_courses(path):
    constructor, base, members = (COURSE | NEW)[path]
    found = find(path)
    assert arguments(found) == constructor
    if base is not None:
        assert issubclass(found, find(base))
    for name, expected in members.items():
        member = inspect.getattr_static(found, name)
        if expected is property:
            assert isinstance(member, property)
            assert member.fset is not None
        else:
            assert arguments(member) == expected, name


# ---- use --------------------------------------------------------------------------------------

SEED = 24102016


def accuracy(y, t):
    return (y.argmax(-1) == t.argmax(-1)).mean()


@pytest.fixture
def data(digits_for_mnist):
    """A generator shared by the two providers, as each notebook begins."""
    rng = np.random.RandomState(SEED)
    train_data = MNISTDataProvider("train", batch_size=50, rng=rng)
    valid_data = MNISTDataProvider("valid", batch_size=50, rng=rng)
    return rng, train_data, valid_data


def trains(model, data, learning_rule=None, error=None, num_epochs=3, **options):
    """Trains as the notebooks do; returns the curve of the training error."""
    _, train_data, valid_data = data
    learning_rule = learning_rule or MomentumLearningRule(0.02, 0.9)
    error = error or CrossEntropySoftmaxError()
    optimiser = Optimiser(
        model, error, learning_rule, train_data, valid_data, {"acc": accuracy}, **options
    )
    stats, keys, run_time = optimiser.train(num_epochs=num_epochs, stats_interval=1)
    assert stats.shape == (num_epochs + 1, len(keys))
    assert np.isfinite(stats).all()
    assert run_time > 0
    for key in ("error(train)", "error(valid)", "acc(train)", "acc(valid)"):
        assert stats[1:, keys[key]].shape == (num_epochs,)  # what a notebook plots
    assert stats[-1, keys["error(train)"]] < stats[0, keys["error(train)"]]
    return stats[:, keys["error(train)"]]


def three_layers(rng, nonlinearity, penalty=None, gain=1.0):
    weights_init, biases_init = GlorotUniformInit(gain, rng), ConstantInit(0.0)
    return MultipleLayerModel(
        [
            AffineLayer(784, 30, weights_init, biases_init, weights_penalty=penalty),
            nonlinearity(),
            AffineLayer(30, 30, weights_init, biases_init, penalty),
            nonlinearity(),
            AffineLayer(30, 10, weights_init, biases_init, penalty),
        ]
    )


def test_multiple_layer_models_softmax_as_layer_or_in_the_error(data):
    """The same model twice: a softmax layer with one error, and the other error without it."""
    rng, train_data, valid_data = data
    curves = []
    for softmax, error in (
        ([SoftmaxLayer()], CrossEntropyError()),
        ([], CrossEntropySoftmaxError()),
    ):
        rng.seed(6102016)
        train_data.reset()
        valid_data.reset()
        affine = AffineLayer(784, 10, UniformInit(-0.01, 0.01, rng=rng), ConstantInit(0.0))
        model = MultipleLayerModel([affine, *softmax]) if softmax else SingleLayerModel(affine)
        curves.append(trains(model, data, GradientDescentLearningRule(learning_rate=0.2), error))
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-9)


def test_multiple_layer_models_back_propagation_by_parts(data):
    """One batch by hand: forwards layer by layer, backwards, and the model agrees."""
    rng, train_data, _ = data
    inputs, targets = train_data.next()
    model, error = three_layers(rng, SigmoidLayer), CrossEntropySoftmaxError()
    activations = model.fprop(inputs)
    grads_wrt_outputs = error.grad(activations[-1], targets)
    whole = model.grads_wrt_params(activations, grads_wrt_outputs)
    by_parts = []
    for index in reversed(range(5)):
        layer, below, above = model.layers[index], activations[index], activations[index + 1]
        if isinstance(layer, layers.LayerWithParameters):
            by_parts = layer.grads_wrt_params(below, grads_wrt_outputs) + by_parts
        grads_wrt_outputs = layer.bprop(below, above, grads_wrt_outputs)
    assert grads_wrt_outputs.shape == inputs.shape
    for grad, expected in zip(whole, by_parts, strict=True):
        np.testing.assert_array_equal(grad, expected)


def test_generalisation_radial_basis_functions_on_synthetic_data():
    """Models of growing size, one rule for all, statistics at an interval of -1."""
    rng = np.random.RandomState(17102016)
    inputs = rng.uniform(size=(40, 1))
    targets = np.sin(3 * inputs) + 0.01 * rng.normal(size=(40, 1))
    inputs_train, targets_train = inputs[:20], targets[:20]
    train_data = DataProvider(inputs_train, targets_train, batch_size=20, rng=rng)
    valid_data = DataProvider(inputs[20:], targets[20:], batch_size=20, rng=rng)
    error, learning_rule = SumOfSquaredDiffsError(), GradientDescentLearningRule(0.1)
    weights_init, biases_init = UniformInit(-0.1, 0.1), ConstantInit(0.0)
    train_errors = []
    for num_weight in (2, 10):
        model = MultipleLayerModel(
            [
                RadialBasisFunctionLayer(num_weight),
                AffineLayer(num_weight, 1, weights_init, biases_init),
            ]
        )
        optimiser = Optimiser(model, error, learning_rule, train_data, valid_data)
        stats, _, _ = optimiser.train(200, -1)
        assert stats.shape == (201, 3)
        train_errors.append(error(model.fprop(inputs_train)[-1], targets_train))
        assert model.fprop(np.linspace(0, 1, 500))[-1].shape == (500, 1)
    assert train_errors[1] < 0.01


def softplus(data):
    """The exercise on non-linearities: a class that only has `fprop` and `bprop`."""

    class Softplus(layers.Layer):
        def fprop(self, inputs):
            return np.logaddexp(0, inputs)

        def bprop(self, inputs, outputs, grads_wrt_outputs):
            return grads_wrt_outputs / (1 + np.exp(-inputs))

    return three_layers(data[0], Softplus)


def noise(data):
    """Noise on the activations in training, from the generator that the base class keeps."""

    class NoiseLayer(layers.StochasticLayer):
        def __init__(self, rng=None, std=0.1):
            super().__init__(rng)
            self.std = std

        def fprop(self, inputs, stochastic=True):
            return inputs + self.rng.normal(0, self.std, inputs.shape) * stochastic

        def bprop(self, inputs, outputs, grads_wrt_outputs):
            return grads_wrt_outputs

    return dense(data, 50, ReluLayer(), NoiseLayer(data[0]))


def dense(data, num_units, *between, init=None):
    """Two affine layers with others between them."""
    init = init or GlorotUniformInit(rng=data[0])
    parts = [AffineLayer(784, num_units, init), *between, AffineLayer(num_units, 10, init)]
    return MultipleLayerModel(parts)


def dropout(data):
    model = dense(data, 50, ReluLayer(), DropoutLayer(data[0], 0.5))
    model.layers.insert(0, DropoutLayer(data[0], 0.8))
    return model


def maxout(data):
    init, parts = GlorotUniformInit(rng=data[0]), []
    for num_inputs, num_units in ((784, 25), (25, 15)):
        parts += [AffineLayer(num_inputs, 3 * num_units, init), MaxPoolingLayer(3)]
    return MultipleLayerModel([*parts, AffineLayer(15, 10, init)])


def convolutional(data):
    rng = data[0]
    return MultipleLayerModel(
        [
            ReshapeLayer((1, 28, 28)),
            ConvolutionalLayer(1, 2, 28, 28, 9, 9, UniformInit(-0.1, 0.1, rng)),
            ReluLayer(),
            ReshapeLayer(),
            AffineLayer(800, 10, GlorotUniformInit(rng=rng)),
        ]
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda data: three_layers(data[0], TanhLayer, gain=0.5),
        lambda data: three_layers(data[0], ReluLayer, gain=0.5),
        *(softplus, noise, dropout, maxout, convolutional),
        lambda data: dense(data, 20, TanhLayer(), init=NormalInit(0.0, 0.1, rng=data[0])),
        lambda data: dense(data, 20, TanhLayer(), init=GlorotNormalInit(gain=0.5, rng=data[0])),
        lambda data: dense(data, 20, TanhLayer(), init=UniformInit(-0.1, 0.1, rng=data[0])),
    ],
)
def test_networks_of_the_notebooks(data, make):
    trains(make(data), data, use_stochastic_eval=False)


def test_regularisation_penalties_share_weights_and_batches(data):
    """All conditions start alike: generator and providers are reset before each."""
    rng, train_data, valid_data = data
    learning_rule = MomentumLearningRule(0.01, 0.9)
    penalties = [None, L1Penalty(1e-3), L2Penalty(1e-2), L1L2Penalty(1e-3, 1e-2)]
    run_info, models = OrderedDict(), OrderedDict()
    for penalty in penalties:
        rng.seed(SEED)
        train_data.reset()
        valid_data.reset()
        model = three_layers(rng, ReluLayer, penalty, gain=0.5)
        optimiser = Optimiser(
            model,
            CrossEntropySoftmaxError(),
            learning_rule,
            train_data,
            valid_data,
            {"acc": accuracy},
        )
        run_info[penalty] = optimiser.train(2, 1)
        models[penalty] = model
    first_errors = {stats[0, keys["error(train)"]] for stats, keys, _ in run_info.values()}
    assert len(first_errors) == 1
    sizes = {penalty: np.abs(model.layers[0].weights).sum() for penalty, model in models.items()}
    assert all(sizes[penalty] < sizes[None] for penalty in penalties[1:])
    assert run_info[None][0][-1, run_info[None][1]["params_penalty"]] == 0
    assert model.layers[0].params[0] is model.layers[0].weights  # for the histograms
    assert str(penalties[1]) == "L1Penalty(0.001)"  # for the legends


def test_regularisation_augmented_data(digits_for_mnist):
    """A transform of one's own: some of the images, flat ones in and out, drawn from `rng`."""
    rng = np.random.RandomState(SEED)

    def roll_some(batch, rng):
        pictures = batch.reshape(len(batch), 28, 28).copy()
        for picture in pictures[rng.uniform(size=len(batch)) < 0.5]:
            picture[...] = np.roll(picture, rng.randint(-3, 4), axis=1)
        return pictures.reshape(batch.shape)

    train_data = AugmentedMNISTDataProvider(
        "train", batch_size=100, max_num_batches=3, rng=rng, transformer=roll_some
    )
    valid_data = MNISTDataProvider("valid", batch_size=100, rng=rng)
    inputs, _ = train_data.next()
    assert inputs.shape == (100, 784)
    train_data.reset()
    model = three_layers(rng, ReluLayer)
    trains(model, (rng, train_data, valid_data))
    runs = {train_data: model}  # a provider may be the key to its run
    assert runs[train_data] is model


@pytest.mark.parametrize(
    "rule, schedulers",
    [
        (GradientDescentLearningRule(0.5), []),
        (NesterovMomentumLearningRule(learning_rate=0.05, mom_coeff=0.9), []),
        (AdamLearningRule(learning_rate=0.005), []),
        (AdaGradLearningRule(learning_rate=0.05), []),
        (RMSPropLearningRule(learning_rate=0.005), []),
        (GradientDescentLearningRule(0.1), [ConstantLearningRateScheduler(0.2)]),
        (GradientDescentLearningRule(0.1), [ExponentialLearningRateScheduler(0.5, 3.0)]),
        (GradientDescentLearningRule(0.1), [ReciprocalLearningRateScheduler(0.5, 3.0)]),
        (MomentumLearningRule(0.1, 0), [ReciprocalMomentumCoefficientScheduler(0.9, 1.0, 2.0)]),
    ],
)
def test_coursework_learning_rules_and_schedules(data, rule, schedulers):
    model = three_layers(data[0], SigmoidLayer)
    trains(model, data, rule, num_epochs=5, schedulers=schedulers)
    if schedulers:
        assert (rule.learning_rate, getattr(rule, "mom_coeff", 0)) != (0.1, 0)
    assert [layer.weights.shape for layer in model.layers[::2]] == [(30, 784), (30, 30), (10, 30)]


def test_coursework_rule_and_scheduler_of_ones_own(data):
    """A rule that derives from the plain one and changes `self.params` in place."""

    class SignRule(GradientDescentLearningRule):
        def __init__(self, learning_rate=1e-3):
            super().__init__(learning_rate)
            self.num_updates = 0

        def initialise(self, params):
            super().initialise(params)
            self.num_updates = 0

        def update_params(self, grads_wrt_params):
            self.num_updates += 1
            for param, grad in zip(self.params, grads_wrt_params, strict=True):
                param -= self.learning_rate * np.sign(grad)

    class Halving:
        def update_learning_rule(self, learning_rule, epoch_number):
            learning_rule.learning_rate = 0.002 / 2**epoch_number

    learning_rule = SignRule()
    model = three_layers(data[0], ReluLayer)
    trains(model, data, learning_rule, num_epochs=3, schedulers=[Halving()])
    assert learning_rule.num_updates == 60
    assert learning_rule.learning_rate == 0.0005


def test_logs_to_a_handler_of_the_root_logger(data, caplog):
    with caplog.at_level(logging.INFO):  # as a notebook sets it
        trains(three_layers(data[0], ReluLayer), data, num_epochs=2)
    messages = [record.getMessage() for record in caplog.records]
    assert [message[:8] for message in messages] == ["Epoch 0:", "Epoch 1:", "Epoch 2:"]


def test_providers_of_ones_own_read_and_set_all_inputs(data):
    """As a notebook does that normalises them once and takes its batches from them."""

    class OwnProvider(MNISTDataProvider):
        def next(self):
            rows = slice(
                self._curr_batch * self.batch_size, (self._curr_batch + 1) * self.batch_size
            )
            _, targets = super().next()
            return self.inputs[rows], targets

    train_data = OwnProvider("train", 50, rng=np.random.RandomState(SEED))
    valid_data = MNISTDataProvider("valid", 50, rng=data[0])
    for provider in (train_data, valid_data):
        provider.inputs = provider.inputs - provider.inputs.mean(axis=0)
        provider.inputs /= provider.inputs.std()
    trains(three_layers(data[0], ReluLayer), (data[0], train_data, valid_data))
    assert abs(train_data.inputs.mean()) < 1e-5


def test_autoencoder(digits_for_mnist):
    rng = np.random.RandomState(SEED)
    train_data = MNISTAutoencoderDataProvider("train", 50, rng=rng)
    model = MultipleLayerModel(
        [
            AffineLayer(784, 20, GlorotUniformInit(rng=rng)),
            SigmoidLayer(),
            AffineLayer(20, 784, GlorotUniformInit(rng=rng)),
        ]
    )
    optimiser = Optimiser(
        model, BinaryCrossEntropySigmoidError(), AdamLearningRule(0.01), train_data
    )
    stats, keys, _ = optimiser.train(2, 1)
    assert stats[-1, keys["error(train)"]] < stats[0, keys["error(train)"]] / 2
