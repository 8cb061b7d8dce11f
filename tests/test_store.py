"""The store: a record is written whole or not at all, and what is not a whole record is found.

Whatever happens to a file, the store says what is wrong with it in one line that names it, leaves
it where it is and never fails itself.
"""

import copy
import dataclasses
import json
import math
import os
import shutil
import stat
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import forged, quick_arm

from mlpcw import (
    augmenters,
    conv,
    errors,
    kernels,
    layers,
    learning_rules,
    mnist,
    penalties,
    steps,
)
from mlpcw.study import arms, replay, store, training
from mlpcw.study.store import DamagedRecordError, State, Store

ARM = quick_arm()
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4)
    ),
    max_leaves=10,
)


@pytest.fixture
def kept(tmp_path):
    """A store of runs of the quick profile, one epoch long."""
    return Store(tmp_path, "quick", 1)


@pytest.fixture
def path(kept):
    """Where a good record is."""
    return kept.write(forged(ARM))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that the examples of one test share."""
    return tmp_path_factory.mktemp("results")


def damaged(kept, path):
    """Asserts that the file is found damaged and left as it is; returns what is said of it."""
    before = path.read_bytes() if path.is_file() else None
    finding = kept.find(ARM, 0)
    assert finding.state is State.DAMAGED
    assert finding.record is None
    assert finding.reason.startswith(f"{path} ")
    assert finding.reason.isprintable()
    assert len(finding.reason) < 900
    if before is not None:
        assert path.read_bytes() == before
    return finding.reason


def overwrite(path, record):
    """Puts a record in a file as it stands, unchecked, with its digest where it can have one."""
    try:
        text = store.sealed(record)
    except (TypeError, ValueError):  # no object, or with a number or a letter that has no digest
        text = json.dumps(record)
    path.write_text(text, encoding="utf-8")


# ---- Written and read -----------------------------------------------------------------------


def test_a_record_is_at_profile_part_arm_and_seed(tmp_path):
    assert Store(tmp_path, "full").path(ARM, 7) == tmp_path / "full" / "part1" / "none" / "7.json"


def test_what_is_written_is_read_back(kept, path):
    assert path == kept.path(ARM, 0)
    assert store.read_record(path) == forged(ARM)


@given(st.lists(FLOATS, min_size=2, max_size=2), FLOATS)
def test_floats_are_read_back_bit_for_bit(folder, curve, error):
    record = forged(ARM)
    record["curves"]["error_train"] = curve
    record["test"]["error"] = error
    read = store.read_record(Store(folder, "quick", 1).write(record))
    found = [*read["curves"]["error_train"], read["test"]["error"]]
    np.testing.assert_array_equal(
        np.array(found, float).view(np.int64), np.array([*curve, error], float).view(np.int64)
    )


def test_keys_are_sorted_and_a_curve_has_a_line(path):
    lines = path.read_text("utf-8").splitlines()
    top = [line.split('"')[1] for line in lines if line.startswith(' "')]
    assert top == sorted(top)
    assert '  "error_valid": [0.5, 0.5],' in lines
    assert '  "counts": [1, 2, 3],' in lines


def test_the_same_content_is_the_same_to_the_byte(kept, path):
    before = path.read_bytes()
    backwards = dict(reversed(forged(ARM).items()))
    backwards["curves"] = dict(reversed(backwards["curves"].items()))
    kept.write(backwards)
    assert path.read_bytes() == before


def test_a_record_that_was_read_is_written_the_same(kept, path):
    before = path.read_bytes()
    kept.write(store.read_record(path))
    assert path.read_bytes() == before


def test_a_record_ends_with_its_line(path):
    assert path.read_bytes().endswith(b"\n}\n")


def test_everyone_may_read_a_record(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_new_record_replaces_the_old_one(kept, path):
    record = forged(ARM)
    record["test"]["error"] = 0.125
    kept.write(record)
    assert kept.find(ARM, 0).record["test"]["error"] == 0.125


@given(JSON)
def test_any_plain_value_is_written_as_json(value):
    try:
        text = store.dumps(value)
    except ValueError:  # infinite, or not a number
        return
    assert json.loads(text) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_is_not_written(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.dumps({"curve": [1.0, value]})


# ---- A write that fails ---------------------------------------------------------------------


def fails(*_):
    raise OSError(28, "No space left on device")


def interrupted(*_):
    raise KeyboardInterrupt


def files(kept):
    return sorted(path for path in kept.folder.rglob("*") if path.is_file())


def test_a_write_leaves_no_other_file(kept, path):
    assert files(kept) == [path]


@pytest.mark.parametrize("step", ["replace", "fsync", "chmod"])
@pytest.mark.parametrize(("how", "error"), [(fails, OSError), (interrupted, KeyboardInterrupt)])
def test_a_write_that_fails_leaves_the_old_file_alone(kept, path, monkeypatch, step, how, error):
    before = path.read_bytes()
    record = forged(ARM)
    record["test"]["error"] = 0.125
    monkeypatch.setattr(os, step, how)
    with pytest.raises(error):
        kept.write(record)
    assert files(kept) == [path]
    assert path.read_bytes() == before


def test_what_is_not_whole_is_not_written(kept, path):
    record = forged(ARM)
    del record["test"]
    with pytest.raises(DamagedRecordError, match="missing or unknown fields: test"):
        kept.write(record)
    assert kept.find(ARM, 0).state is State.DONE


def test_a_number_that_is_not_finite_is_not_written(kept):
    record = forged(ARM)
    record["test"]["error"] = math.nan
    with pytest.raises(DamagedRecordError, match="its test has a value that is no finite number"):
        kept.write(record)
    assert files(kept) == []


# ---- Done and missing -----------------------------------------------------------------------


def test_a_good_record_is_done(kept, path):
    finding = kept.find(ARM, 0)
    assert (finding.arm, finding.seed, finding.path) == (ARM, 0, path)
    assert (finding.state, finding.reason) == (State.DONE, "")
    assert finding.record == forged(ARM)


def test_a_run_without_a_file_is_missing(kept):
    finding = kept.find(ARM, 0)
    assert (finding.state, finding.reason, finding.record) == (State.MISSING, "", None)


# ---- Damaged --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"error_valid": [0.5, 0.5]', '"error_valid": [0.5, 0.4]'),
        ('"acc": 0.75', '"acc": 0.76'),
        ('"counts": [1, 2, 3]', '"counts": [1, 2, 4]'),
        ('"learning_rate": 0.01', '"learning_rate": 0.02'),
        ('"wall": 1.5', '"wall": 9.5'),
        ('"data": "digits",\n  "data_digest": "', '"data": "digits",\n  "data_digest": "0'),
    ],
)
def test_one_changed_character_is_noticed(kept, path, before, after):
    text = path.read_text("utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), encoding="utf-8")
    assert "its content is not the one that its digest was taken of" in damaged(kept, path)


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace('"acc": 0.75', '"acc": 0.750'),
        lambda text: text.replace('"acc": 0.75', '"acc": 0.75000000000000001'),
        lambda text: text.replace('"seed": 0', '"seed": 1,\n "seed": 0'),
        lambda text: text.replace('"seed": 0', '"seed":0'),
        lambda text: text + " ",
        lambda text: text[:-1],
    ],
)
def test_another_text_of_the_same_content_is_damaged(kept, path, rewrite):
    text = path.read_text("utf-8")
    assert rewrite(text) != text
    path.write_text(rewrite(text), encoding="utf-8")
    assert "it is not written as the store writes its content" in damaged(kept, path)


def test_a_record_without_a_digest_is_damaged(kept, path):
    path.write_text(store.dumps(forged(ARM)), encoding="utf-8")
    assert "is not a whole record: it has no digest" in damaged(kept, path)


@pytest.mark.parametrize("digest", [None, 1, "", "0" * 64, ["0"], {}])
def test_a_wrong_digest_is_damaged(kept, path, digest):
    path.write_text(store.dumps(forged(ARM) | {"digest": digest}), encoding="utf-8")
    assert "digest" in damaged(kept, path)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff\xfe", b"{}", b"[]", b"null", b"7"])
def test_a_file_that_is_no_record_is_damaged(kept, path, content):
    path.write_bytes(content)
    assert "is not a" in damaged(kept, path)


def test_a_file_of_brackets_without_end_is_damaged(kept, path):
    path.write_text("[" * 200_000, encoding="utf-8")
    assert "is not a readable record" in damaged(kept, path)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400]
)
@pytest.mark.parametrize("place", ['"error": 0.25', '"wall": 1.5'])
def test_a_number_that_is_not_finite_is_damaged(kept, path, number, place):
    text = json.dumps(forged(ARM))
    assert place in text
    path.write_text(text.replace(place, place.split(":")[0] + ": " + number), encoding="utf-8")
    damaged(kept, path)


def test_a_record_with_a_number_that_is_not_one_says_which(kept, path):
    path.write_text(json.dumps(forged(ARM)).replace("0.25", "NaN"), encoding="utf-8")
    assert "it holds NaN, which is no number of a record" in damaged(kept, path)


def test_another_arm_s_record_is_damaged(kept, path):
    overwrite(path, forged(quick_arm("part1/l2_1e-2")))
    assert "holds the run part1/l2_1e-2 with seed 0, not part1/none with 0" in damaged(kept, path)


def test_another_seed_s_record_is_damaged(kept, path):
    overwrite(path, forged(ARM, seed=1))
    assert "holds the run part1/none with seed 1, not part1/none with 0" in damaged(kept, path)


def test_another_run_s_record_is_named_in_short(kept, path):
    record = forged(ARM, seed=10**4000)
    record["arm"]["name"] = "z" * 5000
    overwrite(path, record)
    assert "holds the run part1/zzz" in damaged(kept, path)


@pytest.mark.parametrize("schema", [2, 0, "1", True, 1.0, None])
def test_a_record_of_another_schema_is_damaged(kept, path, schema):
    overwrite(path, forged(ARM) | {"schema": schema, "new": 1})
    assert f"its schema is {schema!r}, this version has 1" in damaged(kept, path)


@pytest.mark.parametrize("field", sorted(forged(ARM)))
def test_a_record_without_a_field_is_damaged_and_the_field_named(kept, path, field):
    record = forged(ARM)
    del record[field]
    overwrite(path, record)
    assert field in damaged(kept, path)


def test_a_field_that_no_record_has_is_named_in_plain_characters(kept, path):
    overwrite(path, forged(ARM) | {"\ud800\n\x1b[31m": 1})
    assert "missing or unknown fields: ???[31m" in damaged(kept, path)


def test_a_field_without_end_is_named_in_short(kept, path):
    overwrite(path, forged(ARM) | {"z" * 5000: 1})
    assert damaged(kept, path).endswith("zzz ...")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("arm", {}, "its arm is wrong: Arm has missing or unknown fields: "),
        ("seed", "0", "its seed is '0', not a whole number"),
        ("seed", True, "its seed is True, not a whole number"),
        ("curves", [], "its curves are not acc_train, acc_valid, epoch, "),
        ("test", {"error": 1.0}, "its test is not acc, error"),
        ("test", {"error": 1.0, "acc": "1"}, "its test has a value that is no finite number"),
        ("seconds", None, "its seconds is not cpu, wall"),
        ("weights", {}, "its weights are not bin_width, counts, first_bin"),
        ("probe", 1.0, "its probe or its provenance is not an object"),
        ("provenance", [], "its probe or its provenance is not an object"),
    ],
)
def test_a_field_of_the_wrong_kind_is_damaged(kept, path, field, value, reason):
    overwrite(path, forged(ARM) | {field: value})
    assert reason in damaged(kept, path)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("epoch", [0, 2], "its curves are not at the epochs of its arm"),
        ("epoch", [0], "its curve epoch does not have 2 values"),
        ("acc_valid", [0.5], "its curve acc_valid does not have 2 values"),
        ("acc_valid", "ab", "its curve acc_valid does not have 2 values"),
        ("acc_valid", [0.5, None], "its curve acc_valid has a value that is no finite number"),
        ("acc_valid", [0.5, True], "its curve acc_valid has a value that is no finite number"),
        ("acc_train_clean", [0.5, 0.5], "its curves are not acc_train, acc_valid, epoch, "),
    ],
)
def test_a_curve_that_cannot_be_is_damaged(kept, path, name, values, reason):
    record = forged(ARM)
    record["curves"][name] = values
    overwrite(path, record)
    assert reason in damaged(kept, path)


def test_an_augmented_run_needs_its_clean_curves(kept):
    arm = quick_arm("part2/random_noise")
    record = forged(arm)
    path = kept.write(record)
    del record["curves"]["error_train_clean"]
    overwrite(path, record)
    finding = kept.find(arm, 0)
    assert finding.state is State.DAMAGED
    assert "acc_train_clean, acc_valid, epoch, error_train, error_train_clean" in finding.reason


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("counts", [], "its histogram of weights is not made of whole numbers"),
        ("counts", [1, -1], "its histogram of weights is not made of whole numbers"),
        ("counts", [1.0], "its histogram of weights is not made of whole numbers"),
        ("first_bin", 0.5, "its histogram of weights is not made of whole numbers"),
        ("bin_width", 0, "its histogram of weights has no positive bin width"),
        ("bin_width", "1", "its histogram of weights has no positive bin width"),
    ],
)
def test_a_histogram_that_cannot_be_is_damaged(kept, path, field, value, reason):
    record = forged(ARM)
    record["weights"][field] = value
    overwrite(path, record)
    assert reason in damaged(kept, path)


@pytest.mark.parametrize("num_epochs", [10**9, 10**30])
def test_a_record_that_asks_for_endless_curves_is_damaged_at_once(kept, path, num_epochs):
    record = forged(ARM)
    record["arm"]["num_epochs"] = num_epochs
    overwrite(path, record)
    assert f" does not have {num_epochs + 1} values" in damaged(kept, path)


def test_a_record_of_an_arm_whose_name_leads_elsewhere_is_damaged(kept, path):
    record = forged(ARM)
    record["arm"]["name"] = "../../../elsewhere"
    overwrite(path, record)
    assert "its arm is wrong: name must be letters, digits" in damaged(kept, path)


def test_a_folder_in_the_place_of_a_record_is_damaged(kept, path):
    path.unlink()
    path.mkdir()
    assert damaged(kept, path).endswith("is not a whole record: it is no plain file")


def test_a_pipe_in_the_place_of_a_record_is_damaged_and_not_waited_for(kept, path):
    path.unlink()
    os.mkfifo(path)
    assert damaged(kept, path).endswith("is not a whole record: it is no plain file")


def test_a_file_without_end_is_damaged_and_not_read(kept, path):
    with path.open("ab") as file:
        file.truncate(2**40)
    finding = kept.find(ARM, 0)
    assert finding.state is State.DAMAGED
    assert finding.reason.endswith(f"its file has {2**40} bytes, a record has at most {2**24}")


def test_a_file_in_the_place_of_a_folder_is_damaged(kept, path):
    shutil.rmtree(path.parent)
    path.parent.write_text("in the way", encoding="utf-8")
    assert damaged(kept, path).endswith("cannot be read: Not a directory")


def test_a_link_that_leads_to_itself_is_damaged(kept, path):
    path.unlink()
    path.symlink_to(path)
    assert "cannot be read: Too many levels" in damaged(kept, path)


def test_a_file_that_may_not_be_read_is_damaged(kept, path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert damaged(kept, path).endswith("cannot be read: Permission denied")


@given(JSON)
def test_json_of_any_shape_is_damaged(folder, value):
    kept = Store(folder, "quick", 1)
    path = kept.write(forged(ARM))
    overwrite(path, value)
    damaged(kept, path)


def places(value, place=()):
    """Every place in nested lists and objects, as a tuple of keys."""
    yield place
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*place, key))


@given(st.sampled_from(list(places(forged(ARM)))[1:]), JSON)
def test_a_record_with_anything_anywhere_never_makes_the_store_fail(folder, place, value):
    kept = Store(folder, "quick", 1)
    record = copy.deepcopy(forged(ARM))
    holder = record
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    path = kept.write(forged(ARM))
    overwrite(path, record)
    finding = kept.find(ARM, 0)
    if finding.state is State.DAMAGED:
        damaged(kept, path)
    elif finding.state is State.STALE:
        assert place[0] in ("arm", "probe")
        assert finding.reason.isprintable()


# ---- Stale: another arm, another probe ------------------------------------------------------


def test_a_record_of_another_setting_is_stale_and_the_setting_named(kept):
    kept.write(forged(dataclasses.replace(ARM, learning_rate=0.02)))
    finding = kept.find(ARM, 0)
    assert finding.state is State.STALE
    assert finding.reason == "its arm has learning_rate 0.02, now it is 0.01"
    assert finding.record is not None


def test_another_setting_without_end_is_named_in_short(kept):
    record = forged(ARM)
    record["arm"]["hidden_dims"] = [10**400, 10**400]
    kept.write(record)
    finding = kept.find(ARM, 0)
    assert finding.state is State.STALE
    assert finding.reason.startswith("its arm has hidden_dims [1000000")
    assert finding.reason.endswith("000 ..., now it is [100, 100]")


@pytest.mark.parametrize("name", ["loss", "weights"])
def test_a_probe_that_differs_by_a_hundred_millionth_is_stale(kept, name):
    record = copy.deepcopy(forged(ARM))
    held = record["probe"][name]
    record["probe"][name] = (
        held * (1 + 1e-8) if name == "loss" else [*held[:-1], held[-1] * (1 + 1e-8)]
    )
    kept.write(record)
    finding = kept.find(ARM, 0)
    assert finding.state is State.STALE
    assert finding.reason.startswith(f"its probe has {name} ")
    assert ", the code now gives " in finding.reason


def test_a_probe_that_differs_by_rounding_is_fresh(kept):
    record = copy.deepcopy(forged(ARM))
    record["probe"]["loss"] *= 1 + 1e-10
    record["probe"]["weights"][0] *= 1 - 1e-10
    kept.write(record)
    assert kept.find(ARM, 0).state is State.DONE


@pytest.mark.parametrize(
    "probe", [{}, {"loss": None}, {"loss": "2.3\n"}, {"loss": math.pi, "weights": 1.0}]
)
def test_a_probe_of_another_kind_is_stale(kept, probe):
    kept.write(forged(ARM) | {"probe": probe})
    finding = kept.find(ARM, 0)
    assert finding.state is State.STALE
    assert finding.reason.isprintable()


def test_a_probe_with_another_number_of_layers_is_stale(kept):
    record = copy.deepcopy(forged(ARM))
    record["probe"]["weights"].append(1.0)
    kept.write(record)
    assert kept.find(ARM, 0).state is State.STALE


# ---- Stale: the code has changed ------------------------------------------------------------

QUICK = arms.arms("quick", num_epochs=1)
KEYS = {arm.key for arm in QUICK}
WITH_L1 = {arm.key for arm in QUICK if arm.penalty and arm.penalty.l1}
WITH_L2 = {arm.key for arm in QUICK if arm.penalty and arm.penalty.l2}
WITH_BOTH = WITH_L1 & WITH_L2
CONVOLUTIONAL = {arm.key for arm in QUICK if arm.convolution}
WITH_DISTORTION = {"part2/random_distortion", "part2/sigma_1", "part2/sigma_4", "part2/sigma_10"}


@pytest.fixture(scope="module")
def all_kept(tmp_path_factory):
    """A store in which every quick arm has a good record."""
    kept = Store(tmp_path_factory.mktemp("all"), "quick", 1)
    for arm in QUICK:
        kept.write(forged(arm))
    return kept


@pytest.fixture
def stale(all_kept):
    """Which arms the store finds stale, by the code as it now is."""

    def find():
        training.probe.cache_clear()
        findings = all_kept.find_all(num_seeds=1)
        assert {finding.state for finding in findings} <= {State.DONE, State.STALE}
        return {finding.arm.key for finding in findings if finding.state is State.STALE}

    yield find
    training.probe.cache_clear()


@pytest.fixture
def general_path(monkeypatch):
    """Leaves fused steps out, so that layers, penalties and rules compute by their own methods."""
    monkeypatch.setattr(steps, "make_step", lambda *_: None)
    monkeypatch.setattr(steps, "make_forward", lambda *_: None)


def scaled(function, share):
    """The same function with results wrong by a share."""

    def wrong(*args, **kwargs):
        return function(*args, **kwargs) * (1 + share)

    return wrong


def scaled_bias_gradient(layer, inputs, grads_wrt_outputs):
    weights, biases = AFFINE_GRADS(layer, inputs, grads_wrt_outputs)
    return [weights, biases * (1 + 1e-6)]


AFFINE_GRADS = layers.AffineLayer.grads_wrt_params

CHANGES = {
    "L1 gradient": (penalties.L1Penalty, "grad", 1e-3, WITH_L1),
    "L2 gradient": (penalties.L2Penalty, "grad", 1e-3, WITH_L2),
    "gradient of both": (penalties.L1L2Penalty, "grad", 1e-3, WITH_BOTH),
    "L1 value": (penalties.L1Penalty, "__call__", 1e-6, WITH_L1),
    "kernel gradient": (conv, "grad_kernels", 1e-6, CONVOLUTIONAL),
    "convolution": (conv, "convolve", 1e-6, CONVOLUTIONAL),
    "kernel gradient of 2016": (
        *(replay.FirstImageConvolutionalLayer, "_grads_wrt_kernels", 1e-6),
        {"part3/cnn_5x5_first_image"},
    ),
    "rotation": (augmenters, "random_rotation", 1e-6, {"part2/random_rotation"}),
    "distortion": (augmenters, "random_distortion", 1e-6, WITH_DISTORTION),
    "noise of 2016": (replay, "noise_2016", 1e-6, {"part2/random_noise"}),
    "shift of 2016": (replay, "shift_2016", 1e-6, {"part2/random_shift"}),
    "gradient of the error": (errors.CrossEntropySoftmaxError, "grad", 1e-6, KEYS),
    "affine outputs": (layers.AffineLayer, "fprop", 1e-6, KEYS),
    "affine gradient to inputs": (layers.AffineLayer, "bprop", 1e-6, KEYS),
}


@pytest.mark.parametrize(("owner", "name", "share", "touched"), CHANGES.values(), ids=CHANGES)
def test_a_change_makes_exactly_the_runs_stale_that_it_touches(
    stale, monkeypatch, general_path, owner, name, share, touched
):
    monkeypatch.setattr(owner, name, scaled(getattr(owner, name), share))
    assert stale() == touched


def scaled_argument(index):
    """Makes a function with one of its arguments, a number, wrong by a share."""

    def scaled(function, share):
        def wrong(*args):
            return function(*args[:index], args[index] * (1 + share), *args[index + 1 :])

        return wrong

    return scaled


# The layer of the replay takes the general path.
FUSED = {key for key in KEYS if "first_image" not in key}
FUSED_CHANGES = {
    "product": (True, steps._Blas, "add_product", scaled_argument(1), 1e-6, FUSED),
    "biases": (True, kernels, "update_biases", scaled_argument(3), 1e-6, FUSED),
    "penalty": (True, kernels, "decay", scaled_argument(3), 1e-3, WITH_L1),
    "momentum": (True, kernels, "decay", scaled_argument(2), 1e-6, FUSED),
    "product, not compiled": (False, steps._Blas, "add_product", scaled_argument(1), 1e-6, FUSED),
    "biases, not compiled": (False, steps._Blas, "add_rows", scaled_argument(1), 1e-6, FUSED),
    "signs, not compiled": (False, steps._Blas, "signs", scaled, 1e-3, WITH_L1),
}


@pytest.mark.parametrize(
    ("compiled", "owner", "name", "wrong", "share", "touched"),
    FUSED_CHANGES.values(),
    ids=FUSED_CHANGES,
)
def test_a_change_of_the_fused_step_makes_exactly_the_runs_stale_that_it_touches(
    stale, monkeypatch, compiled, owner, name, wrong, share, touched
):
    if compiled and not kernels.compiled():
        pytest.skip("no compiler")
    monkeypatch.setattr(kernels, "compiled", lambda: compiled)
    monkeypatch.setattr(owner, name, wrong(getattr(owner, name), share))
    assert stale() == touched


def test_a_wrong_gradient_of_the_biases_makes_all_runs_stale(stale, monkeypatch, general_path):
    monkeypatch.setattr(layers.AffineLayer, "grads_wrt_params", scaled_bias_gradient)
    assert stale() == KEYS


def test_a_penalty_wrong_by_a_millionth_is_seen_where_it_is_strong(
    stale, monkeypatch, general_path
):
    grad = penalties.L1Penalty.grad
    monkeypatch.setattr(penalties.L1Penalty, "grad", scaled(grad, 1e-6))
    assert {"part1/l1_1e-3", "part1/l1l2_1e-3_1e-2"} <= stale() <= WITH_L1


def test_momentum_of_the_wrong_sign_makes_all_runs_stale(stale, monkeypatch, general_path):
    def update_params(rule, grads_wrt_params):
        rule._mom_coeff = -0.9  # past the check
        right(rule, grads_wrt_params)

    right = learning_rules.MomentumLearningRule.update_params
    monkeypatch.setattr(learning_rules.MomentumLearningRule, "update_params", update_params)
    assert stale() == KEYS


def test_another_initial_scale_makes_all_runs_stale(stale, monkeypatch):
    call = training.GlorotUniformInit.__call__
    monkeypatch.setattr(training.GlorotUniformInit, "__call__", scaled(call, 1e-6))
    assert stale() == KEYS


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


# ---- Profiles, parts and seeds --------------------------------------------------------------


def test_a_short_run_is_kept_apart_and_never_replaces_a_long_one(tmp_path):
    long, short = Store(tmp_path, "quick"), Store(tmp_path, "quick", 1)
    arm = arms.find("quick", "part1/none")
    path = long.write(forged(arm))
    before = path.read_bytes()
    assert short.write(forged(ARM)) == tmp_path / "quick-1-epochs" / "part1" / "none" / "0.json"
    assert path.read_bytes() == before
    assert long.find(arm, 0).state is short.find(ARM, 0).state is State.DONE


def test_all_runs_are_found_in_the_order_of_the_arms_and_seeds(kept):
    found = [(finding.arm.key, finding.seed) for finding in kept.find_all(["part3", "part1"])]
    wanted = [*kept.arms("part3"), *kept.arms("part1")]
    assert found == [(arm.key, seed) for arm in wanted for seed in (0, 1, 2)]


def test_no_part_means_all_parts(kept):
    assert len(kept.find_all()) == 3 * len(QUICK)


def test_a_part_named_twice_is_found_once(kept):
    assert len(kept.find_all(["part1", "part1"])) == 3 * 7


def test_as_many_seeds_are_found_as_asked_for(kept):
    assert {finding.seed for finding in kept.find_all(num_seeds=2)} == {0, 1}


def test_runs_with_further_seeds_are_found_too(kept, path):
    for seed in (2, 3, 12):
        kept.write(forged(ARM, seed))
    kept.path(ARM, 12).write_text("{", encoding="utf-8")
    more = [(finding.arm, finding.seed, finding.state) for finding in kept.find_more()]
    assert more == [(ARM, 12, State.DAMAGED), (ARM, 3, State.DONE)]


# ---- Files that are no runs -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "part1/none.json",
        "part1/none/notes.txt",
        "part1/none/first.json",
        "part1/none/00.json",
        "part1/none/-1.json",
        "part1/none/0.json.bak",
        "part1/unheard_of/0.json",
        "part2/none/0.json",
        "deeper/part1/none/0.json",
        "part1/none/\udcff.json",
    ],
)
def test_a_file_that_is_no_run_is_named(kept, path, name):
    stranger = kept.folder / name
    stranger.parent.mkdir(parents=True, exist_ok=True)
    stranger.write_text("{}", encoding="utf-8")
    (sentence,) = kept.strangers()
    shown = str(stranger).replace("\udcff", "?")
    assert sentence == f"foreign: {shown} is not the record of a run of profile quick"


def test_good_records_and_hidden_files_are_no_strangers(kept, path):
    kept.write(forged(ARM, seed=40))
    (kept.folder / ".DS_Store").write_text("", encoding="utf-8")
    (path.parent / ".abc.tmp").write_text("", encoding="utf-8")
    assert kept.strangers() == []


def test_a_folder_that_is_not_there_has_no_strangers(tmp_path):
    assert Store(tmp_path / "nowhere", "quick").strangers() == []


def test_a_run_of_2016_has_one_seed_and_any_other_is_a_stranger(tmp_path):
    kept = Store(tmp_path, "full")
    arm = arms.find("full", "part1/none")
    kept.write(forged(arm, arms.SEED_2016))
    assert kept.strangers() == []
    path = kept.write(forged(arm, 1))
    assert kept.strangers() == [
        f"foreign: {path} is not the record of a run of profile full",
    ]


# ---- Records of other data ------------------------------------------------------------------


def test_a_record_of_the_data_at_hand_is_not_named(kept, path):
    assert kept.other_data() == []


def test_a_record_of_other_data_is_named_with_both_digests(kept):
    record = forged(ARM)
    record["provenance"]["data_digest"] = "abc"
    path = kept.write(record)
    assert kept.other_data() == [
        f"other data: {path} was trained on digits with digest abc, not {mnist.digits().digest}"
    ]


def test_a_record_that_does_not_say_its_data_is_named(kept):
    kept.write(forged(ARM) | {"provenance": {}})
    assert "with digest None" in kept.other_data()[0]


def test_records_of_data_that_are_not_at_hand_are_not_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "available", lambda: False)
    kept = Store(tmp_path, "full")
    kept.write(forged(arms.find("full", "part1/none"), arms.SEED_2016) | {"provenance": {}})
    assert kept.other_data() == []


def test_mnist_is_judged_where_it_is_at_hand(tmp_path, monkeypatch, digits_for_mnist):
    monkeypatch.setattr(mnist, "available", lambda: True)
    kept = Store(tmp_path, "full")
    good = forged(arms.find("full", "part1/none"), arms.SEED_2016)
    kept.write(good)
    assert kept.other_data() == []
    kept.write(good | {"provenance": {"data_digest": "abc"}})
    assert "was trained on mnist with digest abc" in kept.other_data()[0]


def test_mnist_is_not_read_for_a_profile_without_it(kept, path, monkeypatch):
    def refuse():
        raise AssertionError("MNIST was read")

    monkeypatch.setattr(mnist, "available", lambda: True)
    monkeypatch.setattr(mnist, "load", refuse)
    assert kept.other_data() == []


# ---- A folder that can be written to --------------------------------------------------------


def test_the_folder_is_made_where_it_is_not_there(tmp_path):
    kept = Store(tmp_path / "new" / "results", "quick")
    kept.check_writable()
    assert kept.folder.is_dir()
    assert list(kept.folder.iterdir()) == []


def test_a_folder_below_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    kept = Store(tmp_path / "file", "quick")
    message = rf"results must be a folder that can be written to, got {kept.folder}: Not a direct"
    with pytest.raises(ValueError, match=message):
        kept.check_writable()


def test_a_folder_that_may_not_be_written_to_is_refused_by_name(kept, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store.tempfile, "TemporaryFile", refuse)
    with pytest.raises(ValueError, match=rf"got {kept.folder}: Permission denied$"):
        kept.check_writable()


def test_what_a_killed_process_left_is_removed_once_it_is_old(kept, path):
    left, under_way = path.parent / ".old.tmp", path.parent / ".new.tmp"
    for each in (left, under_way):
        each.write_text("{", encoding="utf-8")
    long_ago = time.time() - 2 * store.LEFT_OVER_AFTER
    os.utime(left, (long_ago, long_ago))
    os.utime(path, (long_ago, long_ago))
    kept.check_writable()
    assert sorted(path.parent.iterdir()) == [under_way, path]


def test_what_is_being_written_is_not_removed_however_old_a_clock_that_jumped_says_it_is(
    kept, path, monkeypatch
):
    right, removed = os.replace, []

    def replace(temporary, place):
        long_ago = time.time() - 2 * store.LEFT_OVER_AFTER
        os.utime(temporary, (long_ago, long_ago))
        kept.check_writable()
        removed.append(not Path(temporary).exists())
        right(temporary, place)

    monkeypatch.setattr(os, "replace", replace)
    kept.write(forged(ARM))
    assert removed == [False]
    assert files(kept) == [path]


def test_the_usual_folder_is_beside_the_package():
    root = store.repository_root()
    assert (root / "mlpcw" / "study" / "store.py").is_file()
    assert store.default_results() == root / "results"
