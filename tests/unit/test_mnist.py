"""The data sets: what is read, what is refused and in which words, and what a bad mirror can do."""

import gzip
import hashlib
import http.server
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pooch
import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlpcw import mnist

needs_mnist = pytest.mark.skipif(
    not mnist.available(), reason="MNIST is not here (set MLPCW_DATA_DIR)"
)

IMAGES = np.random.RandomState(1).randint(0, 256, (3, 5, 4)).astype(np.uint8)
HEADER = bytes([0, 0, 8, 3])


def idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file that holds a uint8 array."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch):
    """Whatever tries to reach another machine fails at once."""
    connect = socket.socket.connect

    def guarded(self, address):
        if address[0] != "127.0.0.1":
            pytest.fail(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def write(tmp_path):
    """Writes bytes into a file of a temporary folder and gives its path."""

    def write(content: bytes, name: str = "some-file") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


@pytest.fixture
def little_mnist(monkeypatch):
    """MNIST of 60 + 10 images of 3 x 2 pixels, name to bytes; `mlpcw.mnist` takes it for real."""
    rng = np.random.RandomState(2)
    contents = {
        "train-images-idx3-ubyte": rng.randint(0, 256, (60, 3, 2)),
        "train-labels-idx1-ubyte": rng.randint(0, 10, 60),
        "t10k-images-idx3-ubyte": rng.randint(0, 256, (10, 3, 2)),
        "t10k-labels-idx1-ubyte": rng.randint(0, 10, 10),
    }
    monkeypatch.setattr(mnist, "SHAPES", {name: array.shape for name, array in contents.items()})
    contents = {name: idx(array.astype(np.uint8)) for name, array in contents.items()}
    monkeypatch.setattr(mnist, "FILES", {name: sha256(file) for name, file in contents.items()})
    monkeypatch.setattr(mnist, "NUM_TRAIN", 50)
    return contents


@pytest.fixture
def little_folder(little_mnist, tmp_path):
    """A folder that holds `little_mnist`, two files plain and two gzipped."""
    for number, (name, content) in enumerate(little_mnist.items()):
        if number % 2:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (tmp_path / name).write_bytes(content)
    return tmp_path


# Reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("array", [IMAGES, IMAGES[:, 0], IMAGES[:, 0, 0]], ids=["3d", "2d", "1d"])
@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_read_idx_tells_gzip_by_content(write, pack, array, name):
    content = idx(array)
    read = mnist.read_idx(write(pack(content), name), sha256(content), array.shape)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


def test_read_idx_takes_any_compression_of_the_right_bytes(write):
    content = idx(IMAGES)
    members = gzip.compress(content[:20], 1) + gzip.compress(content[20:], 9)
    for packed in (gzip.compress(content, 0), members):
        np.testing.assert_array_equal(mnist.read_idx(write(packed), sha256(content)), IMAGES)


def test_read_idx_takes_a_path_as_text(write):
    np.testing.assert_array_equal(mnist.read_idx(str(write(idx(IMAGES)))), IMAGES)


CONTENT = idx(IMAGES)
HUGE = HEADER + struct.pack(">III", 2**32 - 1, 2**32 - 1, 2**32 - 1)
BAD_FILES = {
    "empty": (b"", {}, "found nothing as the first bytes, expected 00 00 08"),
    "short magic": (b"\0\0\x08", {}, "found 00 00 08 as the first bytes, expected 00 00 08 and"),
    "web page": (b"<html>no</html>", {}, "found 3c 68 74 6d as the first bytes, expected 00 00 08"),
    "magic": (b"\0\1" + CONTENT[2:], {}, "found 00 01 08 03 as the first bytes, expected 00 00 08"),
    "floats": (b"\0\0\x0d" + CONTENT[3:], {}, "found IDX type code 0x0d, expected 0x08"),
    "signed": (b"\0\0\x09" + CONTENT[3:], {}, "found IDX type code 0x09, expected 0x08"),
    "0 dimensions": (b"\0\0\x08\0\1", {}, "found 0 dimensions, expected 1 to 3"),
    "4 dimensions": (b"\0\0\x08\4" + CONTENT[4:], {}, "found 4 dimensions, expected 1 to 3"),
    "short header": (CONTENT[:13], {}, "found a header of 13 bytes, expected 16"),
    "no images": (
        HEADER + struct.pack(">III", 0, 28, 28),
        {},
        "found a header of shape (0, 28, 28), 0 bytes, expected 1 to",
    ),
    "promises too much": (HUGE, {}, f"{(2**32 - 1) ** 3} bytes, expected 1 to {2**26} bytes"),
    "cut short": (CONTENT[:-7], {}, "found 53 bytes after the header, expected 60: cut short"),
    "header alone": (CONTENT[:16], {}, "found 0 bytes after the header, expected 60: cut short"),
    "goes on": (CONTENT + b"\0", {}, "found more than 60 bytes after the header, expected no more"),
    "shape": (CONTENT, {"shape": (3, 4, 5)}, "found the shape (3, 5, 4), expected (3, 4, 5)"),
    "labels": (CONTENT, {"shape": (60,)}, "found the shape (3, 5, 4), expected (60,)"),
    "altered": (
        CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]),
        {"sha256": sha256(CONTENT)},
        f"expected {sha256(CONTENT)}: altered",
    ),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize(("content", "known", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_read_idx_says_what_is_wrong(write, pack, content, known, message):
    path = write(pack(content))
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        mnist.read_idx(path, **known)
    text = str(caught.value)
    assert text.startswith(f"{path}: found ")
    assert text.endswith(
        "; delete it and run `python -m mlpcw data`, or put the original file in its place"
    )
    assert "\n" not in text


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-12],
        lambda packed: packed[:12],
        lambda packed: packed[:2],
        lambda packed: packed[:-8] + bytes(4) + packed[-4:],
        lambda packed: packed[:10] + b"\xff" * 20 + packed[30:],
        lambda packed: packed + b"after the end",
    ],
    ids=["cut", "header alone", "magic alone", "checksum", "deflate", "goes on"],
)
def test_read_idx_refuses_a_damaged_gzip_stream(write, damage):
    path = write(damage(gzip.compress(CONTENT)))
    message = f"^{re.escape(str(path))}: found a gzip stream that is cut short or damaged .*delete"
    with pytest.raises(ValueError, match=message):
        mnist.read_idx(path)


