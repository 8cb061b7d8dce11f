"""MNIST and the digits as image sets: where the files are looked for, the splits, the pixels."""

import gzip
import re
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pooch
import pytest
from sklearn.datasets import load_digits

from mlpcw import mnist
from mlpcw.data import images
from mlpcw.data.digits import _enlarge

# ---- where the files are ----------------------------------------------------------------------


def test_the_first_folder_that_is_given_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("MLPCW_DATA_DIR", str(tmp_path / "variable"))
    assert mnist.data_folder(tmp_path / "given") == tmp_path / "given"
    assert mnist.data_folder(str(tmp_path / "given")) == tmp_path / "given"
    assert mnist.data_folder() == mnist.data_folder("") == tmp_path / "variable"
    monkeypatch.setenv("MLPCW_DATA_DIR", "")
    assert mnist.data_folder() == tmp_path / "cache" / "mlpcw" / "mnist"
    monkeypatch.delenv("MLPCW_DATA_DIR")
    assert mnist.data_folder() == tmp_path / "cache" / "mlpcw" / "mnist"


def test_the_folder_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    unknown = "~nobody-of-this-name/there"
    for given, path in (("here", "here"), ("~/there", "there"), (unknown, unknown)):
        assert mnist.data_folder(given) == tmp_path / path


def test_available_needs_all_four_files_and_opens_none(little_folder, monkeypatch):
    monkeypatch.setattr(Path, "open", None)
    assert mnist.available(little_folder)
    assert not mnist.available(little_folder / "not-there")
    (little_folder / "t10k-images-idx3-ubyte").unlink()
    assert not mnist.available(little_folder)
    (little_folder / "t10k-images-idx3-ubyte").mkdir()
    assert not mnist.available(little_folder)


