"""Downloads missing files of MNIST and checks the others; only `download` touches the network."""

import contextlib
import math
import os
import textwrap
import threading
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from mlpcw.data import idx, images

MIRRORS: tuple[str, ...] = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""Addresses that hold the four files, gzipped; `download` tries them in this order."""

SECONDS_OF_SILENCE = 30
"""How long `download` waits for more bytes of a mirror before it tries the next mirror."""

SECONDS_A_FILE = 900
"""Time limit for a whole file; at the limit the largest, 10 MB, arrives at 11 kB per second."""


def verify(data_dir: str | os.PathLike | None = None) -> list[str]:
    """Reads and checks MNIST's four files.

    Args:
        data_dir: See `data_folder`.

    Returns:
        One line per file, with its name, its decompressed size in bytes and its SHA-256.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged or altered.
    """
    lines = []
    for name, path in images.files(images.data_folder(data_dir)).items():
        array = idx.read_idx(path, images.FILES[name], images.SHAPES[name])
        size = 4 + 4 * array.ndim + array.size
        lines.append(f"{path.name}: {size} bytes, SHA-256 {images.FILES[name]}, good")
    return lines


def download(
    data_dir: str | os.PathLike | None = None,
    progress: bool = True,
    mirrors: Sequence[str] | None = None,
) -> Path:
    """Downloads the missing files of MNIST; does not touch existing files.

    A file has a temporary name in the same folder until its content has been checked.

    Args:
        data_dir: See `data_folder`; created if necessary.
        progress: Whether to show a progress bar on stderr.
        mirrors: Addresses in place of `MIRRORS`, for tests; these need not be https.

    Returns:
        The folder, which now holds the four files.

    Raises:
        ValueError: If an address of `MIRRORS` is not https.
        FileNotFoundError: If no mirror gave the right file.
        OSError: If the folder cannot be written.
    """
    folder = images.data_folder(data_dir)
    if mirrors is None:
        mirrors = MIRRORS
        for mirror in mirrors:
            if not mirror.startswith("https://"):
                raise ValueError(f"mirror {mirror!r} is refused: the address must begin https://")
    for name in images.missing_files(folder):
        _fetch(name, folder, mirrors, progress)
    return folder


def _fetch(name: str, folder: Path, mirrors: Sequence[str], progress: bool) -> None:
    """Downloads one file of MNIST from the first mirror with the right content."""
    import pooch

    deadline = _Deadline(SECONDS_A_FILE)
    fetch = pooch.HTTPDownloader(
        progressbar=progress,
        chunk_size=2**16,
        timeout=SECONDS_OF_SILENCE,
        hooks={"response": [_stay_with_https, deadline]},
    )
    # No compression makes the right file much longer than its content.
    limit = math.prod(images.SHAPES[name]) + 2**16
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
                    idx.read(temporary, images.FILES[name], images.SHAPES[name])
                    break
                except Exception as error:  # of any kind: the next mirror may work
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
    """Refuses a redirection from https to another scheme, and from http to one that is neither."""
    target = response.headers.get("location", "")
    # As a client reads it: relative to the URL asked for, without control characters.
    scheme = urllib.parse.urlsplit(urllib.parse.urljoin(response.url, target)).scheme
    if scheme not in ("https", urllib.parse.urlsplit(response.url).scheme):
        raise idx.Refused(f"found a redirection to {target}, expected https")


class _Deadline:
    """Aborts a download that exceeds a total time limit, e.g. a slow trickle."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.running = []

    def __call__(self, response, **_) -> None:
        timer = threading.Timer(self.seconds, self._abort, [response])
        timer.daemon = True
        timer.start()
        self.running.append((timer, response))

    def cancel(self) -> None:
        for timer, response in self.running:
            timer.cancel()
            response.close()
        self.running.clear()

    @staticmethod
    def _abort(response) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has just finished
            response.raw.shutdown()


class _AtMost:
    """A file that refuses to grow beyond a limit in bytes, so that no mirror can fill the disk."""

    def __init__(self, file: BinaryIO, limit: int):
        self.file = file
        self.limit = limit

    def write(self, data: bytes) -> None:
        if self.file.tell() + len(data) > self.limit:
            raise idx.Refused(f"found more than {self.limit} bytes, expected fewer")
        self.file.write(data)

    def flush(self) -> None:
        self.file.flush()
