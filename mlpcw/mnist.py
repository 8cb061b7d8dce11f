"""Where the pictures of digits come from: finding, fetching, checking and reading the data sets.

There are two. MNIST is read from its four IDX files, plain or gzipped, looked for in an explicit
folder, in `$MLPCW_DATA_DIR`, or in the user's cache; what is read is checked by the SHA-256 of the
decompressed bytes, so any compression of the right bytes passes and nothing else does. `digits` is
for a machine without MNIST and without a network: the 1797 small digits that come with
scikit-learn, enlarged to MNIST's 28 x 28. Both are handed out as an `ImageSet` with the splits
"train", "valid" and "test". Only `download` ever touches the network.
"""

import contextlib
import gzip
import hashlib
import math
import os
import textwrap
import threading
import urllib.parse
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mlpcw import checks

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

MIRRORS: tuple[str, ...] = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""Where `download` looks, in this order; each holds the four files, gzipped."""

SECONDS_OF_SILENCE = 30
"""How long `download` waits for the next bytes of a mirror before it asks the next one."""

SECONDS_A_FILE = 900
"""How long a mirror has for a whole file; the largest, 10 MB, then comes at 11 kB a second."""

WHICH_SETS = ("train", "valid", "test")
"""The splits of an image set."""

NUM_TRAIN = 50_000
"""How many of MNIST's 60 000 training images are `train`; those after them are `valid`."""

MAX_BYTES = 2**26
"""The most that `read_idx` takes from one file, in bytes: 1.4 times MNIST's largest."""

DIGITS_SEED = 1797
"""Fixes the order and the split of `digits`; another value is another data set."""

_CHUNK = 2**20  # bytes read at a time
_REMEDY = "delete it and run `python -m mlpcw data`, or put the original file in its place"


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled 28 x 28 images in three splits.

    Attributes:
        name: "mnist" or "digits".
        digest: SHA-256, in hexadecimal, of the splits, their pixels and their labels: it identifies
            the data.
    """

    name: str
    digest: str
    _splits: dict[str, tuple[np.ndarray, np.ndarray]] = field(repr=False)

    def split(self, which_set: str) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels of one split; the same two read-only arrays at every call.

        Args:
            which_set: "train", "valid" or "test".

        Returns:
            Inputs, float32, `(num_images, 784)`: whole pixel values 0..255 divided by 256, which
            float32 holds exactly; and labels 0..9, int64, `(num_images,)`.

        Raises:
            ValueError: If there is no such split.
        """
        inputs, labels = self._splits[checks.one_of("which_set", which_set, WHICH_SETS)]
        if inputs.dtype == np.uint8:
            # First use: the bytes are dropped as soon as their float32 copy stands.
            inputs = np.multiply(inputs, np.float32(1 / 256), dtype=np.float32)
            inputs = inputs.reshape(len(inputs), -1)  # (num_images, 28, 28) -> (num_images, 784)
            inputs.flags.writeable = False
            self._splits[which_set] = inputs, labels
        return inputs, labels


def _image_set(name: str, splits: dict[str, tuple[np.ndarray, np.ndarray]]) -> ImageSet:
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


# ---------------------------------------------------------------------------------- reading


class _Refused(ValueError):
    """What a file holds and what it should hold, said without naming the file."""


