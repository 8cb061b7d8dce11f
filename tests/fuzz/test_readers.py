"""The readers of files from outside, fed any files: each is read right or refused by a sentence.

100,000 examples with `--long`. The memory that the worst of them take is that of another process.
"""

import copy
import gzip
import hashlib
import json
import math
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from runs import forged, quick_arm, quick_store

from mlpcw import compiled, mnist
from mlpcw.study.pages.trust import MOST_MEMORY
from mlpcw.study.records import store
from mlpcw.study.records.record import DamagedRecordError, sealed
from mlpcw.study.records.store import State

LONG, SHORT = 100_000, 500  # examples
PEAK = r"""
import pathlib, re, resource, sys
from {0.__module__} import {0.__name__}
for path in map(pathlib.Path, sys.argv[1:]):
    try:
        {0.__name__}(path)
    except ValueError:
        pass
status = pathlib.Path("/proc/self/status")  # what getrusage says begins with the parent's
if status.exists():
    print(int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 2**10)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.fixture
def fuzz(trust_row, full_version, tmp_path):
    """Feeds a reader examples of files, (kind, content), and the worst of them by another process.

    `read` gets the path and the content of a file, and says whether it was read.
    """

    def feed(files, read, reader, worst):
        path = tmp_path / "file"
        trust_row["refused"] = 0

        @settings(max_examples=LONG if full_version else SHORT)
        @given(files)
        def feed_examples(file):
            kind, content = file
            event(kind)
            path.write_bytes(content)
            trust_row["refused"] += not read(path, content)
            trust_row["counts"][kind] += 1

        feed_examples()
        paths = [tmp_path / f"worst-{number}" for number in range(len(worst))]
        for worst_path, content in zip(paths, worst, strict=True):
            worst_path.write_bytes(content)
        # The readers call no kernels, and a compiler alone takes a hundred MiB.
        environment = {compiled.SWITCH: "0", "PYTHONPATH": str(store.repository_root())}
        command = [sys.executable, "-c", PEAK.format(reader), *paths]
        peak = subprocess.check_output(command, env=os.environ | environment, text=True)
        trust_row["peak_mib"] = round(float(peak), 1)
        assert trust_row["peak_mib"] < MOST_MEMORY

    return feed


@st.composite
def mutated(draw, contents):
    """Contents with one to three small changes."""
    content = draw(contents)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(content)))
        end = place + draw(st.sampled_from([0, 1, 4, 1000]))
        if end == place + 1 <= len(content):
            middle = bytes([content[place] ^ 1 << draw(st.integers(0, 7))])
        else:
            middle = draw(st.binary(max_size=16) | st.just(content[place:end] * 2))
        content = content[:place] + middle + content[end:]
    return content


# ---- Images and labels ---------------------------------------------------------------------


def header(shape, type_code=8, magic=b"\0\0"):
    return magic + struct.pack(f">BB{len(shape)}I", type_code, len(shape) % 256, *shape)


def packed(contents):
    """Contents as gzip has them, in one member or in two."""
    cuts = st.integers(-20, 20)
    halves = st.builds(lambda content, cut: (content[:cut], content[cut:]), contents, cuts)
    return contents.map(gzip.compress) | halves.map(lambda both: b"".join(map(gzip.compress, both)))


LENGTHS = [0, 1, 2, 3, 28, 255, 2**16, 2**26, 2**31 - 1, 2**31, 2**32 - 28, 2**32 - 1]
GOOD = st.lists(st.integers(1, 6), min_size=1, max_size=3).flatmap(
    lambda shape: st.binary(min_size=math.prod(shape), max_size=math.prod(shape)).map(
        lambda data: header(shape) + data
    )
)
LYING = st.builds(
    lambda shape, type_code, magic, size: header(shape, type_code, magic) + bytes(size),
    st.lists(st.sampled_from(LENGTHS), max_size=4) | st.just([1] * 255),
    st.sampled_from([8, 8, 8, 9, 11, 13, 0, 255]),
    st.sampled_from([b"\0\0", b"\0\0", b"\0\1", b"\1\0"]),
    st.sampled_from([0, 1, 27, 784]),
)
IDX = {"good": GOOD, "good, gzipped": packed(GOOD), "mutated": mutated(GOOD)}
IDX |= {"mutated, gzipped": packed(IDX["mutated"]), "gzipped, mutated": mutated(packed(GOOD))}
IDX |= {"with a false header": LYING, "with a false header, gzipped": packed(LYING)}


def by_the_book(content):
    """The shape and the bytes that the content holds, or `None` if it is no such file."""
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except Exception:
            return None
    dims = content[3] if len(content) > 3 else 0
    if content[:3] != b"\0\0\x08" or not 1 <= dims <= 3 or len(content) < 4 + 4 * dims:
        return None
    shape, data = struct.unpack_from(f">{dims}I", content, 4), content[4 + 4 * dims :]
    return (shape, data) if 0 < len(data) == math.prod(shape) else None


@pytest.mark.trust_row(reader="files of images and labels")
def test_files_of_images_are_read_right_or_refused_in_little_memory(fuzz):
    def read(path, content):
        expected = by_the_book(content)
        try:
            images = mnist.read_idx(path)
        except ValueError as error:
            assert expected is None, content
            assert str(error).startswith(f"{path}: found ") and str(error).isprintable()
            return False
        assert images.dtype == np.uint8 and (images.shape, images.tobytes()) == expected
        shape, data = expected
        digest = hashlib.sha256(header(shape) + data).hexdigest()
        assert mnist.read_idx(path, digest, shape).tobytes() == data
        with pytest.raises(ValueError, match="found SHA-256"):
            mnist.read_idx(path, "0" * 64, shape)
        return True

    largest, bomb = (gzip.compress(header([size]) + bytes(size)) for size in (2**26, 2**27))
    hidden = [gzip.compress(header(shape)) + bomb for shape in ([10, 28, 28], [2**31, 2, 2])]
    files = st.one_of(st.tuples(st.just(kind), contents) for kind, contents in IDX.items())
    fuzz(files, read, mnist.read_idx, [largest, bomb, *hidden])


# ---- Records -------------------------------------------------------------------------------

ARMS = [quick_arm(f"part{key}") for key in ("1/l1l2_1e-3_1e-2", "2/random_noise", "3/cnn_5x5")]
KEYS = ["", "arm", "seed", "digest", "schema", "epoch", "kind", "\ud800", "\x1b[31m", "z" * 999]
VALUES = [None, True, False, 0, 1, -1, 2**31, 2**64, 10**400, -0.0, 0.5, 1e-320, 1e308]
VALUES += [math.nan, math.inf, -math.inf, *KEYS, "../..", "part1", "2016", "NaN", "\0"]
ANY_JSON = st.recursive(
    st.sampled_from(VALUES),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inside),
    max_leaves=8,
)
NESTED = [
    start.encode() * depth + end.encode() * closed
    for start, end in (("[", "]"), ('{"a":', "}"), ('{"schema": [', "]}"))
    for depth in (10, 900, 1000, 100_000)
    for closed in (0, depth)
]


def holders(value):
    """Every list and object in a value, itself included, that holds anything."""
    if isinstance(value, dict | list) and value:
        yield value
        for child in value.values() if isinstance(value, dict) else value:
            yield from holders(child)


@st.composite
def changed_records(draw):
    """Records with up to three changes, sealed where that is possible."""
    record = forged(draw(st.sampled_from(ARMS)))
    for _ in range(draw(st.integers(0, 3))):
        holder, other = (draw(st.sampled_from(list(holders(record)))) for _ in range(2))
        key = draw(
            st.sampled_from(list(holder) if isinstance(holder, dict) else [*range(len(holder))])
        )
        match draw(st.sampled_from(["any", "any", "less", "more", "moved"])):
            case "any":
                holder[key] = draw(ANY_JSON)
            case "less":
                del holder[key]
            case "moved":
                holder[key] = copy.deepcopy(other)
            case "more" if isinstance(holder, list):
                holder.insert(key, holder[key])
            case "more":
                holder[draw(st.sampled_from(KEYS))] = holder[key]
    try:
        return "mutated, sealed", sealed(record).encode()
    except (AttributeError, TypeError, ValueError):  # it has no digest
        return "mutated, not sealed", json.dumps(record).encode()


@pytest.mark.trust_row(reader="records of runs")
def test_records_are_read_or_refused_in_little_memory(fuzz, tmp_path):
    kept = quick_store(tmp_path / "results")
    places = [kept.find(arm, 0) for arm in ARMS[:2]]

    def read(path, content):
        try:
            record = store.read_record(path)
        except DamagedRecordError as error:
            assert str(error).startswith(f"{path} ") and str(error).isprintable()
            assert len(str(error)) < 1000
            record = None
        else:
            assert sealed(record).encode() == content
        for place in places:
            place.path.write_bytes(content)
            finding = kept.find(place.arm, 0)
            assert finding.reason.isprintable() and len(finding.reason) < 1000
            assert finding.state is not State.DONE or record is not None
        return record is not None

    whole = st.sampled_from([sealed(forged(arm)).encode() for arm in ARMS])
    others = {
        "any JSON": ANY_JSON.map(lambda value: json.dumps(value).encode()),
        "mutated bytes": mutated(whole),
        "any bytes": st.binary(max_size=200),
        "nested": st.sampled_from(NESTED),
    }
    files = [st.tuples(st.just(kind), contents) for kind, contents in others.items()]
    fuzz(changed_records() | st.one_of(files), read, store.read_record, NESTED)
