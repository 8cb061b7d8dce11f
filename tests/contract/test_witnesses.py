"""Every gradient has its three witnesses, and a gradient that lacks one is found."""

import collections
from types import SimpleNamespace

import pytest
import witnesses
from witnesses import BY_HAND, KINDS, witness

from mlpcw import compiled, conv, layers, penalties


def test_every_gradient_has_three_witnesses(request, witness_table):
    if request.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        pytest.skip("needs all tests to be collected")
    assert witnesses.lacking(witness_table) == []


COMPLETE = {name: collections.Counter(KINDS) for name in witnesses.subjects()}


def test_the_subjects_are_all_that_have_gradients():
    assert {
        "layers.AffineLayer",
        "layers.ConvolutionalLayer",
        "layers.MaxPooling2DLayer",
        "errors.CrossEntropySoftmaxError",
        "penalties.L1L2Penalty",
        "models.MultipleLayerModel",
        "conv: toeplitz",
    } <= set(COMPLETE)
    assert not {"layers.Layer", "layers.LayerWithParameters", "errors.Error"} & set(COMPLETE)
    num_methods = sum(name.startswith("conv: ") for name in COMPLETE)
    assert num_methods == len(conv.METHODS) - (0 if compiled.enabled() else len(conv.COMPILED))
    assert len(COMPLETE) == 11 + 5 + 3 + 1 + num_methods


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["layers.TanhLayer", "conv: loop"])
def test_a_missing_witness_is_named(name, kind):
    assert witnesses.lacking(COMPLETE) == []
    table = COMPLETE | {name: COMPLETE[name] - collections.Counter([kind])}
    assert witnesses.lacking(table) == [f"{name} has no witness of the kind {kind!r}"]


def test_a_new_layer_without_witnesses_is_named(monkeypatch):
    class NewLayer(layers.Layer):
        __module__ = layers.__name__

    monkeypatch.setattr(layers, "NewLayer", NewLayer, raising=False)
    assert witnesses.lacking(COMPLETE) == [
        f"layers.NewLayer has no witness of the kind {kind!r}" for kind in KINDS
    ]


class OwnPenalty(penalties.L2Penalty):
    """A subclass that tests may have; it is a witness of its base."""


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (OwnPenalty(0.5), "penalties.L2Penalty"),
        (layers.TanhLayer, "layers.TanhLayer"),
        (lambda layer: layer, "layers.ReluLayer"),
        (lambda method, layer: witnesses.conv_method(method), "conv: loop"),
    ],
)
def test_a_mark_names_its_subject(of, name):
    test = SimpleNamespace(
        iter_markers=lambda _: [witness(BY_HAND, of).mark],
        callspec=SimpleNamespace(params={"layer": layers.ReluLayer(), "method": "loop"}),
    )
    assert list(witnesses.witnessed(test)) == [(name, BY_HAND)]
    assert witnesses.table_of([test, test]) == {name: {BY_HAND: 2}}