def test_read_idx_needs_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="not-there"):
        mnist.read_idx(tmp_path / "not-there")
    with pytest.raises(IsADirectoryError):
        mnist.read_idx(tmp_path)


def peak_bytes(path: Path, **known) -> int:
    """How much memory a refused read takes at its peak, in bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):
            mnist.read_idx(path, **known)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("shape", [(2**31, 512, 1), (2**26, 1, 1)], ids=["2^40", "2^26"])
def test_a_false_header_takes_no_memory(write, pack, shape):
    path = write(pack(HEADER + struct.pack(">III", *shape) + bytes(1000)))
    assert peak_bytes(path) < 4 * 2**20


@pytest.mark.parametrize(
    ("shape", "known"),
    [((10, 28, 28), {}), ((2**31, 512, 1), {}), ((2**26, 1, 1), {"shape": (10, 28, 28)})],
    ids=["small header", "large header", "known shape"],
)
def test_a_gzip_bomb_takes_no_memory(write, shape, known):
    inflated = HEADER + struct.pack(">III", *shape) + bytes(64 * 2**20)
    path = write(gzip.compress(inflated, 1))
    assert path.stat().st_size < 2**20
    assert peak_bytes(path, **known) < 4 * 2**20


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("mutations") / "file"


edits = st.lists(
    st.tuples(st.integers(0, len(CONTENT)), st.integers(0, 8), st.binary(max_size=8)), max_size=4
)


@settings(deadline=None)
@given(edits, st.booleans(), st.booleans())
@example([], True, False)
@example([(0, 16, b"")], False, True)
def test_a_mutated_file_is_read_whole_or_refused(scratch, edits, packed, edit_the_packed):
    """`edits` replace some bytes at a place by others, before or after compression."""
    content = gzip.compress(CONTENT, mtime=0) if packed and edit_the_packed else CONTENT
    for place, length, new in edits:
        content = content[:place] + new + content[place + length :]
    if packed and not edit_the_packed:
        content = gzip.compress(content, 1)
    scratch.write_bytes(content)
    try:
        read = mnist.read_idx(scratch)
    except ValueError as error:
        assert str(error).startswith(str(scratch))
    else:
        inner = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        assert idx(read) == inner
    try:
        np.testing.assert_array_equal(mnist.read_idx(scratch, sha256(CONTENT)), IMAGES)
    except ValueError as error:
        assert str(error).startswith(str(scratch))


# Finding -----------------------------------------------------------------------------------------


def test_data_folder_takes_the_first_that_is_given(monkeypatch, tmp_path):
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("MLPCW_DATA_DIR", str(tmp_path / "variable"))
    assert mnist.data_folder(tmp_path / "given") == tmp_path / "given"
    assert mnist.data_folder(str(tmp_path / "given")) == tmp_path / "given"
    assert mnist.data_folder() == tmp_path / "variable"
    assert mnist.data_folder("") == tmp_path / "variable"
    monkeypatch.setenv("MLPCW_DATA_DIR", "")
    assert mnist.data_folder() == tmp_path / "cache" / "mlpcw" / "mnist"
    monkeypatch.delenv("MLPCW_DATA_DIR")
    assert mnist.data_folder() == tmp_path / "cache" / "mlpcw" / "mnist"


def test_data_folder_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert mnist.data_folder("here") == tmp_path / "here"
    assert mnist.data_folder("~/there") == tmp_path / "there"
    unknown = "~nobody-of-this-name/there"
    assert mnist.data_folder(unknown) == tmp_path / unknown


def test_available_needs_all_four_files(little_folder):
    assert mnist.available(little_folder)
    (little_folder / "t10k-images-idx3-ubyte").unlink()
    assert not mnist.available(little_folder)
    (little_folder / "t10k-images-idx3-ubyte").mkdir()
    assert not mnist.available(little_folder)
    assert not mnist.available(little_folder / "not-there")


def test_available_opens_nothing(little_folder, monkeypatch):
    monkeypatch.setattr(Path, "open", None)
    assert mnist.available(little_folder)


@pytest.mark.parametrize("act", [mnist.load, mnist.verify])
def test_a_given_folder_without_mnist_is_not_passed_over(act, little_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("MLPCW_DATA_DIR", str(little_folder))
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (empty, tmp_path / "not-there", little_folder / "t10k-images-idx3-ubyte"):
        with pytest.raises(FileNotFoundError, match=f"^MNIST is not in {folder}: "):
            act(folder)
    monkeypatch.setattr(pooch, "os_cache", lambda project: little_folder)
    monkeypatch.setenv("MLPCW_DATA_DIR", str(empty))
    with pytest.raises(FileNotFoundError, match=f"^MNIST is not in {empty}: "):
        act()


def test_a_missing_file_is_named(little_folder):
    (little_folder / "train-labels-idx1-ubyte.gz").unlink()
    (little_folder / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        mnist.load(little_folder)
    assert str(caught.value) == (
        f"MNIST is not in {little_folder}: no train-labels-idx1-ubyte, no t10k-images-idx3-ubyte "
        "there, plain or .gz; run `python -m mlpcw data` to fetch it, or set MLPCW_DATA_DIR to a "
        "folder that holds the four files"
    )


# Image sets --------------------------------------------------------------------------------------


def check_splits(images: mnist.ImageSet, sizes: dict[str, int], num_pixels: int = 784) -> None:
    """What holds of every image set, whatever its pictures."""
    assert re.fullmatch("[0-9a-f]{64}", images.digest)
    for which_set, size in sizes.items():
        inputs, labels = images.split(which_set)
        assert inputs.shape == (size, num_pixels) and inputs.dtype == np.float32
        assert labels.shape == (size,) and labels.dtype == np.int64
        assert inputs.flags.c_contiguous and not inputs.flags.writeable
        assert not labels.flags.writeable
        assert inputs.min() >= 0 and inputs.max() <= 255 / 256
        some = inputs[:: max(1, size // 1000)]
        np.testing.assert_array_equal(some * 256, (some * 256).astype(np.uint8))
        np.testing.assert_array_equal(some, some.astype(np.float16))
        assert set(labels.tolist()) <= set(range(10))
        again = images.split(which_set)
        assert again[0] is inputs and again[1] is labels


def test_load_splits_as_the_course_does(little_folder, little_mnist):
    images = mnist.load(little_folder)
    assert images.name == "mnist"
    check_splits(images, {"train": 50, "valid": 10, "test": 10}, num_pixels=6)
    for place, inputs_or_labels in enumerate(("images-idx3", "labels-idx1")):
        skip = 16 if place == 0 else 8
        train, test = (
            np.frombuffer(little_mnist[f"{which}-{inputs_or_labels}-ubyte"][skip:], np.uint8)
            for which in ("train", "t10k")
        )
        both = np.concatenate([images.split(name)[place].ravel() for name in ("train", "valid")])
        factor = 256 if place == 0 else 1
        np.testing.assert_array_equal(both * factor, train)
        np.testing.assert_array_equal(images.split("test")[place].ravel() * factor, test)


def test_load_reads_a_folder_once(little_folder, monkeypatch):
    images = mnist.load(little_folder)
    monkeypatch.setattr(mnist, "read_idx", None)
    assert mnist.load(str(little_folder)) is images
    monkeypatch.setenv("MLPCW_DATA_DIR", str(little_folder / ".." / little_folder.name))
    assert mnist.load() is images


def test_a_failed_load_leaves_nothing_behind(little_folder, little_mnist):
    path = little_folder / "t10k-images-idx3-ubyte"
    path.write_bytes(little_mnist[path.name][:-1])
    for act in (mnist.load, mnist.load, mnist.verify):
        with pytest.raises(ValueError, match=f"^{path}: found 59 bytes .* expected 60: cut short"):
            act(little_folder)
    path.write_bytes(little_mnist[path.name])
    assert len(mnist.load(little_folder).split("test")[0]) == 10


def test_load_refuses_exchanged_files(little_folder, little_mnist):
    (little_folder / "t10k-images-idx3-ubyte").write_bytes(little_mnist["train-images-idx3-ubyte"])
    with pytest.raises(ValueError, match=r"found the shape \(60, 3, 2\), expected \(10, 3, 2\)"):
        mnist.load(little_folder)


def test_the_digest_is_of_the_content(little_folder, little_mnist, tmp_path):
    digest = mnist.load(little_folder).digest
    other = tmp_path / "gzipped"
    other.mkdir()
    for name, content in little_mnist.items():
        (other / f"{name}.gz").write_bytes(gzip.compress(content, 1))
    assert mnist.load(other).digest == digest


@pytest.mark.parametrize("where", ["pixel", "label", "split"])
def test_the_digest_sees_every_change(where):
    images, labels = np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.uint8)
    splits = {"train": (images[:2], labels[:2]), "test": (images[2:], labels[2:])}
    digest = mnist._image_set("some", splits).digest
    assert mnist._image_set("some", splits).digest == digest
    if where == "split":
        splits = {"train": (images[:1], labels[:1]), "test": (images[1:], labels[1:])}
    elif where == "pixel":
        images[3, 27, 27] = 1
    else:
        labels[3] = 1
    assert mnist._image_set("some", splits).digest != digest


@pytest.mark.parametrize("which_set", ["eval", "Train", "", None, 0, ["train"]])
def test_an_unknown_split_is_named(which_set):
    message = f"which_set must be one of train, valid, test, got {which_set!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        mnist.digits().split(which_set)


def test_an_image_set_is_frozen_and_shown_in_short():
    images = mnist.digits()
    with pytest.raises(AttributeError):
        images.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        images.split("train")[0][0, 0] = 1
    assert repr(images) == f"ImageSet(name='digits', digest='{images.digest}')"


# The digits --------------------------------------------------------------------------------------


def test_digits_are_the_same_everywhere():
    images = mnist.digits()
    check_splits(images, {"train": 1000, "valid": 397, "test": 400})
    assert images.name == "digits"
    assert images is mnist.digits()
    assert images.digest == "eed9702164a756f75efd45a5f51a53f4a370852068143edd2dd7d6b5b497e74d"


def test_digits_holds_every_image_once_with_its_label():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = mnist._enlarge(bunch.images.astype(np.int64)).reshape(1797, 784) / np.float32(256)
    expected = sorted(zip(map(bytes, small), bunch.target, strict=True))
    splits = [mnist.digits().split(which_set) for which_set in mnist.WHICH_SETS]
    found = sorted(
        pair
        for inputs, labels in splits
        for pair in zip(map(bytes, inputs), labels.tolist(), strict=True)
    )
    assert found == expected


def test_digits_are_stratified_and_mixed():
    every = np.concatenate([mnist.digits().split(name)[1] for name in mnist.WHICH_SETS])
    share = np.bincount(every, minlength=10) / len(every)
    for which_set in mnist.WHICH_SETS:
        labels = mnist.digits().split(which_set)[1]
        # Two systematic samples, one after the other: each is off by less than one, so two at most.
        assert np.abs(np.bincount(labels, minlength=10) - share * len(labels)).max() < 2
        assert len(set(labels[:50])) == 10


def test_digits_look_like_mnist():
    """A 4-pixel margin of black, white strokes, centred, as much ink as MNIST's 0.13 or so."""
    images = mnist.digits().split("train")[0].reshape(-1, 28, 28)
    margin = images.copy()
    margin[:, 4:24, 4:24] = 0
    assert margin.max() == 0
    assert images.max(axis=(1, 2)).min() > 0.9
    assert 0.11 < images.mean() < 0.16
    ink = images.sum(axis=0)
    for axis in (0, 1):
        centre = (ink.sum(axis=1 - axis) * np.arange(28)).sum() / ink.sum()
        assert abs(centre - 13.5) < 0.5