def read_idx(
    path: str | os.PathLike, sha256: str | None = None, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, plain or gzipped (its content tells, not its name).

    The file is read piece by piece, never further than one byte past what its header promises, and
    the header may not promise more than `MAX_BYTES`: neither a false header nor a file that
    inflates without end takes memory beyond that.

    Args:
        path: The file.
        sha256: What the SHA-256 of the decompressed bytes must be, in hexadecimal; `None` takes
            any.
        shape: What the shape must be; `None` takes any of one to three dimensions.

    Returns:
        The whole array, uint8, in the shape that the header gives, which is `(num_images, height,
        width)` for images and `(num_images,)` for labels.

    Raises:
        ValueError: If the file is not such a file, is cut short, goes on after its end, or has
            another shape or digest.
        OSError: If it cannot be opened or read.
    """
    try:
        return _read(Path(path), sha256, shape)
    except _Refused as reason:
        raise ValueError(f"{path}: {reason}; {_REMEDY}") from None


def _read(path: Path, sha256: str | None, shape: tuple[int, ...] | None) -> np.ndarray:
    """`read_idx`, but a refusal does not name the file."""
    with path.open("rb") as stream:
        if not stream.peek(2).startswith(b"\x1f\x8b"):
            return _parse(stream, sha256, shape)
        try:
            return _parse(gzip.GzipFile(fileobj=stream), sha256, shape)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _Refused(
                f"found a gzip stream that is cut short or damaged ({error}), expected a whole one"
            ) from None


def _parse(stream: BinaryIO, sha256: str | None, shape: tuple[int, ...] | None) -> np.ndarray:
    """The array in a decompressed IDX stream that must end where the array does."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise _Refused(
            f"found {magic.hex(' ') or 'nothing'} as the first bytes, expected 00 00 08 and the "
            "number of dimensions, which begin an IDX file of unsigned bytes"
        )
    type_code, num_dims = magic[2:]
    if type_code != 0x08:
        raise _Refused(f"found IDX type code 0x{type_code:02x}, expected 0x08 (unsigned bytes)")
    if not 1 <= num_dims <= 3:
        raise _Refused(f"found {num_dims} dimensions, expected 1 to 3 (labels have 1, images 3)")
    lengths = stream.read(4 * num_dims)
    if len(lengths) < 4 * num_dims:
        raise _Refused(f"found a header of {4 + len(lengths)} bytes, expected {4 + 4 * num_dims}")
    found = tuple(int(length) for length in np.frombuffer(lengths, ">u4"))
    if shape is not None and found != tuple(shape):
        raise _Refused(f"found the shape {found}, expected {tuple(shape)}")
    size = math.prod(found)
    if not 1 <= size <= MAX_BYTES:
        raise _Refused(
            f"found a header of shape {found}, {size} bytes, expected 1 to {MAX_BYTES} bytes"
        )

    digest = hashlib.sha256(magic + lengths)
    data = bytearray()  # grows with what is there, not with what the header says
    while chunk := stream.read(min(_CHUNK, size + 1 - len(data))):
        data += chunk
        digest.update(chunk)
    if len(data) < size:
        raise _Refused(f"found {len(data)} bytes after the header, expected {size}: cut short")
    if len(data) > size:
        raise _Refused(f"found more than {size} bytes after the header, expected no more")
    if sha256 is not None and digest.hexdigest() != sha256:
        raise _Refused(f"found SHA-256 {digest.hexdigest()}, expected {sha256}: altered")
    return np.frombuffer(data, np.uint8).reshape(found)


# ---------------------------------------------------------------------------------- finding


def data_folder(data_dir: str | os.PathLike | None = None) -> Path:
    """The folder where MNIST is searched; it need not be there yet.

    Args:
        data_dir: The folder; where it is `None` or empty, `$MLPCW_DATA_DIR`; where that is not set
            or empty, the folder `mnist` in the user's cache. The first that is given counts: a
            later one is never looked into instead.

    Returns:
        The absolute path of the folder.
    """
    given = os.environ.get("MLPCW_DATA_DIR") if data_dir in (None, "") else data_dir
    if given:
        # Of `os.path`, which leaves the name of an unknown user as it is: `Path` raises.
        return Path(os.path.expanduser(given)).resolve()
    from pooch import os_cache

    return os_cache("mlpcw").expanduser().resolve() / "mnist"


def _find(folder: Path, name: str) -> Path | None:
    """One of MNIST's files in a folder, plain before gzipped, or `None`."""
    paths = (folder / name, folder / f"{name}.gz")
    return next((path for path in paths if path.is_file()), None)


def _missing(folder: Path) -> list[str]:
    """The names of MNIST's files that are not in a folder."""
    return [name for name in FILES if _find(folder, name) is None]


def available(data_dir: str | os.PathLike | None = None) -> bool:
    """Whether MNIST's four files are in the folder that `data_folder` names; none is opened."""
    return not _missing(data_folder(data_dir))


def _found(folder: Path) -> dict[str, Path]:
    """The paths of MNIST's four files, by name.

    Raises:
        FileNotFoundError: If one is missing.
    """
    if missing := _missing(folder):
        raise FileNotFoundError(
            f"MNIST is not in {folder}: no {', no '.join(missing)} there, plain or .gz; run "
            "`python -m mlpcw data` to fetch it, or set MLPCW_DATA_DIR to a folder that holds the "
            "four files"
        )
    return {name: _find(folder, name) for name in FILES}


