"""The store: a record is written whole or not at all, and what is not a whole record is found.

Whatever happens to a file, the store says what is wrong with it in one line that names it, leaves
it where it is and never fails itself.
"""

import dataclasses
import functools
import json
import math
import operator
import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import forged, outdated, quick_arm

from mlpcw import (
    augmenters,
    compiled,
    conv,
    errors,
    fused,
    layers,
    learning_rules,
    mnist,
    penalties,
    step_kernels,
)
from mlpcw.study.original import as_run
from mlpcw.study.records import arms, store
from mlpcw.study.records.store import DamagedRecordError, State, Store
from mlpcw.study.runs import set_up as training

ARM = quick_arm()
FLOATS = st.floats(min_value=0.0, allow_nan=False, allow_infinity=False)
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
    assert '  "counts": [1, 2, 78397],' in lines


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


def test_a_changed_digit_is_noticed(kept, path):
    path.write_text(path.read_text("utf-8").replace("0.75", "0.76"), encoding="utf-8")
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


def test_a_field_that_no_record_has_is_named_in_plain_characters(kept, path):
    overwrite(path, forged(ARM) | {"\ud800\n\x1b[31m": 1})
    assert "missing or unknown fields: ???[31m" in damaged(kept, path)


def test_a_field_without_end_is_named_in_short(kept, path):
    overwrite(path, forged(ARM) | {"z" * 5000: 1})
    assert damaged(kept, path).endswith("zzz ...")


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("arm", {}, "its arm is wrong: Arm has missing or unknown fields: "),
        ("seed", True, "its seed has True, not a whole number of at least 0"),
        ("curves", [], "its curves is not acc_train, acc_valid, epoch, "),
        ("curves acc_train_clean", [0.5], "its curves is not acc_train, acc_valid, epoch, "),
        ("curves epoch", [0, 2], "its curves are not at the epochs of its arm"),
        ("curves epoch", [0, True], "its curve epoch has True, not a whole number of at least 0"),
        ("curves acc_valid", [0.5], "its curve acc_valid does not have 2 values"),
        ("curves acc_valid", "ab", "its curve acc_valid does not have 2 values"),
        ("curves acc_valid", [0.5, 1.5], "its curve acc_valid has 1.5, not a finite number with"),
        ("test acc", 2.0, "its test acc has 2.0, not a finite number with a decimal point in [0,"),
        (
            "test error",
            -1.0,
            "its test error has -1.0, not a finite number with a decimal point of",
        ),
        ("seconds", None, "its seconds is not cpu, wall"),
        ("seconds cpu", -0.5, "its seconds has -0.5, not a finite number with a decimal point of"),
        ("weights", {}, "its weights is not bin_width, counts, first_bin"),
        ("weights counts", 3, "its histogram of weights is no list of numbers"),
        ("weights counts", [78401, -1], "its histogram of weights has -1, not a whole number of"),
        ("weights counts", [78399], "its histogram does not have all weights of the first layer"),
        ("weights first_bin", 0.5, "its histogram of weights begins at 0.5, at no bin"),
        ("weights bin_width", 1.0, "its histogram of weights has not bins of width 0.0025"),
        ("probe", {}, "its probe is not loss, penalty, weights"),
        ("probe weights", [None], "its probe of weights has None, not a finite number"),
        ("provenance", {}, "its provenance is not blas, "),
        ("provenance cpu", 1, "its provenance has cpu 1, which is no text of one line"),
        ("provenance commit", "a\nb", "its provenance has commit 'a\\nb', which is no text of"),
        ("provenance data", "mnist", "its data is 'mnist', that of its arm is digits"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(kept, path, place, value, reason):
    record = forged(ARM)
    *above, last = place.split()
    (record[above[0]] if above else record)[last] = value
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


# ---- A real record with anything anywhere ---------------------------------------------------

FULL = Store(store.default_results(), "full")
REAL = (
    "part1/l1l2_1e-3_1e-2",
    "part2/random_distortion",
    "part3/cnn_5x5",
    "starts/cnn_5x5_fresh_0",
)
TEXTS = {name for name, value in forged(ARM)["provenance"].items() if type(value) is str}
OTHER_TYPES = (None, True, 0, 1, 0.5, "", "x", [], [1.0], {}, {"x": 1})
OUT_OF_RANGE = {float: (math.nan, math.inf, -math.inf, -1e-300, -2.0), int: (-2, -(10**30))}
LOST = object()


def is_free(place, was, now):
    """Whether a record may say so too: no digest of ours, only a new training, could tell."""
    match place:
        case ("provenance", name):
            return (name in TEXTS - {"data"} and type(now) is str and now.isprintable()) or (
                name in ("blas_kernels", "numba") and now is LOST  # older records have neither
            )
        case ("weights", "first_bin"):
            return now == -2
        case ("weights", "counts", _):  # a bin with nothing in it
            return was == 0 and now is LOST
    return False


@st.composite
def changes(draw, record):
    """A place in a record, what is there, and what is to be there."""
    was, place = record, ()
    while not place or (isinstance(was, dict | list) and was and draw(st.integers(0, 3))):
        key = draw(st.sampled_from(sorted(was) if isinstance(was, dict) else range(len(was))))
        was, place = was[key], (*place, key)
    anything = (st.sampled_from(OTHER_TYPES) | JSON).filter(lambda now: type(now) is not type(was))
    kinds = [st.just(LOST), anything]
    if isinstance(was, dict | list):
        kinds.append(st.just(was | {"x": 1} if isinstance(was, dict) else [*was, *was[-1:], 0]))
    elif type(was) in (int, float):
        kinds.append(st.sampled_from(OUT_OF_RANGE[type(was)]))
    return place, was, draw(st.one_of(kinds))


@pytest.mark.parametrize("key", REAL)
@given(data=st.data())
@settings(max_examples=300)
def test_a_real_record_with_one_thing_changed_is_refused_though_sealed(folder, key, data):
    arm = arms.find("full", key)
    record = store.read_record(FULL.path(arm, arms.SEED_2016))
    kept = Store(folder, "full")
    path = kept.write(record)
    place, was, now = data.draw(changes(record))
    holder = functools.reduce(operator.getitem, place[:-1], record)
    if now is LOST:
        del holder[place[-1]]
    else:
        holder[place[-1]] = now
    overwrite(path, record)
    finding = kept.find(arm, arms.SEED_2016)
    allowed = {State.DONE if is_free(place, was, now) else State.DAMAGED}
    if place[0] == "arm" or place[:2] == ("probe", "weights"):
        allowed.add(State.STALE)  # another arm, or a probe of more layers or fewer, can be whole
    assert finding.state in allowed
    assert finding.reason.isprintable() and len(finding.reason) < 900
    if allowed == {State.DAMAGED}:
        with pytest.raises(DamagedRecordError):
            store.check_record(record)


@pytest.mark.parametrize(
    "path", sorted(FULL.folder.rglob("*.json")), ids=lambda path: path.parent.name
)
def test_every_stored_record_is_whole_and_as_the_store_writes_it(path):
    assert store.sealed(store.read_record(path)) == path.read_text("utf-8")


# ---- Stale: another arm, another probe ------------------------------------------------------


def test_a_record_of_another_setting_is_stale_and_the_setting_named(kept):
    kept.write(forged(dataclasses.replace(ARM, learning_rate=0.02)))
    finding = kept.find(ARM, 0)
    assert finding.state is State.STALE
    assert finding.reason == "its arm has learning_rate 0.02, now it is 0.01"
    assert finding.record is not None


def test_another_setting_without_end_is_named_in_short(kept):
    record = forged(ARM)
    record["arm"]["batch_size"] = 10**400
    kept.write(record)
    finding = kept.find(ARM, 0)
    assert finding.state is State.STALE
    assert finding.reason.startswith("its arm has batch_size 1000000")
    assert finding.reason.endswith("000 ..., now it is 10")


@pytest.mark.parametrize("name", ["loss", "weights"])
def test_a_probe_that_differs_by_a_hundred_millionth_is_stale(kept, name):
    record = forged(ARM)
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
    record = forged(ARM)
    record["probe"]["loss"] *= 1 + 1e-10
    record["probe"]["weights"][0] *= 1 - 1e-10
    kept.write(record)
    assert kept.find(ARM, 0).state is State.DONE


def test_a_probe_with_another_number_of_layers_is_stale(kept):
    record = forged(ARM)
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
    monkeypatch.setattr(fused, "make_step", lambda *_: None)
    monkeypatch.setattr(fused, "make_forward", lambda *_: None)


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
        *(as_run.FirstImageConvolutionalLayer, "_grads_wrt_kernels", 1e-6),
        {"part3/cnn_5x5_first_image"},
    ),
    "rotation": (augmenters, "random_rotation", 1e-6, {"part2/random_rotation"}),
    "distortion": (augmenters, "random_distortion", 1e-6, WITH_DISTORTION),
    "noise of 2016": (as_run, "noise_2016", 1e-6, {"part2/random_noise"}),
    "shift of 2016": (as_run, "shift_2016", 1e-6, {"part2/random_shift"}),
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
    "product": (True, fused._Blas, "add_product", scaled_argument(1), 1e-6, FUSED),
    "biases": (True, step_kernels, "update_biases", scaled_argument(3), 1e-6, FUSED),
    "penalty": (True, step_kernels, "decay", scaled_argument(3), 1e-3, WITH_L1),
    "momentum": (True, step_kernels, "decay", scaled_argument(2), 1e-6, FUSED),
    "product, not compiled": (False, fused._Blas, "add_product", scaled_argument(1), 1e-6, FUSED),
    "biases, not compiled": (False, fused._Blas, "add_rows", scaled_argument(1), 1e-6, FUSED),
    "signs, not compiled": (False, fused._Blas, "signs", scaled, 1e-3, WITH_L1),
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
        "part1/none/deeper",
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


