"""Records: written the same to the byte, and refused if anything in them cannot be."""

import functools
import json
import math
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import forged, quick_arm

from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import record as records
from mlpcw.study.records.record import DamagedRecordError, parse, sealed

ARM = quick_arm()
FULL = open_store("full")
FLOATS = st.floats(min_value=0.0, allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4)
    ),
    max_leaves=10,
)


def resealed(record):
    """Text of a record, whole or not, with its digest if it can have one."""
    try:
        return sealed(record).encode()
    except (TypeError, ValueError):  # not an object, or with a number or letter without a digest
        return json.dumps(record).encode()


def refused(content):
    """Asserts that the content is not a whole record; returns what is said of it."""
    with pytest.raises(ValueError) as caught:
        parse(content)
    return str(caught.value)


# ---- Written and read -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", sorted(FULL.folder.rglob("*.json")), ids=lambda path: path.parent.name
)
def test_every_stored_record_is_whole_and_written_the_same_to_the_byte(path):
    content = path.read_bytes()
    assert sealed(parse(content)).encode() == content


@given(st.lists(FLOATS, min_size=2, max_size=2), FLOATS)
def test_floats_are_read_back_bit_for_bit(curve, error):
    record = forged(ARM)
    record["curves"]["error_train"] = curve
    record["test"]["error"] = error
    again = parse(sealed(record).encode())
    values = [*again["curves"]["error_train"], again["test"]["error"]]
    np.testing.assert_array_equal(
        np.array(values, float).view(np.int64), np.array([*curve, error], float).view(np.int64)
    )


def test_keys_are_sorted_a_curve_has_a_line_and_the_order_of_the_fields_does_not_matter():
    text = sealed(forged(ARM))
    top = [line.split('"')[1] for line in text.splitlines() if line.startswith(' "')]
    assert top == sorted(top)
    assert '\n  "error_valid": [0.5, 0.5],\n' in text
    assert '\n  "counts": [1, 2, 78397],\n' in text
    assert text.endswith("\n}\n")
    backwards = dict(reversed(forged(ARM).items()))
    backwards["curves"] = dict(reversed(backwards["curves"].items()))
    assert sealed(backwards) == text


@given(JSON)
def test_any_plain_value_is_written_as_json(value):
    try:
        text = records.dumps(value)
    except ValueError as error:  # infinite, or not a number
        assert "not JSON compliant" in str(error)
    else:
        assert json.loads(text) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_is_not_written(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.dumps({"curve": [1.0, value]})


# ---- A real record with anything anywhere ---------------------------------------------------

REAL = [
    "part1/l1l2_1e-3_1e-2",
    "part2/random_distortion",
    "part3/cnn_5x5",
    "starts/cnn_5x5_fresh_0",
]
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
def test_a_real_record_with_one_thing_changed_is_refused_though_sealed(key, data):
    arm = next(arm for arm in FULL.arms if arm.key == key)
    record = FULL.find(arm, 24102016).record
    place, was, now = data.draw(changes(record))
    holder = functools.reduce(operator.getitem, place[:-1], record)
    if now is LOST:
        del holder[place[-1]]
    else:
        holder[place[-1]] = now
    if is_free(place, was, now):
        assert sealed(parse(resealed(record))) == sealed(record)
        return
    try:
        again = parse(resealed(record))
    except ValueError as error:
        assert str(error)
        with pytest.raises(DamagedRecordError):
            records.check_record(record)
    else:  # another arm, or a probe of more layers or fewer, can be whole
        assert place[0] == "arm" or place[:2] == ("probe", "weights")
        assert sealed(again) == sealed(record)


@given(JSON)
def test_json_of_any_shape_is_refused(value):
    assert refused(resealed(value))


# ---- What is said ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("schema", 2, "its schema is 2, this version has 1"),
        ("schema", True, "Expected `int`, got `bool` - at `$.schema`"),
        ("new", 1, "Object contains unknown field `new`"),
        ("arm", {}, "Object missing required field `part` - at `$.arm`"),
        ("arm batch_size", 0, "batch_size must be a whole number of at least 1, got 0 - at `$"),
        ("arm name", "../../elsewhere", "name must be letters, digits, '_'"),
        ("arm num_epochs", 10**9, f"curve epoch must have {10**9 + 1} values, got 2"),
        ("arm num_epochs", 10**30, f"curve epoch must have {10**30 + 1} values, got 2"),
        ("arm learning_rate", 1, "it is not written as the store writes it, see line 9"),
        ("curves acc_train_clean", [0.5] * 2, "the clean curves must be there with an augmenta"),
        ("curves epoch", [0, 2], "the curves are not at the epochs of the arm"),
        ("curves acc_valid", [0.5], "curve acc_valid must have 2 values, got 1"),
        ("curves acc_valid", [0.5, 1.5], "Expected `float` <= 1.0 - at `$.curves.acc_valid[1]`"),
        ("curves error_valid", [0.5, 1], "it is not written as the store writes it, see line 26"),
        ("test error", -1.0, "Expected `float` >= 0.0 - at `$.test.error`"),
        ("weights counts", [78399], "the histogram must count the 78400 weights of the first"),
        ("weights bin_width", 1.0, "bin_width must be 0.0025, got 1.0"),
        ("weights first_bin", 2**24 + 1, "Expected `int` <= 16777216 - at `$.weights.first_bin`"),
        ("probe weights", [None], "Expected `float`, got `null` - at `$.probe.weights[0]`"),
        ("provenance commit", "a\nb", "commit must be printable text of one line, got 'a\\nb'"),
        ("provenance data", "mnist", "data must be the arm's, digits, got mnist"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(place, value, reason):
    record = forged(ARM)
    *above, last = place.split()
    (record[above[0]] if above else record)[last] = value
    with pytest.raises(DamagedRecordError) as caught:
        records.check_record(record)
    assert reason in str(caught.value)


@pytest.mark.parametrize("record", [None, 3, [], {"seed": math.nan}])
def test_what_the_store_cannot_write_is_refused(record):
    with pytest.raises(DamagedRecordError):
        records.check_record(record)


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
def test_another_text_of_the_same_content_is_refused(rewrite):
    text = sealed(forged(ARM))
    assert rewrite(text) != text
    assert "it is not written as the store writes it, see l" in refused(rewrite(text).encode())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "it has no digest"),
        ({"digest": None}, "it has no digest"),
        *(
            ({"digest": digest}, "does not match its digest")
            for digest in (1, "", "0" * 64, [], {})
        ),
    ],
)
def test_a_record_without_its_digest_is_refused(change, reason):
    assert reason in refused(records.dumps(forged(ARM) | change).encode())


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff\xfe", b"{", b'{"a": NaN}'])
def test_content_that_is_not_json_is_refused_as_such(content):
    with pytest.raises(ValueError) as caught:
        parse(content)
    assert not isinstance(caught.value, DamagedRecordError)


def test_brackets_without_end_end_in_an_error_of_their_own():
    with pytest.raises(RecursionError):
        parse(b"[" * 200_000)


def test_text_that_quotes_a_file_is_printable_and_short():
    assert records.printable("\ud800\n\x1b[31m") == "???[31m"
    assert records.printable("z" * 300) == "z" * 300
    assert records.printable("z" * 301) == "z" * 300 + " ..."