def test_digits_can_be_told_apart():
    inputs, labels = mnist.digits().split("train")
    means = np.stack([inputs[labels == label].mean(axis=0) for label in range(10)])
    inputs, labels = mnist.digits().split("test")
    nearest = ((inputs[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.85


def cubic(x: Fraction) -> Fraction:
    """The kernel of Keys (1981), equation 15."""
    x = abs(x)
    if x <= 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    if x < 2:
        return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2
    return Fraction(0)


def test_enlarge_is_exact_cubic_convolution():
    """Against the textbook's kernel in fractions, at every pixel of one image."""
    from sklearn.datasets import load_digits

    image = load_digits().images[5].astype(np.int64)
    enlarged = mnist._enlarge(image[None])
    assert enlarged.shape == (1, 28, 28) and enlarged.dtype == np.uint8
    places = [(Fraction(2 * i + 1, 2) - 4) * 8 / 20 - Fraction(1, 2) for i in range(28)]
    for i, y in enumerate(places):
        for j, x in enumerate(places):
            ink = sum(
                cubic(y - k) * cubic(x - m) * int(image[k, m])
                for k in range(max(0, int(y) - 2), min(8, int(y) + 4))
                for m in range(max(0, int(x) - 2), min(8, int(x) + 4))
            )
            value = (min(max(ink, 5), 12) - 5) * Fraction(255, 7)
            assert abs(value - int(enlarged[0, i, j])) <= Fraction(1, 2)


def test_enlarge_extremes():
    assert not mnist._enlarge(np.zeros((1, 8, 8), np.int64)).any()
    full = mnist._enlarge(np.full((1, 8, 8), 16))
    assert (full[0, 6:22, 6:22] == 255).all()


# MNIST itself ------------------------------------------------------------------------------------


@needs_mnist
def test_mnist_is_mnist():
    images = mnist.load()
    check_splits(images, {"train": 50_000, "valid": 10_000, "test": 10_000})
    assert images.digest == "56b29d0e2e84a95a3eeefcd2c8703a3d75ec8f4a0d1c0af24bbd2f4f263e23c6"
    first = {name: images.split(name)[1][:10].tolist() for name in mnist.WHICH_SETS}
    assert first["train"] == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert first["valid"] == [3, 8, 6, 9, 6, 4, 5, 3, 8, 4]
    assert first["test"] == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    folder = mnist.data_folder()
    training = mnist.read_idx(mnist._find(folder, "train-images-idx3-ubyte"))
    assert training.shape == (60_000, 28, 28)
    np.testing.assert_array_equal(
        images.split("valid")[0][0] * 256, training[50_000].ravel().astype(np.float32)
    )


@needs_mnist
def test_verify_tells_each_file():
    lines = mnist.verify()
    assert len(lines) == 4
    for line, (name, digest) in zip(lines, mnist.FILES.items(), strict=True):
        assert line.startswith(name) and digest in line
    assert "47040016 bytes" in lines[0] and "10008 bytes" in lines[3]


@needs_mnist
def test_mnist_fits_in_little_memory():
    """All three splits are 220 MB in float32; a float64 copy of one would add 314 MB on the way."""
    folder = mnist.data_folder()
    tracemalloc.start()
    try:
        images = mnist._load.__wrapped__(folder)
        loaded = tracemalloc.get_traced_memory()[0]
        images.split("train")
        train_only = tracemalloc.get_traced_memory()[0]
        for which_set in mnist.WHICH_SETS:
            images.split(which_set)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert loaded < 75e6
    assert train_only < 175e6  # 157 of float32, 16 of bytes not yet converted
    assert kept < 222e6  # nothing is left of the bytes
    assert peak < 280e6


def python(code: str) -> subprocess.CompletedProcess:
    """Runs code in a fresh interpreter, this project importable."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(mnist.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_module_is_light_to_import():
    code = (
        "import sys\nbefore = set(sys.modules)\nimport mlpcw.mnist\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    heavy = {"pooch", "tqdm", "requests", "sklearn", "scipy", "matplotlib"}
    assert not heavy & set(python(code).stdout.split())


# Fetching ----------------------------------------------------------------------------------------


class Mirror(http.server.BaseHTTPRequestHandler):
    """Answers with what `server.answers` says for the file: (status, headers, body)."""

    def do_GET(self):
        self.server.asked.append(self.path)
        status, headers, body = self.server.answers.get(Path(self.path).name, (404, {}, b"no"))
        self.send_response(status)
        for key, value in ({"Content-Length": len(body)} | headers).items():
            if value is not None:
                self.send_header(key, str(value))
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
            if self.server.stalls:
                self.server.released.wait(30)
            for _ in range(1500 if self.server.trickles else 0):  # 30 s, or until released
                if self.server.released.wait(0.02):
                    break
                self.wfile.write(b"\0")
        except ConnectionError:
            pass  # the client has had enough

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(little_mnist):
    """Starts servers on this machine; `mirror(answers)` gives one with its address.

    Without `answers` it is a good mirror of `little_mnist`.
    """
    servers = []

    def start(answers=None, stalls=False, trickles=False):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
        server.answers = good_answers(little_mnist) | (answers or {})
        server.asked, server.stalls, server.trickles = [], stalls, trickles
        server.released = threading.Event()
        server.address = f"http://127.0.0.1:{server.server_port}/mnist/"
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.released.set()
        server.shutdown()
        server.server_close()


def good_answers(contents: dict[str, bytes]) -> dict[str, tuple]:
    return {f"{name}.gz": (200, {}, gzip.compress(file)) for name, file in contents.items()}


FIRST = "train-images-idx3-ubyte"


def test_download_fetches_all_four(mirror, tmp_path, capfd):
    server = mirror()
    folder = tmp_path / "new" / "folder"
    assert mnist.download(folder, mirrors=[server.address]) == folder
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}.gz" for name in mnist.FILES
    )
    assert server.asked == [f"/mnist/{name}.gz" for name in mnist.FILES]
    assert len(mnist.load(folder).split("train")[0]) == 50
    assert len(mnist.verify(folder)) == 4
    captured = capfd.readouterr()
    assert "100%" in captured.err and captured.out == ""


def test_download_fetches_only_what_is_missing(mirror, little_folder, capfd):
    server = mirror()
    plain = little_folder / "t10k-images-idx3-ubyte"
    before = {path.name: path.read_bytes() for path in little_folder.iterdir()}
    mnist.download(little_folder, progress=False, mirrors=[server.address])
    assert server.asked == []
    assert {path.name: path.read_bytes() for path in little_folder.iterdir()} == before
    plain.unlink()
    mnist.download(little_folder, progress=False, mirrors=[server.address.rstrip("/")])
    assert server.asked == [f"/mnist/{plain.name}.gz"]
    assert mnist.available(little_folder)
    assert capfd.readouterr().err == ""


def test_download_goes_where_the_variable_says(mirror, tmp_path, monkeypatch):
    monkeypatch.setenv("MLPCW_DATA_DIR", str(tmp_path / "data"))
    assert mnist.download(progress=False, mirrors=[mirror().address]) == tmp_path / "data"
    assert mnist.available()


GOOD = gzip.compress(CONTENT)
BAD_ANSWERS = {
    "404": (404, {}, b"not here", "404 Client Error"),
    "500": (500, {}, b"oh", "500 Server Error"),
    "web page": (200, {}, b"<html>log in first</html>", "found 3c 68 74 6d as the first bytes"),
    "cut short": (200, {"Content-Length": None}, GOOD[:12], "gzip stream that is cut short"),
    "less than promised": (200, {"Content-Length": 10**6}, GOOD, "IncompleteRead"),
    "empty": (200, {}, b"", "found nothing as the first bytes"),
    "another shape": (200, {}, GOOD, "found the shape (3, 5, 4), expected (60, 3, 2)"),
    "too long": (200, {}, b"x" * 2**20, "found more than 65896 bytes"),
    "nonsense": (200, {"Content-Length": "much"}, b"", "'much'"),
    "moved": (302, {"Location": "/elsewhere"}, b"", "404 Client Error"),
    "circle": (302, {"Location": f"/{FIRST}.gz"}, b"", "redirects"),
    "a file": (302, {"Location": "file:///etc/hosts"}, b"", "found a redirection to file:///etc/h"),
    "ftp": (
        302,
        {"Location": "ftp://127.0.0.1/x"},
        b"",
        "found a redirection to ftp://127.0.0.1/x",
    ),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_bad_mirror_is_passed_over(answer, mirror, tmp_path):
    *answer, message = answer
    bad, good = mirror({f"{FIRST}.gz": answer}), mirror()
    mnist.download(tmp_path / "two", progress=False, mirrors=[bad.address, good.address])
    assert good.asked == [f"/mnist/{FIRST}.gz"]
    assert len(mnist.verify(tmp_path / "two")) == 4

    with pytest.raises(FileNotFoundError) as caught:
        mnist.download(tmp_path / "one", progress=False, mirrors=[bad.address])
    text = str(caught.value)
    assert text.startswith(f"{FIRST} could not be fetched ({bad.address} said: ")
    assert message in text
    assert text.endswith(
        f"): try again later, or put {FIRST}.gz from any copy of MNIST into {tmp_path / 'one'} "
        "by hand"
    )
    assert list((tmp_path / "one").iterdir()) == []


def test_altered_content_is_passed_over(mirror, little_mnist, tmp_path):
    altered = bytearray(little_mnist[FIRST])
    altered[-1] ^= 1
    bad = mirror({f"{FIRST}.gz": (200, {}, gzip.compress(bytes(altered)))})
    with pytest.raises(FileNotFoundError, match="altered"):
        mnist.download(tmp_path, progress=False, mirrors=[bad.address])
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_may_unpack_on_the_way(mirror, little_mnist, tmp_path):
    """A server that declares the compression has it undone before the file is written."""
    packed = gzip.compress(little_mnist[FIRST])
    server = mirror({f"{FIRST}.gz": (200, {"Content-Encoding": "gzip"}, packed)})
    mnist.download(tmp_path, progress=False, mirrors=[server.address])
    assert (tmp_path / f"{FIRST}.gz").read_bytes() == little_mnist[FIRST]
    assert len(mnist.verify(tmp_path)) == 4


def test_every_mirror_is_quoted(mirror, tmp_path):
    bad = mirror({f"{FIRST}.gz": (404, {}, b"")})
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(FileNotFoundError) as caught:
            mnist.download(tmp_path, progress=False, mirrors=[closed, bad.address])
    text = str(caught.value)
    assert f"({closed} said: " in text and f"; {bad.address} said: 404" in text
    assert len(text) < 800


def test_a_later_failure_keeps_what_was_fetched(mirror, tmp_path):
    last = "t10k-labels-idx1-ubyte.gz"
    with pytest.raises(FileNotFoundError, match="t10k-labels"):
        mnist.download(tmp_path, progress=False, mirrors=[mirror({last: (404, {}, b"")}).address])
    assert len(list(tmp_path.iterdir())) == 3
    server = mirror()
    mnist.download(tmp_path, progress=False, mirrors=[server.address])
    assert server.asked == [f"/mnist/{last}"]


def test_an_interrupted_download_leaves_nothing(little_mnist, tmp_path, monkeypatch):
    def interrupted(self, url, output_file, pooch):
        output_file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mnist.download(tmp_path, progress=False, mirrors=["http://127.0.0.1/"])
    assert list(tmp_path.iterdir()) == []


def test_a_killed_download_leaves_no_file_that_looks_good(mirror, little_mnist, tmp_path):
    half = gzip.compress(little_mnist[FIRST])[:-20]
    server = mirror({f"{FIRST}.gz": (200, {"Content-Length": 10**6}, half)}, stalls=True)
    code = (
        "from mlpcw import mnist\n"
        f"mnist.download({str(tmp_path)!r}, progress=False, mirrors=[{server.address!r}])"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=Path(mnist.__file__).parents[1])
    try:
        while not list(tmp_path.glob("*.part")):
            assert child.poll() is None
            time.sleep(0.01)
    finally:
        child.kill()
    assert child.wait() == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    assert not mnist.available(tmp_path)
    server.stalls = False
    mnist.download(tmp_path, progress=False, mirrors=[mirror().address])
    assert len(mnist.verify(tmp_path)) == 4


@pytest.mark.parametrize("length", [None, 10**5], ids=["of no length", "of some length"])
@pytest.mark.parametrize(
    ("how", "limit"), [("stalls", "SECONDS_OF_SILENCE"), ("trickles", "SECONDS_A_FILE")]
)
def test_a_slow_mirror_is_passed_over(
    mirror, little_mnist, tmp_path, monkeypatch, how, limit, length
):
    monkeypatch.setattr(mnist, limit, 0.5)
    half = gzip.compress(little_mnist[FIRST])[:-20]
    answer = {f"{FIRST}.gz": (200, {"Content-Length": length}, half)}
    slow, good = mirror(answer, **{how: True}), mirror()
    start = time.monotonic()
    mnist.download(tmp_path, progress=False, mirrors=[slow.address, good.address])
    assert time.monotonic() - start < 25
    assert good.asked[0] == f"/mnist/{FIRST}.gz"
    assert len(mnist.verify(tmp_path)) == 4
    assert len(list(tmp_path.iterdir())) == 4


def test_a_download_that_has_ended_waits_for_nothing(mirror, tmp_path):
    bad = mirror({f"{FIRST}.gz": (404, {}, b"")})
    mnist.download(tmp_path, progress=False, mirrors=[bad.address, mirror().address])
    timers = [each for each in threading.enumerate() if isinstance(each, threading.Timer)]
    assert all(timer.finished.is_set() for timer in timers)


def test_the_mirrors_are_two_and_https(monkeypatch, little_mnist, tmp_path):
    assert len(mnist.MIRRORS) == 2
    assert all(re.fullmatch(r"https://[\w./-]+/mnist/", mirror) for mirror in mnist.MIRRORS)
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1/mnist/",))
    message = "mirror 'http://127.0.0.1/mnist/' is refused: the address must begin https://"
    with pytest.raises(ValueError, match=f"^{message}$"):
        mnist.download(tmp_path, progress=False)


def test_the_mirrors_are_asked_in_turn(monkeypatch, little_mnist, tmp_path):
    asked = []

    def refuse(self, url, output_file, pooch):
        asked.append(url)
        assert self.kwargs["hooks"]["response"][0] is mnist._stay_with_https
        raise OSError("closed")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", refuse)
    with pytest.raises(FileNotFoundError, match=r"said: closed; https://.* said: closed"):
        mnist.download(tmp_path, progress=False)
    assert asked == [f"{mirror}{FIRST}.gz" for mirror in mnist.MIRRORS]


@pytest.mark.parametrize(
    ("url", "location", "refused"),
    [
        ("https://a/x", "http://b/x", True),
        ("https://a/x", "HTTP://b/x", True),
        ("https://a/x", "https://b/x", False),
        ("https://a/x", "/y", False),
        ("https://a/x", None, False),
        ("https://a/x", "//b/y", False),
        ("https://a/x", "?y", False),
        ("https://a/x", "file:///etc/hosts", True),
        ("https://a/x", "FTP://b/x", True),
        ("https://a/x", "data:,x", True),
        ("https://a/x", "ht\ttp://b/x", True),
        ("https://a/x", "\x01http://b/x", True),
        ("https://a/x", "http:y", True),
        ("http://127.0.0.1/x", "http://127.0.0.1/y", False),
        ("http://127.0.0.1/x", "file:///etc/hosts", True),
    ],
)
def test_a_redirection_must_stay_with_https(url, location, refused):
    response = requests.Response()
    response.url = url
    if location:
        response.headers["Location"] = location
    if refused:
        with pytest.raises(ValueError, match=f"found a redirection to {location}, expected https"):
            mnist._stay_with_https(response)
    else:
        mnist._stay_with_https(response)


def test_a_folder_that_cannot_be_written_is_named(mirror, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "mnist"
    message = rf"^the folder {folder} cannot be written \(.+\): set MLPCW_DATA_DIR to one that can$"
    with pytest.raises(OSError, match=message):
        mnist.download(folder, progress=False, mirrors=[mirror().address])


def test_reading_never_fetches(little_mnist, monkeypatch, tmp_path):
    monkeypatch.setattr(pooch, "HTTPDownloader", None)
    monkeypatch.setenv("MLPCW_DATA_DIR", str(tmp_path))
    assert not mnist.available()
    for act in (mnist.load, mnist.verify):
        with pytest.raises(FileNotFoundError):
            act()
    assert list(tmp_path.iterdir()) == []
