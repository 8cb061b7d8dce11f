"""Freshness: a change of the code makes exactly the runs stale that it touches."""

import json

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from runs import forged, outdated, quick_arm, tiny_arm

from mlpcw import (
    augmenters,
    compiled,
    conv,
    errors,
    fused,
    initialisers,
    layers,
    learning_rules,
    mnist,
    penalties,
    step_kernels,
    updates,
)
from mlpcw.study import chapters
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.arms import SEED_2016
from mlpcw.study.records.store import State
from mlpcw.study.runs import freshness
from mlpcw.study.runs.set_up import as_run

ARM = quick_arm()


@pytest.fixture
def kept(tmp_path):
    return open_store("quick", tmp_path, 1)


@pytest.fixture
def fresh_probes():
    """Probes are computed anew in a test, and after it."""
    freshness.forget()
    yield
    freshness.forget()


@pytest.fixture
def general_path(monkeypatch):
    """Leaves fused steps out, so that layers, penalties and rules compute by their own methods."""
    monkeypatch.setattr(fused, "make_step", lambda *_: None)
    monkeypatch.setattr(fused, "make_forward", lambda *_: None)


# ---- A record and an arm --------------------------------------------------------------------


def with_probe(**changes):
    record = forged(ARM)
    return record | {"probe": record["probe"] | changes}


LOSS, WEIGHTS = forged(ARM)["probe"]["loss"], forged(ARM)["probe"]["weights"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (
            forged(replace(ARM, learning_rate=0.02)),
            "its arm has learning_rate 0.02, now it is 0.01",
        ),
        (forged(replace(ARM, batch_size=99)), "its arm has batch_size 99, now it is 10"),
        (with_probe(loss=LOSS * (1 + 1e-8)), "its probe has loss "),
        (with_probe(weights=[*WEIGHTS[:-1], WEIGHTS[-1] * (1 + 1e-8)]), "its probe has weights "),
        (with_probe(weights=[*WEIGHTS, 1.0]), "its probe has weights "),
        (with_probe(loss=LOSS * (1 + 1e-10), weights=[w * (1 - 1e-10) for w in WEIGHTS]), ""),
    ],
)
def test_another_setting_or_probe_is_named_and_rounding_is_not(kept, record, reason):
    kept.write(record)
    finding = kept.find(ARM, 0)
    assert finding.state is (State.STALE if reason else State.DONE)
    assert finding.reason.startswith(reason)
    assert finding.record == record
    assert (", the code now gives " in finding.reason) == ("probe" in reason)


def test_another_setting_without_end_is_named_in_short(kept):
    record = forged(ARM)
    record["arm"]["batch_size"] = 10**400
    kept.write(record)
    reason = kept.find(ARM, 0).reason
    assert reason.startswith("its arm has batch_size 1000000")
    assert reason.endswith("000 ..., now it is 10")


# ---- The probe ------------------------------------------------------------------------------


def test_a_probe_is_the_same_to_the_bit_and_uses_no_global_random_state():
    arm = chapters.find("full", "part2/random_noise")
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = freshness.probe(arm)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    assert freshness.probe(arm) == first


@pytest.mark.parametrize("key", ["part1/l2_1e-2", "part3/cnn_5x5"])
def test_a_probe_holds_the_loss_the_penalty_and_the_weights_of_each_layer(key):
    probe = freshness.probe(chapters.find("full", key))
    assert list(probe) == ["loss", "penalty", "weights"]
    assert 0 < probe["loss"] < 2.31
    assert (probe["penalty"] > 0) == (key == "part1/l2_1e-2")
    assert len(probe["weights"]) == 3  # of three affine layers, or a convolutional and two


def test_a_probe_is_twenty_updates(monkeypatch, general_path):
    seen = []
    update = learning_rules.MomentumLearningRule.update_params
    monkeypatch.setattr(
        learning_rules.MomentumLearningRule,
        "update_params",
        lambda self, grads: (seen.append(1), update(self, grads)),
    )
    freshness.probe(tiny_arm(max_num_batches=3))  # further passes if one has too few batches
    assert len(seen) == 20


