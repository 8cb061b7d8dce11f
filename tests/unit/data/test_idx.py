"""Reading of IDX files: what is read, what is refused and in which words. See also tests/fuzz."""

import gzip
import hashlib
import re
import struct
import tracemalloc

import numpy as np
import pytest

from mlpcw.data.idx import read_idx

IMAGES = np.random.RandomState(1).randint(0, 256, (3, 5, 4)).astype(np.uint8)
HEADER = bytes([0, 0, 8, 3])
CONTENT = HEADER + struct.pack(">III", 3, 5, 4) + IMAGES.tobytes()
PACKINGS = pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def write(tmp_path):
    """Writes bytes into a file of a temporary folder and returns its path."""

    def write(content, name="some-file"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


@PACKINGS
@pytest.mark.parametrize("array", [IMAGES, IMAGES[:, 0], IMAGES[:, 0, 0]], ids=["3d", "2d", "1d"])
@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_content_tells_gzip_from_plain(write, pack, array, name):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    content = header + array.tobytes()
    path = write(pack(content), name)
    for read in (read_idx(path, sha256(content), array.shape), read_idx(str(path))):
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, array)


def test_any_compression_of_the_right_bytes_passes(write):
    members = gzip.compress(CONTENT[:20], 1) + gzip.compress(CONTENT[20:], 9)
    for packed in (gzip.compress(CONTENT, 0), members):
        np.testing.assert_array_equal(read_idx(write(packed), sha256(CONTENT)), IMAGES)


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
PACKED = gzip.compress(CONTENT)
BAD_STREAMS = {
    "cut": PACKED[:-12],
    "header alone": PACKED[:12],
    "magic alone": PACKED[:2],
    "checksum": PACKED[:-8] + bytes(4) + PACKED[-4:],
    "deflate": PACKED[:10] + b"\xff" * 20 + PACKED[30:],
    "goes on": PACKED + b"after the end",
}
REFUSALS = {
    **{f"{name}, plain": case for name, case in BAD_FILES.items()},
    **{f"{name}, gzipped": (gzip.compress(c), *case) for name, (c, *case) in BAD_FILES.items()},
    **{
        f"gzip: {name}": (content, {}, "found a gzip stream that is cut short or damaged (")
        for name, content in BAD_STREAMS.items()
    },
}


@pytest.mark.parametrize(("content", "known", "message"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_says_what_is_wrong(write, content, known, message):
    path = write(content)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_idx(path, **known)
    text = str(caught.value)
    assert text.startswith(f"{path}: found ")
    assert text.endswith(
        "; delete it and run `python -m mlpcw data`, or put the original file in its place"
    )
    assert "\n" not in text


def test_a_file_must_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="not-there"):
        read_idx(tmp_path / "not-there")
    with pytest.raises(IsADirectoryError):
        read_idx(tmp_path)


BOMB = bytes(64 * 2**20)


@pytest.mark.parametrize(
    ("shape", "data", "pack", "known"),
    [
        ((2**31, 512, 1), bytes(1000), bytes, {}),
        ((2**26, 1, 1), bytes(1000), bytes, {}),
        ((2**31, 512, 1), bytes(1000), gzip.compress, {}),
        ((2**26, 1, 1), bytes(1000), gzip.compress, {}),
        ((10, 28, 28), BOMB, gzip.compress, {}),
        ((2**31, 512, 1), BOMB, gzip.compress, {}),
        ((2**26, 1, 1), BOMB, gzip.compress, {"shape": (10, 28, 28)}),
    ],
)
def test_false_headers_and_gzip_bombs_take_no_memory(write, shape, data, pack, known):
    path = write(pack(HEADER + struct.pack(">III", *shape) + data))
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):
            read_idx(path, **known)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()