@pytest.mark.parametrize("act", [mnist.load, mnist.verify])
def test_no_other_folder_is_searched(act, little_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("MLPCW_DATA_DIR", str(little_folder))
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (empty, tmp_path / "not-there", little_folder / "t10k-images-idx3-ubyte"):
        with pytest.raises(FileNotFoundError, match=f"^MNIST is not in {folder}: "):
            act(folder)
    monkeypatch.setattr(pooch, "os_cache", lambda project: little_folder)
    monkeypatch.setattr(pooch, "HTTPDownloader", None)
    monkeypatch.setenv("MLPCW_DATA_DIR", str(empty))
    with pytest.raises(FileNotFoundError, match=f"^MNIST is not in {empty}: "):
        act()
    assert list(empty.iterdir()) == []


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


# ---- image sets -------------------------------------------------------------------------------


def check_splits(found: mnist.ImageSet, sizes: dict[str, int], num_pixels: int = 784) -> None:
    """The properties of all image sets."""
    assert re.fullmatch("[0-9a-f]{64}", found.digest)
    for which_set, size in sizes.items():
        inputs, labels = found.split(which_set)
        assert inputs.shape == (size, num_pixels) and inputs.dtype == np.float32
        assert labels.shape == (size,) and labels.dtype == np.int64
        assert inputs.flags.c_contiguous and not inputs.flags.writeable
        assert not labels.flags.writeable
        assert inputs.min() >= 0 and inputs.max() <= 255 / 256
        some = inputs[:: max(1, size // 1000)]
        np.testing.assert_array_equal(some * 256, (some * 256).astype(np.uint8))
        assert set(labels.tolist()) <= set(range(10))
        again = found.split(which_set)
        assert again[0] is inputs and again[1] is labels


def test_load_splits_as_the_course_does(little_folder, little_mnist):
    found = mnist.load(little_folder)
    assert found.name == "mnist"
    check_splits(found, {"train": 50, "valid": 10, "test": 10}, num_pixels=6)
    for place, (kind, skip, factor) in enumerate((("images-idx3", 16, 256), ("labels-idx1", 8, 1))):
        train, test = (
            np.frombuffer(little_mnist[f"{which}-{kind}-ubyte"][skip:], np.uint8)
            for which in ("train", "t10k")
        )
        both = np.concatenate([found.split(name)[place].ravel() for name in ("train", "valid")])
        np.testing.assert_array_equal(both * factor, train)
        np.testing.assert_array_equal(found.split("test")[place].ravel() * factor, test)


def test_load_reads_a_folder_once(little_folder, monkeypatch):
    found = mnist.load(little_folder)
    monkeypatch.setattr(images, "read_idx", None)
    assert mnist.load(str(little_folder)) is found
    monkeypatch.setenv("MLPCW_DATA_DIR", str(little_folder / ".." / little_folder.name))
    assert mnist.load() is found


def test_a_damaged_or_wrong_file_is_refused_until_it_is_replaced(little_folder, little_mnist):
    path = little_folder / "t10k-images-idx3-ubyte"
    for content, message in (
        (little_mnist[path.name][:-1], f"^{path}: found 59 bytes .* expected 60: cut short"),
        (little_mnist["train-images-idx3-ubyte"], r"the shape \(60, 3, 2\), expected \(10, 3, 2\)"),
    ):
        path.write_bytes(content)
        for act in (mnist.load, mnist.load, mnist.verify):
            with pytest.raises(ValueError, match=message):
                act(little_folder)
    path.write_bytes(little_mnist[path.name])
    assert len(mnist.load(little_folder).split("test")[0]) == 10


def test_the_digest_is_of_the_content(little_folder, little_mnist, tmp_path):
    other = tmp_path / "gzipped"
    other.mkdir()
    for name, content in little_mnist.items():
        (other / f"{name}.gz").write_bytes(gzip.compress(content, 1))
    assert mnist.load(other).digest == mnist.load(little_folder).digest


def test_the_digest_sees_a_pixel_a_label_and_a_split():
    pixels, labels = np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.uint8)

    def digest(num_train=2):
        splits = {
            "train": (pixels[:num_train], labels[:num_train]),
            "test": (pixels[num_train:], labels[num_train:]),
        }
        return images.image_set("some", splits).digest

    digests = [digest(), digest(), digest(1)]
    pixels[3, 27, 27] = 1
    digests.append(digest())
    labels[3] = 1
    digests.append(digest())
    assert len(set(digests)) == 4 and digests[0] == digests[1]


@pytest.mark.parametrize("which_set", ["eval", "Train", "", None, 0, ["train"]])
def test_an_unknown_split_is_named(which_set):
    message = f"which_set must be one of train, valid, test, got {which_set!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        mnist.digits().split(which_set)


def test_an_image_set_is_frozen_and_has_a_short_repr():
    found = mnist.digits()
    with pytest.raises(AttributeError):
        found.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        found.split("train")[0][0, 0] = 1
    assert repr(found) == f"ImageSet(name='digits', digest='{found.digest}')"


# ---- the digits -------------------------------------------------------------------------------


def test_digits_are_the_same_everywhere():
    found = mnist.digits()
    check_splits(found, {"train": 1000, "valid": 397, "test": 400})
    assert found.name == "digits"
    assert found is mnist.digits()
    assert found.digest == "eed9702164a756f75efd45a5f51a53f4a370852068143edd2dd7d6b5b497e74d"


def test_digits_holds_every_image_once_with_its_label():
    bunch = load_digits()
    small = _enlarge(bunch.images.astype(np.int64)).reshape(1797, 784) / np.float32(256)
    expected = sorted(zip(map(bytes, small), bunch.target, strict=True))
    splits = [mnist.digits().split(which_set) for which_set in mnist.WHICH_SETS]
    found = sorted(
        pair
        for inputs, labels in splits
        for pair in zip(map(bytes, inputs), labels.tolist(), strict=True)
    )
    assert found == expected


def test_digits_are_stratified_and_mixed():
    splits = [mnist.digits().split(name)[1] for name in mnist.WHICH_SETS]
    share = np.bincount(np.concatenate(splits), minlength=10) / 1797
    for labels in splits:
        # Two systematic samples, one after the other: each is off by less than one, so two at most.
        assert np.abs(np.bincount(labels, minlength=10) - share * len(labels)).max() < 2
        assert len(set(labels[:50])) == 10


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
    image = load_digits().images[5].astype(np.int64)
    enlarged = _enlarge(image[None])
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


# ---- MNIST itself -----------------------------------------------------------------------------


@pytest.mark.needs_mnist
def test_mnist_is_mnist():
    found = mnist.load()
    check_splits(found, {"train": 50_000, "valid": 10_000, "test": 10_000})
    assert found.digest == "56b29d0e2e84a95a3eeefcd2c8703a3d75ec8f4a0d1c0af24bbd2f4f263e23c6"
    training = mnist.read_idx(images.files(mnist.data_folder())["train-images-idx3-ubyte"])
    assert training.shape == (60_000, 28, 28)
    valid = training[50_000].ravel().astype(np.float32)
    np.testing.assert_array_equal(found.split("valid")[0][0] * 256, valid)


@pytest.mark.needs_mnist
def test_verify_describes_all_files():
    lines = mnist.verify()
    for line, (name, digest) in zip(lines, mnist.FILES.items(), strict=True):
        assert line.startswith(name) and digest in line
    assert "47040016 bytes" in lines[0] and "10008 bytes" in lines[3]


@pytest.mark.needs_mnist
def test_mnist_fits_in_little_memory():
    """All three splits are 220 MB in float32; a float64 copy of one would add 314 MB on the way."""
    folder = mnist.data_folder()
    tracemalloc.start()
    try:
        found = images._load.__wrapped__(folder)
        loaded = tracemalloc.get_traced_memory()[0]
        found.split("train")
        train_only = tracemalloc.get_traced_memory()[0]
        for which_set in mnist.WHICH_SETS:
            found.split(which_set)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert loaded < 75e6
    assert train_only < 175e6  # 157 of float32, 16 of bytes not yet converted
    assert kept < 222e6  # nothing is left of the bytes
    assert peak < 280e6


def test_the_module_is_light_to_import():
    code = (
        "import sys\nbefore = set(sys.modules)\nimport mlpcw.mnist\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    command, folder = [sys.executable, "-c", code], Path(mnist.__file__).parents[1]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    heavy = {"pooch", "tqdm", "requests", "sklearn", "scipy", "matplotlib"}
    assert not heavy & set(done.stdout.split())
