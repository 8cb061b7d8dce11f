"""The store: a record is written whole or not at all, and what is not a whole record is named.

Whatever happens to a file, the store says what is wrong with it in one line that names it, leaves
it where it is and never fails itself. What a record must hold is in `test_record`.
"""

import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest
from runs import forged, quick_arm

from mlpcw.study import chapters
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import record as records
from mlpcw.study.records import store
from mlpcw.study.records.arms import SEED_2016
from mlpcw.study.records.record import DamagedRecordError
from mlpcw.study.records.store import Finding, State, Store

ARM = quick_arm()


@pytest.fixture
def kept(tmp_path):
    """A store of runs of the quick profile, one epoch long."""
    return open_store("quick", tmp_path, 1)


@pytest.fixture
def path(kept):
    """Where a good record is."""
    return kept.write(forged(ARM))


def files(kept):
    return sorted(path for path in kept.folder.rglob("*") if path.is_file())


def other_test_error(error):
    return forged(ARM) | {"test": {"error": error, "acc": 0.75}}


# ---- Done, missing and stale ----------------------------------------------------------------


def test_a_good_record_is_done_in_a_file_that_everyone_may_read(kept, path):
    assert path == kept.path(ARM, 0) == kept.folder / "part1" / "none" / "0.json"
    assert kept.find(ARM, 0) == Finding(ARM, 0, path, State.DONE, "", forged(ARM))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert files(kept) == [path]


def test_a_run_without_a_file_is_missing(kept):
    assert kept.find(ARM, 0) == Finding(ARM, 0, kept.path(ARM, 0), State.MISSING)


def test_a_record_is_stale_by_the_reason_that_the_store_is_given(tmp_path):
    asked = []
    kept = Store(tmp_path, [ARM], lambda *of: asked.append(of) or "it is old")
    path = kept.write(forged(ARM))
    assert kept.find(ARM, 0) == Finding(ARM, 0, path, State.STALE, "it is old", forged(ARM))
    assert asked == [(forged(ARM), ARM)]


def test_a_new_record_replaces_the_old_one(kept, path):
    kept.write(other_test_error(0.125))
    assert kept.find(ARM, 0).record["test"]["error"] == 0.125
    assert files(kept) == [path]


# ---- A write that fails ---------------------------------------------------------------------


