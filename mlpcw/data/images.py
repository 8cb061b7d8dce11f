"""Labelled images in three splits, and MNIST as one such set.

MNIST is read from its four IDX files, plain or gzipped, in the first folder that is given of: an
argument, `$MLPCW_DATA_DIR`, the user's cache. The SHA-256 of the decompressed bytes is checked, so
that any compression of the right bytes passes, and no other content.
"""

import hashlib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from mlpcw import checks
from mlpcw.data.idx import read_idx

FILES: dict[str, str] = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""MNIST's files, each with the SHA-256 of its decompressed bytes."""

SHAPES: dict[str, tuple[int, ...]] = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
"""The shape of each of MNIST's files."""

WHICH_SETS = ("train", "valid", "test")
"""The splits of an image set."""

NUM_TRAIN = 50_000
"""How many of MNIST's 60 000 training images are `train`; those after them are `valid`."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled 28 x 28 images in three splits.

    Attributes:
        name: "mnist" or "digits".
        digest: SHA-256, in hexadecimal, of all splits, pixels and labels; it identifies the data.
    """

    name: str
    digest: str
    _splits: dict[str, tuple[np.ndarray, np.ndarray]] = field(repr=False)

    def split(self, which_set: str) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels of one split; the same two read-only arrays in every call.

        Args:
            which_set: "train", "valid" or "test".

        Returns:
            Inputs, float32, `(num_images, 784)`: pixel values 0..255 divided by 256, exact in
            float32; and labels 0..9, int64, `(num_images,)`.

        Raises:
            ValueError: If the split is unknown.
        """
        inputs, labels = self._splits[checks.one_of("which_set", which_set, WHICH_SETS)]
        if inputs.dtype == np.uint8:
            # First use: the float32 copy replaces the bytes.
            inputs = np.multiply(inputs, np.float32(1 / 256), dtype=np.float32)
            inputs = inputs.reshape(len(inputs), -1)  # (num_images, 28, 28) -> (num_images, 784)
            inputs.flags.writeable = False
            self._splits[which_set] = inputs, labels
        return inputs, labels


def image_set(name: str, splits: dict[str, tuple[np.ndarray, np.ndarray]]) -> ImageSet:
    """An image set from the uint8 images `(num_images, 28, 28)` and labels of each split."""
    digest = hashlib.sha256()
    for which_set, (images, labels) in splits.items():
        digest.update(f"{which_set} {images.shape}\n".encode())
        digest.update(images)
        digest.update(labels)
    ready = {}
    for which_set, (images, labels) in splits.items():
        labels = labels.astype(np.int64)
        labels.flags.writeable = False
        ready[which_set] = images, labels
    return ImageSet(name, digest.hexdigest(), ready)


def data_folder(data_dir: str | os.PathLike | None = None) -> Path:
    """The folder for the files of MNIST; it need not exist.

    Args:
        data_dir: The folder. If it is `None` or empty, `$MLPCW_DATA_DIR`; if that is unset or
            empty, the folder `mnist` in the user's cache. No other folder is searched.

    Returns:
        The absolute path of the folder.
    """
    given = os.environ.get("MLPCW_DATA_DIR") if data_dir in (None, "") else data_dir
    if given:
        # `os.path` keeps "~name" of an unknown user; `Path.expanduser` raises.
        return Path(os.path.expanduser(given)).resolve()
    from pooch import os_cache

    return os_cache("mlpcw").expanduser().resolve() / "mnist"


def _find(folder: Path, name: str) -> Path | None:
    """One of MNIST's files in a folder, plain before gzipped, or `None`."""
    paths = (folder / name, folder / f"{name}.gz")
    return next((path for path in paths if path.is_file()), None)


def missing_files(folder: Path) -> list[str]:
    """Names of the files of MNIST that a folder lacks."""
    return [name for name in FILES if _find(folder, name) is None]


def available(data_dir: str | os.PathLike | None = None) -> bool:
    """Whether the folder of `data_folder` holds MNIST's four files; opens none of them."""
    return not missing_files(data_folder(data_dir))


def files(folder: Path) -> dict[str, Path]:
    """Paths of MNIST's four files, by name.

    Raises:
        FileNotFoundError: If one is missing.
    """
    if missing := missing_files(folder):
        raise FileNotFoundError(
            f"MNIST is not in {folder}: no {', no '.join(missing)} there, plain or .gz; run "
            "`python -m mlpcw data` to fetch it, or set MLPCW_DATA_DIR to a folder that holds the "
            "four files"
        )
    return {name: _find(folder, name) for name in FILES}


def load(data_dir: str | os.PathLike | None = None) -> ImageSet:
    """MNIST, read and checked: 50 000 images in `train`, 10 000 in `valid`, 10 000 in `test`.

    The first 50 000 training images are `train`, the others `valid`. A folder is read once.

    Args:
        data_dir: See `data_folder`.

    Returns:
        The image set "mnist".

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged or altered.
    """
    return _load(data_folder(data_dir))


@lru_cache(maxsize=1)
def _load(folder: Path) -> ImageSet:
    train_images, train_labels, test_images, test_labels = (
        read_idx(path, FILES[name], SHAPES[name]) for name, path in files(folder).items()
    )
    return image_set(
        "mnist",
        {
            "train": (train_images[:NUM_TRAIN], train_labels[:NUM_TRAIN]),
            # A copy, 8 MB, frees all training bytes (47 MB) once `train` is float32.
            "valid": (train_images[NUM_TRAIN:].copy(), train_labels[NUM_TRAIN:]),
            "test": (test_images, test_labels),
        },
    )