def test_a_probe_takes_the_digits_and_float64_whatever_the_arm():
    changes = {"name": "other", "data": "mnist", "protocol": "2016", "dtype": "float32"}
    assert freshness.probe(tiny_arm(**changes)) == freshness.probe(tiny_arm())


def test_no_two_arms_that_do_different_things_have_the_same_probe():
    probes = {}
    for arm in chapters.arms("full"):
        if arm.part != "starts":
            probes.setdefault(str(freshness.known_probe(arm)), []).append(arm.name)
    alike = sorted(sorted(names) for names in probes.values() if len(names) > 1)
    # Alike but for their start states; and 10 batches of 100 are all that the digits have.
    sizes = ["size_1000", "size_10000", "size_5000"]
    assert alike == [["initial_data", "nn", *sizes], ["random_distortion", "sigma_4"]]


# ---- Probes that are kept -------------------------------------------------------------------


@pytest.fixture
def file(tmp_path, monkeypatch, fresh_probes):
    """A file in which probes are kept, and how often a probe is computed."""
    path = tmp_path / "cache" / "probes.json"
    monkeypatch.setenv(freshness.SWITCH, str(path))
    return path


@pytest.fixture
def computed(monkeypatch):
    """The names of the data of the probes that are computed."""
    calls, right = [], freshness.probe
    monkeypatch.setattr(freshness, "probe", lambda arm: (calls.append(arm.data), right(arm))[1])
    return calls


def test_a_probe_is_computed_once_for_all_processes_of_one_state(file, computed, monkeypatch):
    first = freshness.known_probe(ARM)
    for known in (lambda: None, freshness.forget):
        known()
        assert freshness.known_probe(ARM) == freshness.known_probe(quick_arm(num_epochs=3)) == first
    assert computed == ["digits"]
    assert [path.name for path in file.parent.iterdir()] == ["probes.json"]
    freshness.forget()
    monkeypatch.setattr(freshness, "_state", lambda: "other code")
    assert freshness.known_probe(ARM) == first
    assert len(computed) == 2
    assert json.loads(file.read_text("utf-8"))["state"] == "other code"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", b"[" * 200_000, b'{"state": "STATE", "probes": {"KEY": 1}}']
)
def test_a_damaged_file_is_ignored_and_replaced(file, computed, content):
    file.parent.mkdir()
    key = msgspec.json.encode(freshness._probed(ARM)).replace(b'"', b'\\"')
    content = content.replace(b"STATE", freshness._state().encode()).replace(b"KEY", key)
    file.write_bytes(content)
    first = freshness.known_probe(ARM)
    freshness.forget()
    assert freshness.known_probe(ARM) == first
    assert computed == ["digits"]


@pytest.mark.parametrize("place", ["", "/dev/null/probes.json"])
def test_probes_that_cannot_be_kept_are_computed(monkeypatch, fresh_probes, computed, place):
    monkeypatch.setenv(freshness.SWITCH, place)
    assert freshness.known_probe(ARM) == freshness.known_probe(ARM)
    assert computed == ["digits"]


def test_the_usual_place_is_the_user_s_cache(monkeypatch):
    monkeypatch.delenv(freshness.SWITCH)
    assert freshness._path().parts[-2:] == ("mlpcw", "probes.json")


@pytest.mark.parametrize("change", ["a source", "a library", "the compiler"])
def test_the_state_is_another_after_a_change(monkeypatch, tmp_path, change):
    right = freshness._state.__wrapped__
    before = right()
    assert right() == before
    if change == "a source":
        (tmp_path / "__init__.py").write_text("", encoding="utf-8")
        monkeypatch.setattr(freshness.mlpcw, "__file__", str(tmp_path / "__init__.py"))
    else:
        here = freshness.machine(compiled.enabled())
        changed = {"scipy": "0.1"} if change == "a library" else {"numba": "none "}
        monkeypatch.setattr(freshness, "machine", lambda _: here | changed)
    assert right() != before


# ---- The code has changed -------------------------------------------------------------------

QUICK = chapters.arms("quick", num_epochs=1)
KEYS = {arm.key for arm in QUICK}
WITH_L1 = {arm.key for arm in QUICK if arm.penalty and arm.penalty.l1}
WITH_L2 = {arm.key for arm in QUICK if arm.penalty and arm.penalty.l2}
WITH_BOTH = WITH_L1 & WITH_L2
CONVOLUTIONAL = {arm.key for arm in QUICK if arm.convolution}
WITH_DISTORTION = {"part2/random_distortion", "part2/sigma_1", "part2/sigma_4", "part2/sigma_10"}


