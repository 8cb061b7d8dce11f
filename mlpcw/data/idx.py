"""IDX files of unsigned bytes, the format of MNIST: read them, refuse damaged or altered ones."""

import gzip
import hashlib
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

MAX_BYTES = 2**26
"""The most that `read_idx` takes from one file, in bytes: 1.4 times MNIST's largest."""

_CHUNK = 2**20  # bytes read at a time
_REMEDY = "delete it and run `python -m mlpcw data`, or put the original file in its place"


class Refused(ValueError):
    """What a file holds and what it should hold, without the name of the file."""


def read_idx(
    path: str | os.PathLike, sha256: str | None = None, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, plain or gzipped (its content tells, not its name).

    The file is read in chunks, at most one byte past the size in its header, which may be at most
    `MAX_BYTES`: neither a false header nor a gzip bomb takes more memory than that.

    Args:
        path: The file.
        sha256: The SHA-256 that the decompressed bytes must have, in hexadecimal; `None` for any.
        shape: The shape that the array must have; `None` for any of one to three dimensions.

    Returns:
        The array, uint8, `(num_images, height, width)` for images, `(num_images,)` for labels.

    Raises:
        ValueError: If the file is not an IDX file, is cut short, continues after its end, or has a
            wrong shape or digest.
        OSError: If it cannot be opened or read.
    """
    try:
        return read(Path(path), sha256, shape)
    except Refused as reason:
        raise ValueError(f"{path}: {reason}; {_REMEDY}") from None


def read(path: Path, sha256: str | None, shape: tuple[int, ...] | None) -> np.ndarray:
    """As `read_idx`, but raises `Refused`, which does not name the file."""
    with path.open("rb") as stream:
        if not stream.peek(2).startswith(b"\x1f\x8b"):
            return _parse(stream, sha256, shape)
        try:
            return _parse(gzip.GzipFile(fileobj=stream), sha256, shape)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Refused(
                f"found a gzip stream that is cut short or damaged ({error}), expected a whole one"
            ) from None


def _parse(stream: BinaryIO, sha256: str | None, shape: tuple[int, ...] | None) -> np.ndarray:
    """The array in a decompressed IDX stream that must end where the array does."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise Refused(
            f"found {magic.hex(' ') or 'nothing'} as the first bytes, expected 00 00 08 and the "
            "number of dimensions, which begin an IDX file of unsigned bytes"
        )
    type_code, num_dims = magic[2:]
    if type_code != 0x08:
        raise Refused(f"found IDX type code 0x{type_code:02x}, expected 0x08 (unsigned bytes)")
    if not 1 <= num_dims <= 3:
        raise Refused(f"found {num_dims} dimensions, expected 1 to 3 (labels have 1, images 3)")
    lengths = stream.read(4 * num_dims)
    if len(lengths) < 4 * num_dims:
        raise Refused(f"found a header of {4 + len(lengths)} bytes, expected {4 + 4 * num_dims}")
    dims = tuple(int(length) for length in np.frombuffer(lengths, ">u4"))
    if shape is not None and dims != tuple(shape):
        raise Refused(f"found the shape {dims}, expected {tuple(shape)}")
    size = math.prod(dims)
    if not 1 <= size <= MAX_BYTES:
        raise Refused(
            f"found a header of shape {dims}, {size} bytes, expected 1 to {MAX_BYTES} bytes"
        )

    digest = hashlib.sha256(magic + lengths)
    data = bytearray()  # grows with the bytes read, not with the size in the header
    while chunk := stream.read(min(_CHUNK, size + 1 - len(data))):
        data += chunk
        digest.update(chunk)
    if len(data) < size:
        raise Refused(f"found {len(data)} bytes after the header, expected {size}: cut short")
    if len(data) > size:
        raise Refused(f"found more than {size} bytes after the header, expected no more")
    if sha256 is not None and digest.hexdigest() != sha256:
        raise Refused(f"found SHA-256 {digest.hexdigest()}, expected {sha256}: altered")
    return np.frombuffer(data, np.uint8).reshape(dims)
