"""Feeds the reader of records any number of good, mutated and hostile files.

    python fuzz_records.py COUNT SEED

Nothing but a `DamagedRecordError` may come out of the reader, and no exception out of the store;
what is read is written back the same. Prints, as JSON, how many of each there were and the most
memory taken.
"""

import collections
import copy
import json
import random
import sys
import tempfile

from fuzzing import mutated, peak_mib
from runs import forged, quick_arm

from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import store
from mlpcw.study.records.record import DamagedRecordError, sealed
from mlpcw.study.records.store import State

ARMS = [
    quick_arm("part1/l1l2_1e-3_1e-2"),
    quick_arm("part2/random_noise"),
    quick_arm("part3/cnn_5x5"),
]
KEYS = (
    "",
    "arm",
    "seed",
    "digest",
    "schema",
    "epoch",
    "name",
    "kind",
    "\ud800",
    "\x1b[31m",
    "z" * 999,
)
WORDS = (*KEYS, "../..", "/etc/passwd", "part1", "none", "2016", "float32", "NaN", "\0", "🂡")
NUMBERS = (
    *(0, 1, -1, 2, 100, 2**31, 2**63, 2**64, 10**18, 10**30, 10**400, -(10**400)),
    *(0.0, -0.0, 0.5, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf")),
)


def any_json(rng, depth=3):
    """A value of any shape."""
    kind = rng.randrange(7 if depth else 5)
    match kind:
        case 0:
            return rng.choice((None, True, False))
        case 1 | 2:
            return rng.choice(NUMBERS)
        case 3:
            return rng.choice(WORDS)
        case 4:
            return rng.uniform(-1, 1)
        case 5:
            return [any_json(rng, depth - 1) for _ in range(rng.randrange(5))]
        case _:
            keys = (rng.choice(KEYS) for _ in range(rng.randrange(5)))
            return {key: any_json(rng, depth - 1) for key in keys}


def holders(value):
    """Every list and object in a value, itself included, that holds anything."""
    if isinstance(value, dict | list) and value:
        yield value
        for child in value.values() if isinstance(value, dict) else value:
            yield from holders(child)


def change(rng, record):
    """Changes one place of a record in some way."""
    holder = rng.choice(list(holders(record)))
    key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    match rng.randrange(5):
        case 0 | 1:
            holder[key] = any_json(rng)
        case 2:
            del holder[key]
        case 3:
            value = copy.deepcopy(holder[key])
            if isinstance(holder, list):
                holder.insert(key, value)
            else:
                holder[rng.choice(KEYS)] = value
        case 4:  # what is there, in another place
            holder[key] = copy.deepcopy(rng.choice(list(holders(record))))


def nested(rng):
    """Brackets, within a record or not, that are hardly ever closed."""
    depth = rng.choice((10, 500, 900, 1000, 5000, 100_000))
    text = "[" * depth + "]" * rng.choice((0, depth))
    return rng.choice((text, text.replace("[", '{"a":').replace("]", "}"), f'{{"schema": {text}}}'))


def any_file(rng, records):
    """A kind and the content of a file of it."""
    record = copy.deepcopy(rng.choice(records))
    match rng.randrange(8):
        case 0:
            return "any JSON", json.dumps(any_json(rng, depth=5)).encode()
        case 1:
            return "mutated bytes", mutated(rng, sealed(record).encode())
        case 2:
            return "any bytes", rng.randbytes(rng.randrange(200))
        case 3 if rng.random() < 0.1:
            return "nested", nested(rng).encode()
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        change(rng, record)
    try:
        return "mutated, sealed", sealed(record).encode()
    except (AttributeError, TypeError, ValueError):  # it has no digest
        return "mutated, not sealed", json.dumps(record).encode()


def check(kept, path, content):
    """Whether the file was read; asserts that it was refused or read as the store writes it."""
    path.write_bytes(content)
    try:
        record = store.read_record(path)
    except DamagedRecordError as error:
        assert str(error).startswith(f"{path} ") and str(error).isprintable()
        assert len(str(error)) < 1000
        record = None
    else:
        assert sealed(record).encode() == content
    for arm in ARMS[:2]:  # the file's own arm, and one whose record is not there
        finding = kept.find(arm, 0)
        assert finding.reason.isprintable() and len(finding.reason) < 1000
        assert finding.state is not State.DONE or record is not None
    return record is not None


def main(count: int, seed: int) -> None:
    rng = random.Random(seed)
    counts = collections.Counter()
    records = [forged(arm) for arm in ARMS]
    with tempfile.TemporaryDirectory() as folder:
        kept = open_store("quick", folder, 1)
        path = kept.write(records[0])
        for _ in range(count):
            kind, content = any_file(rng, records)
            counts[kind] += 1
            counts["read" if check(kept, path, content) else "refused"] += 1
    figures = {"inputs": count}
    print(json.dumps(figures | {"peak MiB": peak_mib()} | counts))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