@pytest.fixture(scope="module")
def all_kept(tmp_path_factory):
    """A store in which every quick arm has a good record."""
    kept = open_store("quick", tmp_path_factory.mktemp("all"), 1)
    for arm in QUICK:
        kept.write(forged(arm))
    return kept


@pytest.fixture
def stale(all_kept, fresh_probes):
    """Which arms the store finds stale, by the code as it now is."""

    def find():
        freshness.forget()
        findings = all_kept.find_all(num_seeds=1)
        assert {finding.state for finding in findings} <= {State.DONE, State.STALE}
        return {finding.arm.key for finding in findings if finding.state is State.STALE}

    return find


def scaled(function, share):
    """The same function with results wrong by a share."""

    def wrong(*args, **kwargs):
        return function(*args, **kwargs) * (1 + share)

    return wrong


def scaled_biases(function, share):
    """The gradients of an affine layer, those of the biases wrong by a share."""

    def wrong(*args):
        weights, biases = function(*args)
        return [weights, biases * (1 + share)]

    return wrong


def scaled_momentum(function, share):
    """An update by a momentum that is wrong by a share, past its check."""

    def wrong(rule, grads_wrt_params):
        rule._mom_coeff = 0.9 * (1 + share)
        function(rule, grads_wrt_params)

    return wrong


Momentum = learning_rules.MomentumLearningRule
CHANGES = {
    "L1 gradient": (penalties.L1Penalty, "grad", scaled, 1e-3, WITH_L1),
    "L2 gradient": (penalties.L2Penalty, "grad", scaled, 1e-3, WITH_L2),
    "gradient of both": (penalties.L1L2Penalty, "grad", scaled, 1e-3, WITH_BOTH),
    "L1 value": (penalties.L1Penalty, "__call__", scaled, 1e-6, WITH_L1),
    "kernel gradient": (conv, "grad_kernels", scaled, 1e-6, CONVOLUTIONAL),
    "convolution": (conv, "convolve", scaled, 1e-6, CONVOLUTIONAL),
    "kernel gradient of 2016": (
        *(as_run.FirstImageConvolutionalLayer, "_grads_wrt_kernels", scaled, 1e-6),
        {"part3/cnn_5x5_first_image"},
    ),
    "rotation": (augmenters, "random_rotation", scaled, 1e-6, {"part2/random_rotation"}),
    "distortion": (augmenters, "random_distortion", scaled, 1e-6, WITH_DISTORTION),
    "noise of 2016": (as_run, "noise_2016", scaled, 1e-6, {"part2/random_noise"}),
    "shift of 2016": (as_run, "shift_2016", scaled, 1e-6, {"part2/random_shift"}),
    "gradient of the error": (errors.CrossEntropySoftmaxError, "grad", scaled, 1e-6, KEYS),
    "affine outputs": (layers.AffineLayer, "fprop", scaled, 1e-6, KEYS),
    "affine gradient to inputs": (layers.AffineLayer, "bprop", scaled, 1e-6, KEYS),
    "biases": (layers.AffineLayer, "grads_wrt_params", scaled_biases, 1e-6, KEYS),
    "momentum": (Momentum, "update_params", scaled_momentum, -2.0, KEYS),
    "initial scale": (initialisers.GlorotUniformInit, "__call__", scaled, 1e-6, KEYS),
}


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "share", "touched"), CHANGES.values(), ids=CHANGES
)
def test_a_change_makes_exactly_the_runs_stale_that_it_touches(
    stale, monkeypatch, general_path, owner, name, wrong, share, touched
):
    monkeypatch.setattr(owner, name, wrong(getattr(owner, name), share))
    assert stale() == touched


def scaled_argument(index):
    """Makes a function with one of its arguments, a number, wrong by a share."""

    def scaled(function, share):
        def wrong(*args):
            return function(*args[:index], args[index] * (1 + share), *args[index + 1 :])

        return wrong

    return scaled