# ------------------------------------------------------------------------------ the data sets


def load(data_dir: str | os.PathLike | None = None) -> ImageSet:
    """MNIST, read and checked: 50 000 images in `train`, 10 000 in `valid`, 10 000 in `test`.

    The first 50 000 of the training images are `train`, those after them `valid`. A folder is read
    once.

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
        read_idx(path, FILES[name], SHAPES[name]) for name, path in _found(folder).items()
    )
    return _image_set(
        "mnist",
        {
            "train": (train_images[:NUM_TRAIN], train_labels[:NUM_TRAIN]),
            # A copy, 8 MB, lets go of all the training bytes (47 MB) once `train` is float32.
            "valid": (train_images[NUM_TRAIN:].copy(), train_labels[NUM_TRAIN:]),
            "test": (test_images, test_labels),
        },
    )


@lru_cache(maxsize=1)
def digits() -> ImageSet:
    """scikit-learn's 1797 digits at MNIST's size: 1000 in `train`, 397 in `valid`, 400 in `test`.

    Each split holds the ten classes in the proportions of the whole. As in MNIST, a digit is bright
    on a black ground in a box of 20 x 20 pixels, and the 4 pixels around it are 0. All arithmetic
    is in whole numbers, so every machine gets the same pixels.

    Returns:
        The image set "digits".
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = _enlarge(bunch.images.astype(np.int64))
    labels = bunch.target.astype(np.uint8)

    num_images = len(labels)
    order = np.random.RandomState(DIGITS_SEED).permutation(num_images)
    by_class = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(num_images, dtype=np.int64)  # 0 train, 1 valid, 2 test
    for code, count in ((2, 400), (1, 397)):
        # Every image of `by_class` that is still free, at equal steps: each class gives its share.
        free = by_class[chosen[by_class] == 0]
        chosen[free[np.arange(count) * len(free) // count]] = code
    members = {name: order[chosen[order] == code] for code, name in enumerate(WHICH_SETS)}
    return _image_set("digits", {name: (images[i], labels[i]) for name, i in members.items()})


def _enlarge(images: np.ndarray) -> np.ndarray:
    """8 x 8 counts of ink to 28 x 28 pixels, by cubic convolution (Keys 1981) along each axis.

    Enlarging blurs, so the contrast is raised: 5 of 16 and less becomes black, 12 and more white.
    Strokes are then about as sharp as MNIST's, and the blur does not reach into the margin.

    Args:
        images: Whole numbers 0..16, int64, `(num_images, 8, 8)`.

    Returns:
        Pixels 0..255, uint8, `(num_images, 28, 28)`.
    """
    # Pixel i of 28 lies at (i - 4 + 1/2) * 8/20 - 1/2 = (4i - 19) / 10 on the grid of 8: between
    # `left` and its right neighbour, t = k/10 from the left. The weights of the four nearest are
    # whole multiples of 1/2000.
    weights = np.zeros((28, 8), dtype=np.int64)
    for i in range(28):
        left, k = divmod(4 * i - 19, 10)
        keys = (
            -(k**3) + 20 * k**2 - 100 * k,
            3 * k**3 - 50 * k**2 + 2000,
            -3 * k**3 + 40 * k**2 + 100 * k,
            k**3 - 10 * k**2,
        )
        for j, weight in zip(range(left - 1, left + 3), keys, strict=True):
            if 0 <= j < 8:  # outside the small image there is no ink
                weights[i, j] = weight
    ink = weights @ images @ weights.T  # (num_images, 28, 28), in units of 1 / unit
    unit = 2000**2
    black, white = 5 * unit, 12 * unit
    ink = np.clip(ink, black, white) - black
    span = white - black
    return ((2 * 255 * ink + span) // (2 * span)).astype(np.uint8)  # rounded to the nearest


# --------------------------------------------------------------------- fetching and checking


def verify(data_dir: str | os.PathLike | None = None) -> list[str]:
    """Reads and checks MNIST's four files.

    Args:
        data_dir: See `data_folder`.

    Returns:
        A line for each file, with its name, its decompressed size in bytes, its SHA-256.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged or altered.
    """
    lines = []
    for name, path in _found(data_folder(data_dir)).items():
        size = read_idx(path, FILES[name], SHAPES[name]).size + 4 + 4 * len(SHAPES[name])
        lines.append(f"{path.name}: {size} bytes, SHA-256 {FILES[name]}, good")
    return lines


def download(
    data_dir: str | os.PathLike | None = None,
    progress: bool = True,
    mirrors: Sequence[str] | None = None,
) -> Path:
    """Fetches those of MNIST's files that are missing; files that are there are left alone.

    A file is fetched under a temporary name in the same folder and gets its own name once its
    content has been checked.

    Args:
        data_dir: See `data_folder`; made where it is not there.
        progress: Whether to show a progress bar on stderr.
        mirrors: Addresses to look at instead of `MIRRORS`; for tests, and the only way around
            https.

    Returns:
        The folder, which now holds the four files.

    Raises:
        ValueError: If an address of `MIRRORS` is not https.
        FileNotFoundError: If no mirror gave the right file.
        OSError: If the folder cannot be written.
    """
    folder = data_folder(data_dir)
    if mirrors is None:
        mirrors = MIRRORS
        for mirror in mirrors:
            if not mirror.startswith("https://"):
                raise ValueError(f"mirror {mirror!r} is refused: the address must begin https://")
    for name in _missing(folder):
        _fetch(name, folder, mirrors, progress)
    return folder


def _fetch(name: str, folder: Path, mirrors: Sequence[str], progress: bool) -> None:
    """Fetches one of MNIST's files from the first mirror that has it right."""
    import pooch

    deadline = _Deadline(SECONDS_A_FILE)
    fetch = pooch.HTTPDownloader(
        progressbar=progress,
        chunk_size=2**16,
        timeout=SECONDS_OF_SILENCE,
        hooks={"response": [_stay_with_https, deadline]},
    )
    # However it is compressed, the right file is hardly longer than its content.
    limit = math.prod(SHAPES[name]) + 2**16
    temporary = folder / f"{name}.gz.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = temporary.open("wb")
    except OSError as error:
        raise OSError(
            f"the folder {folder} cannot be written ({error.strerror}): set MLPCW_DATA_DIR to one "
            "that can"
        ) from error
    failures = []
    try:
        with file:
            for mirror in mirrors:
                file.seek(0)
                file.truncate()
                try:
                    fetch(f"{mirror.rstrip('/')}/{name}.gz", _AtMost(file, limit), None)
                    _read(temporary, FILES[name], SHAPES[name])
                    break
                except Exception as error:  # whatever went wrong, the next mirror may do better
                    failures.append(f"{mirror} said: {textwrap.shorten(str(error), 200)}")
                finally:
                    deadline.cancel()
            else:
                raise FileNotFoundError(
                    f"{name} could not be fetched ({'; '.join(failures)}): try again later, or put "
                    f"{name}.gz from any copy of MNIST into {folder} by hand"
                )
        os.replace(temporary, folder / f"{name}.gz")
    finally:
        temporary.unlink(missing_ok=True)


def _stay_with_https(response, **_) -> None:
    """Refuses a redirection from https to anything else, and from http to what is neither."""
    target = response.headers.get("location", "")
    # As a client reads it: relative to where it stands, without the blanks that it may hide in.
    scheme = urllib.parse.urlsplit(urllib.parse.urljoin(response.url, target)).scheme
    if scheme not in ("https", urllib.parse.urlsplit(response.url).scheme):
        raise _Refused(f"found a redirection to {target}, expected https")


class _Deadline:
    """Breaks off a response that is not whole after some seconds, as where it only trickles."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.under_way = []

    def __call__(self, response, **_) -> None:
        timer = threading.Timer(self.seconds, self._break_off, [response])
        timer.daemon = True
        timer.start()
        self.under_way.append((timer, response))

    def cancel(self) -> None:
        for timer, response in self.under_way:
            timer.cancel()
            response.close()
        self.under_way.clear()

    @staticmethod
    def _break_off(response) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has just ended by itself
            response.raw.shutdown()


class _AtMost:
    """A file that refuses to grow past a limit in bytes, so that no mirror can fill the disk."""

    def __init__(self, file: BinaryIO, limit: int):
        self.file = file
        self.limit = limit

    def write(self, data: bytes) -> None:
        if self.file.tell() + len(data) > self.limit:
            raise _Refused(f"found more than {self.limit} bytes, expected fewer")
        self.file.write(data)

    def flush(self) -> None:
        self.file.flush()