def test_a_folder_of_folders_without_end_is_named_once(kept, path):
    deep = path.parent / "a"
    deep.mkdir()
    place = os.open(deep, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("a", dir_fd=place)
        deeper = os.open("a", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = deeper
    os.close(place)
    try:
        assert kept.strangers() == [f"foreign: {deep} is not the record of a run of profile quick"]
        assert kept.find_more() == []
        kept.check_writable()
    finally:
        subprocess.run(["rm", "-r", str(deep)], check=True)  # noqa: S607 - `shutil` cannot


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


def of_other_data(record):
    return record | {"provenance": record["provenance"] | {"data_digest": "abc"}}


def test_records_of_other_data_are_named_stale_or_of_further_seeds_too(kept, path):
    kept.write(of_other_data(outdated(ARM, 1)))
    kept.write(of_other_data(forged(ARM, 7)))
    assert kept.other_data(kept.find_all() + kept.find_more()) == [
        f"other data: {kept.path(ARM, seed)} was trained on digits with digest abc,"
        f" not {mnist.digits().digest}"
        for seed in (1, 7)
    ]


def test_mnist_is_judged_only_where_it_is_at_hand(tmp_path, monkeypatch, digits_for_mnist):
    kept = Store(tmp_path, "full")
    kept.write(of_other_data(forged(arms.find("full", "part1/none"), arms.SEED_2016)))
    kept.write(forged(arms.find("full", "part1/l1_1e-3"), arms.SEED_2016))
    monkeypatch.setattr(mnist, "available", lambda: False)
    assert kept.other_data(kept.find_all()) == []
    monkeypatch.setattr(mnist, "available", lambda: True)
    (sentence,) = kept.other_data(kept.find_all())
    assert "part1/none/24102016.json was trained on mnist with digest abc" in sentence


def test_mnist_is_not_read_for_a_profile_without_it(kept, path, monkeypatch):
    def refuse():
        raise AssertionError("MNIST was read")

    monkeypatch.setattr(mnist, "available", lambda: True)
    monkeypatch.setattr(mnist, "load", refuse)
    assert kept.other_data(kept.find_all()) == []


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


def test_what_a_killed_process_left_is_removed_once_it_is_old_and_nothing_else(kept, path):
    elsewhere = kept.folder / "part1" / "unheard_of"
    elsewhere.mkdir()
    names = (".0.json.abc_1234.tmp", ".12.json.00000000.tmp")
    left = [path.parent / name for name in names]
    foreign = [path.parent / f".{name}.tmp" for name in ("notes", "0.json.abc", "00.json.abc_1234")]
    foreign += [elsewhere / names[0], kept.folder / names[0], path.parent / ".1.json.abc_1234.tmp"]
    for each in (*left, *foreign):
        each.write_text("{", encoding="utf-8")
    link, folder, pipe = (path.parent / f".{seed}.json.abc_1234.tmp" for seed in (3, 4, 5))
    link.symlink_to(path)
    folder.mkdir()
    os.mkfifo(pipe)
    long_ago = time.time() - 2 * store.LEFT_OVER_AFTER
    for each in (path, *left, *foreign[:-1], folder, pipe):
        os.utime(each, (long_ago, long_ago))
    kept.check_writable()
    there = {*kept.folder.rglob("*")} - {path.parent, path.parent.parent, elsewhere}
    assert there == {path, *foreign, link, folder, pipe}


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
    assert (root / "mlpcw" / "study" / "records" / "store.py").is_file()
    assert store.default_results() == root / "results"