# The layer of 2016 takes the general path.
FUSED = {key for key in KEYS if "first_image" not in key}
FUSED_CHANGES = {
    "product": (True, updates.Blas, "add_product", scaled_argument(1), 1e-6, FUSED),
    "biases": (True, step_kernels, "update_biases", scaled_argument(3), 1e-6, FUSED),
    "penalty": (True, step_kernels, "decay", scaled_argument(3), 1e-3, WITH_L1),
    "momentum": (True, step_kernels, "decay", scaled_argument(2), 1e-6, FUSED),
    "product, not compiled": (False, updates.Blas, "add_product", scaled_argument(1), 1e-6, FUSED),
    "biases, not compiled": (False, updates.Blas, "add_rows", scaled_argument(1), 1e-6, FUSED),
    "signs, not compiled": (False, updates.Blas, "signs", scaled, 1e-3, WITH_L1),
}


@pytest.mark.parametrize(
    ("use_kernels", "owner", "name", "wrong", "share", "touched"),
    FUSED_CHANGES.values(),
    ids=FUSED_CHANGES,
)
def test_a_change_of_the_fused_step_makes_exactly_the_runs_stale_that_it_touches(
    stale, monkeypatch, use_kernels, owner, name, wrong, share, touched
):
    if use_kernels and not compiled.enabled():
        pytest.skip("no compiler")
    monkeypatch.setattr(compiled, "enabled", lambda: use_kernels)
    monkeypatch.setattr(owner, name, wrong(getattr(owner, name), share))
    assert stale() == touched


def test_a_penalty_wrong_by_a_millionth_is_seen_where_it_is_strong(
    stale, monkeypatch, general_path
):
    grad = penalties.L1Penalty.grad
    monkeypatch.setattr(penalties.L1Penalty, "grad", scaled(grad, 1e-6))
    assert {"part1/l1_1e-3", "part1/l1l2_1e-3_1e-2"} <= stale() <= WITH_L1


def test_a_refactoring_that_changes_no_number_keeps_all_runs(stale, monkeypatch, general_path):
    """The same numbers, but for rounding, by other code."""

    def fprop(layer, inputs):
        return np.einsum("bi,oi->bo", np.asarray(inputs, dtype=float), layer.weights) + layer.biases

    def loop_convolve(inputs, kernels):
        return convolve(inputs, kernels, method="loop")

    convolve = conv.convolve
    monkeypatch.setattr(layers.AffineLayer, "fprop", fprop)
    monkeypatch.setattr(conv, "convolve", loop_convolve)
    monkeypatch.setattr(penalties.L2Penalty, "grad", lambda self, w: w * self.coefficient)
    assert stale() == set()


# ---- Records of other data ------------------------------------------------------------------


def of_other_data(record):
    return record | {"provenance": record["provenance"] | {"data_digest": "abc"}}


def test_records_of_other_data_are_named_stale_or_of_further_seeds_too(kept, monkeypatch):
    def refuse():
        raise AssertionError("MNIST was read")

    monkeypatch.setattr(mnist, "available", lambda: True)
    monkeypatch.setattr(mnist, "load", refuse)
    kept.write(forged(ARM))
    kept.write(of_other_data(outdated(ARM, 1)))
    kept.write(of_other_data(forged(ARM, 7)))
    assert freshness.other_data(kept.arms, kept.find_all() + kept.find_more()) == [
        f"other data: {kept.path(ARM, seed)} was trained on digits with digest abc,"
        f" not {mnist.digits().digest}"
        for seed in (1, 7)
    ]


def test_mnist_is_judged_only_if_it_is_at_hand(tmp_path, monkeypatch, digits_for_mnist):
    kept = open_store("full", tmp_path)
    path = kept.write(of_other_data(forged(chapters.find("full", "part1/none"), SEED_2016)))
    kept.write(forged(chapters.find("full", "part1/l1_1e-3"), SEED_2016))
    monkeypatch.setattr(mnist, "available", lambda: False)
    assert freshness.other_data(kept.arms, kept.find_all()) == []
    monkeypatch.setattr(mnist, "available", lambda: True)
    (sentence,) = freshness.other_data(kept.arms, kept.find_all())
    assert f"{path} was trained on mnist with digest abc" in sentence