class Half:
    """A file that writes half of what it is given and fails."""

    def __init__(self, file, error):
        self._file, self._error = file, error

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, text):
        self._file.write(text[: len(text) // 2])
        raise self._error


@pytest.mark.parametrize(
    "step", ["tempfile.mkstemp", "os.fdopen", "os.fsync", "os.chmod", "os.replace"]
)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_whatever_step_of_a_write_fails_the_old_file_stays_alone(
    kept, path, monkeypatch, step, error
):
    def fails(*_):
        raise error

    def half(*args, **options):
        return Half(open(*args, **options), error)

    before = path.read_bytes()
    monkeypatch.setattr(step, half if step == "os.fdopen" else fails)
    with pytest.raises(type(error)):
        kept.write(other_test_error(0.125))
    assert files(kept) == [path]
    assert path.read_bytes() == before


def test_what_is_not_whole_is_not_written(kept, path):
    with pytest.raises(DamagedRecordError, match="missing required field `error`"):
        kept.write(forged(ARM) | {"test": {}})
    assert kept.find(ARM, 0).state is State.DONE


# ---- Damaged --------------------------------------------------------------------------------


def put(content):
    return lambda path: path.write_bytes(content)


def put_record(record):
    return put(records.sealed(record).encode())


def put_endless(path):
    with path.open("ab") as file:
        file.truncate(2**40)


def put_special(make):
    def put(path):
        path.unlink()
        make(path)

    return put


def put_file_as_folder(path):
    shutil.rmtree(path.parent)
    path.parent.write_text("in the way", encoding="utf-8")


def long_name(record):
    record["arm"]["name"] = "z" * 5000
    return record


DAMAGES = {
    "not JSON": (put(b"{"), "is not a readable record: Input data was truncated"),
    "brackets without end": (put(b"[" * 200_000), "is not a readable record: "),
    "no record": (put(b"[]"), "is not a whole record: Expected `object`, got `array`"),
    "one digit": (
        put(records.sealed(forged(ARM)).replace("0.75", "0.76").encode()),
        "is not a whole record: its content does not match its digest",
    ),
    "unprintable": (
        put_record(forged(ARM) | {"\x1b[31m": 1}),
        "is not a whole record: Object contains unknown field `?[31m`",
    ),
    "a field without end": (put_record(forged(ARM) | {"z" * 5000: 1}), "zzz ..."),
    "another arm's": (
        put_record(forged(quick_arm("part1/l2_1e-2"))),
        "holds the run part1/l2_1e-2 with seed 0, not part1/none with 0",
    ),
    "another seed's": (
        put_record(forged(ARM, seed=1)),
        "holds the run part1/none with seed 1, not part1/none with 0",
    ),
    "a long name's": (put_record(long_name(forged(ARM, 10**4000))), "holds the run part1/zzz"),
    "a folder": (put_special(Path.mkdir), "is not a whole record: it is not a regular file"),
    "a pipe": (put_special(os.mkfifo), "is not a whole record: it is not a regular file"),
    "a link to itself": (
        put_special(lambda path: path.symlink_to(path)),
        "cannot be read: Too many levels",
    ),
    "a file for a folder": (put_file_as_folder, "cannot be read: Not a directory"),
    "a file without end": (
        put_endless,
        f"its file has {2**40} bytes, a record has at most {2**24}",
    ),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_what_is_not_a_whole_record_is_damaged_said_in_a_line_and_left_alone(
    kept, path, damage, reason
):
    damage(path)
    before = path.read_bytes() if path.is_file() and path.stat().st_size < 2**24 else None
    finding = kept.find(ARM, 0)
    assert (finding.state, finding.record) == (State.DAMAGED, None)
    assert finding.reason.startswith(f"{path} ")
    assert reason in finding.reason
    assert finding.reason.isprintable()
    assert len(finding.reason) < 900
    if before is not None:
        assert path.read_bytes() == before


def test_a_file_that_may_not_be_read_is_damaged(kept, path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert kept.find(ARM, 0).reason == f"{path} cannot be read: Permission denied"


# ---- Parts and seeds ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "num_seeds", "in_order"),
    [
        (["part3", "part1"], 0, ["part3", "part1"]),
        (["part1", "part1"], 2, ["part1"]),
        ([], 1, ["part1", "part2", "part3"]),
    ],
)
def test_runs_are_found_in_the_order_of_parts_arms_and_seeds(kept, parts, num_seeds, in_order):
    runs = [(finding.arm, finding.seed) for finding in kept.find_all(parts, num_seeds)]
    arms = [arm for part in in_order for arm in chapters.arms("quick", part, 1)]
    assert runs == [(arm, seed) for arm in arms for seed in range(num_seeds or 3)]


def test_runs_with_further_seeds_are_found_too(kept, path):
    for seed in (2, 3, 12):
        kept.write(forged(ARM, seed))
    kept.path(ARM, 12).write_text("{", encoding="utf-8")
    more = [(finding.arm, finding.seed, finding.state) for finding in kept.find_more()]
    assert more == [(ARM, 12, State.DAMAGED), (ARM, 3, State.DONE)]


# ---- Files that are no runs -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "part1/none.json",
        "part1/none/notes.txt",
        "part1/none/first.json",
        "part1/none/00.json",
        "part1/none/-1.json",
        "part1/none/0.json.bak",
        "part1/unheard_of/0.json",
        "part2/none/0.json",
        "part1/none/deeper",
        "part1/none/\udcff.json",
    ],
)
def test_a_file_that_is_no_run_is_named(kept, path, name):
    stranger = kept.folder / name
    stranger.parent.mkdir(parents=True, exist_ok=True)
    stranger.write_text("{}", encoding="utf-8")
    shown = str(stranger).replace("\udcff", "?")
    assert kept.strangers() == [f"foreign: {shown} is not the record of a run of this profile"]


def test_a_folder_of_folders_without_end_is_named_once(kept, path):
    deep = path.parent / "a"
    deep.mkdir()
    place = os.open(deep, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("a", dir_fd=place)
        deeper = os.open("a", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = deeper
    os.close(place)
    try:
        assert kept.strangers() == [f"foreign: {deep} is not the record of a run of this profile"]
        assert kept.find_more() == []
        kept.check_writable()
    finally:
        subprocess.run(["rm", "-r", str(deep)], check=True)  # noqa: S607 - `shutil` cannot


def test_good_records_hidden_files_and_folders_that_are_not_there_are_no_strangers(kept, tmp_path):
    assert kept.strangers() == []
    path = kept.write(forged(ARM, seed=40))
    (kept.folder / ".DS_Store").write_text("", encoding="utf-8")
    (path.parent / ".abc.tmp").write_text("", encoding="utf-8")
    assert kept.strangers() == []


def test_a_run_of_2016_has_one_seed_and_any_other_is_a_stranger(tmp_path):
    kept = open_store("full", tmp_path)
    arm = chapters.find("full", "part1/none")
    kept.write(forged(arm, SEED_2016))
    path = kept.write(forged(arm, 1))
    assert kept.strangers() == [f"foreign: {path} is not the record of a run of this profile"]


# ---- A folder that can be written to --------------------------------------------------------


def test_the_folder_is_made_if_it_is_not_there(tmp_path):
    kept = open_store("quick", tmp_path / "new" / "results")
    kept.check_writable()
    assert list(kept.folder.iterdir()) == []


def test_a_folder_below_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    kept = open_store("quick", tmp_path / "file")
    for check, use in ((kept.check_writable, "written to"), (kept.check_readable, "read")):
        message = rf"^results must be a folder that can be {use}, got {kept.folder}: Not a direct"
        with pytest.raises(ValueError, match=message):
            check()


def test_what_a_killed_process_left_is_removed_once_it_is_old_and_nothing_else(kept, path):
    elsewhere = kept.folder / "part1" / "unheard_of"
    elsewhere.mkdir()
    names = (".0.json.abc_1234.tmp", ".12.json.00000000.tmp")
    left = [path.parent / name for name in names]
    foreign = [path.parent / f".{name}.tmp" for name in ("notes", "0.json.abc", "00.json.abc_1234")]
    foreign += [elsewhere / names[0], kept.folder / names[0], path.parent / ".1.json.abc_1234.tmp"]
    for file in (*left, *foreign):
        file.write_text("{", encoding="utf-8")
    link, folder, pipe = (path.parent / f".{seed}.json.abc_1234.tmp" for seed in (3, 4, 5))
    link.symlink_to(path)
    folder.mkdir()
    os.mkfifo(pipe)
    long_ago = time.time() - 2 * store.LEFT_OVER_AFTER
    for file in (path, *left, *foreign[:-1], folder, pipe):
        os.utime(file, (long_ago, long_ago))
    kept.check_writable()
    there = {*kept.folder.rglob("*")} - {path.parent, path.parent.parent, elsewhere}
    assert there == {path, *foreign, link, folder, pipe}


def test_what_is_being_written_is_not_removed_however_old_a_clock_that_jumped_says_it_is(
    kept, path, monkeypatch
):
    right, removed = os.replace, []

    def replace(temporary, place):
        long_ago = time.time() - 2 * store.LEFT_OVER_AFTER
        os.utime(temporary, (long_ago, long_ago))
        kept.check_writable()
        removed.append(not Path(temporary).exists())
        right(temporary, place)

    monkeypatch.setattr(os, "replace", replace)
    kept.write(forged(ARM))
    assert removed == [False]
    assert files(kept) == [path]


def test_the_usual_folder_is_beside_the_package():
    root = store.repository_root()
    assert (root / "mlpcw" / "study" / "records" / "store.py").is_file()
    assert store.default_results() == root / "results"
