"""Feeds the reader of IDX files any number of good, mutated and hostile files.

    python fuzz_idx.py COUNT SEED

Each is read right or refused by a sentence that names the file; which of the two is right is told
by a reader of a few lines. Prints, as JSON, how many of each there were and the most memory taken.
"""

import collections
import gzip
import hashlib
import json
import math
import random
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
from fuzzing import mutated, peak_mib

from mlpcw import mnist

LENGTHS = (0, 1, 2, 3, 28, 255, 2**16, 2**20, 2**26, 2**31 - 1, 2**31, 2**32 - 28, 2**32 - 1)
"""Lengths of a dimension; those from 2 ** 31 on would be negative in a signed reader."""

BOMB = gzip.compress(bytes(2**27), 9)
"""A member of 128 KiB that inflates to 128 MiB, twice what the reader may take."""


def header(shape, type_code=8, magic=b"\0\0"):
    return magic + struct.pack(f">BB{len(shape)}I", type_code, len(shape) % 256, *shape)


def good(rng):
    shape = [rng.randint(1, 6) for _ in range(rng.randint(1, 3))]
    return header(shape) + rng.randbytes(math.prod(shape))


def lying(rng):
    """A header that promises anything, and some bytes."""
    shape = [rng.choice(LENGTHS) for _ in range(rng.choice((0, 1, 2, 3, 3, 4, 255)))]
    type_code = rng.choice((8, 8, 8, 8, 9, 11, 13, 0, 255))
    magic = rng.choice((b"\0\0", b"\0\0", b"\0\0", b"\0\1", b"\1\0"))
    return header(shape, type_code, magic) + rng.randbytes(rng.choice((0, 1, 27, 784)))


def packed(rng, content):
    """The content as gzip has it, in one member or in two."""
    level = rng.choice((0, 1, 9))
    if rng.random() < 0.2:
        place = rng.randrange(len(content) + 1)
        return gzip.compress(content[:place], level) + gzip.compress(content[place:], level)
    return gzip.compress(content, level)


def bomb(rng):
    """A small file that inflates to more than may be read, below any header."""
    shape = rng.choice(((2**26, 1, 1), (2**27, 1, 1), (2**27,), (10, 28, 28), (2**31, 2, 2)))
    return gzip.compress(header(shape)) + BOMB


def any_file(rng):
    """A kind and the content of a file of it."""
    if rng.random() < 1 / 2000:
        return "gzip bombs", bomb(rng)
    match rng.randrange(8):
        case 0:
            return "good", good(rng)
        case 1:
            return "good, gzipped", packed(rng, good(rng))
        case 2 | 3:
            return "mutated", mutated(rng, good(rng))
        case 4:
            return "mutated, gzipped", packed(rng, mutated(rng, good(rng)))
        case 5:
            return "gzipped, mutated", mutated(rng, packed(rng, good(rng)))
        case 6:
            return "with a false header", lying(rng)
        case _:
            return "with a false header, gzipped", packed(rng, lying(rng))


def by_the_book(content):
    """The shape and the bytes that the content holds, or `None` where it is no such file."""
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except Exception:
            return None
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= content[3] <= 3:
        return None
    start = 4 + 4 * content[3]
    if len(content) < start:
        return None
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    size = math.prod(shape)
    return (shape, content[start:]) if size and size == len(content) - start else None


def check(path, kind, content, rng):
    """Whether the file was read; asserts that it was if and only if it should be."""
    expected = None if kind == "gzip bombs" else by_the_book(content)
    known = {}
    if expected and rng.random() < 0.3:
        shape, data = expected
        wrong = rng.random() < 0.5
        digest = hashlib.sha256(header(shape) + data).hexdigest()
        known = {"shape": shape, "sha256": "0" * 64 if wrong else digest}
        expected = None if wrong else expected
    path.write_bytes(content)
    try:
        found = mnist.read_idx(path, **known)
    except ValueError as error:
        assert expected is None, (kind, content, error)
        assert str(error).startswith(f"{path}: found ") and str(error).isprintable()
        return False
    assert expected is not None, (kind, content)
    assert found.dtype == np.uint8 and (found.shape, found.tobytes()) == expected
    return True


def main(count: int, seed: int) -> None:
    rng = random.Random(seed)
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            kind, content = any_file(rng)
            counts[kind] += 1
            read = check(Path(folder) / "file", kind, content, rng)
            counts["read right" if read else "refused"] += 1
        for shape in (2**26, 2**27):  # the most that is read, and the least that is not
            counts["gzip bombs"] += 1
            content = gzip.compress(header([shape])) + gzip.compress(bytes(shape), 9)
            (Path(folder) / "file").write_bytes(content)
            try:
                assert mnist.read_idx(Path(folder) / "file").shape == (2**26,)
                counts["read right"] += 1
            except ValueError:
                assert shape == 2**27
                counts["refused"] += 1
    figures = {"inputs": count + 2}
    print(json.dumps(figures | {"peak MiB": peak_mib()} | counts))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
