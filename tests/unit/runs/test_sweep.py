"""Sweeps: what is not done is trained and stored, and what fails is said."""

from pathlib import Path

import pytest
from runs import Inline, forged, outdated

from mlpcw.study import chapters
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records.store import Finding, State, Store
from mlpcw.study.runs import train as training
from mlpcw.study.runs.sweep import cost, seconds_left, sweep
from mlpcw.study.runs.train import RunFailedError

QUICK = chapters.arms("quick", "part1", 1)


@pytest.fixture
def kept(tmp_path):
    return open_store("quick", tmp_path, 1)


@pytest.fixture
def trained(monkeypatch):
    """The names of the arms that a sweep trains, in their order; their records are forged."""
    names = []

    def train(arm, seed):
        names.append((arm.name, seed))
        return forged(arm, seed)

    monkeypatch.setattr(training, "train", train)
    return names


def states(kept, part="part1", num_seeds=1):
    return [finding.state for finding in kept.find_all([part], num_seeds)]


def test_a_sweep_trains_and_stores_all_that_is_wanted(kept, trained):
    assert sweep(kept, kept.find_all(["part1"]), executor=Inline()) == []
    assert sorted(trained) == sorted((arm.name, seed) for arm in QUICK for seed in (0, 1, 2))
    assert set(states(kept, num_seeds=3)) == {State.DONE}


def test_a_sweep_trains_only_what_is_not_done(kept, trained):
    done, damaged, stale, *missing = QUICK
    kept.write(forged(done))
    kept.write(forged(damaged)).write_text("{", encoding="utf-8")
    kept.write(outdated(stale))
    assert sweep(kept, kept.find_all(["part1"], 1), executor=Inline()) == []
    assert {name for name, _ in trained} == {each.name for each in (damaged, stale, *missing)}
    assert states(kept) == [State.DONE] * 7


def test_a_sweep_of_what_is_done_does_nothing_not_even_on_a_disk_that_is_read_only(
    kept, trained, monkeypatch
):
    kept.write(forged(QUICK[0]))
    monkeypatch.setattr(Store, "check_writable", None)
    assert sweep(kept, kept.find_all(["part1"], 1)[:1]) == []
    assert trained == []


def test_a_run_that_is_wanted_twice_is_trained_once(kept, trained):
    sweep(kept, 2 * kept.find_all(["part1"], 1), executor=Inline())
    assert len(trained) == len(QUICK)


def test_the_longest_runs_come_first(kept, trained):
    sweep(kept, kept.find_all(num_seeds=1), executor=Inline())
    costs = [cost(next(arm for arm in kept.arms if arm.name == name)) for name, _ in trained]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ZeroDivisionError("by 0"), "part1/l2_1e-2 with seed 0 failed: by 0"),
        (MemoryError(), "part1/l2_1e-2 with seed 0 failed: MemoryError"),
        (
            RunFailedError("part1/l2_1e-2 with seed 0 diverged"),
            "part1/l2_1e-2 with seed 0 diverged",
        ),
    ],
)
def test_a_run_that_fails_is_said_and_the_others_are_stored(kept, monkeypatch, error, sentence):
    def train(arm, seed):
        if arm.name == "l2_1e-2":
            raise error
        return forged(arm, seed)

    monkeypatch.setattr(training, "train", train)
    failures = sweep(kept, kept.find_all(["part1"], 1), executor=Inline())
    assert failures == [sentence]
    assert states(kept).count(State.DONE) == 6


def test_a_record_that_cannot_be_written_is_said_and_the_others_are_stored(
    kept, trained, monkeypatch
):
    write = Store.write

    def full_for_one(self, record):
        if record["arm"]["name"] == "l2_1e-2":
            raise OSError(28, "No space left on device")
        return write(self, record)

    monkeypatch.setattr(Store, "write", full_for_one)
    failures = sweep(kept, kept.find_all(["part1"], 1), executor=Inline())
    assert failures == [
        f"part1/l2_1e-2 with seed 0 was trained, but not stored in {kept.folder}:"
        " No space left on device"
    ]
    assert states(kept).count(State.DONE) == 6


def test_a_folder_in_the_place_of_a_record_is_said_and_left(kept, trained):
    kept.path(QUICK[0], 0).mkdir(parents=True)
    (failure,) = sweep(kept, kept.find_all(["part1"], 1), executor=Inline())
    assert failure.startswith("part1/none with seed 0 was trained, but not stored in ")
    assert kept.path(QUICK[0], 0).is_dir()


def test_what_an_executor_returns_is_checked_before_it_is_stored(kept, monkeypatch):
    monkeypatch.setattr(training, "train", lambda arm, seed: forged(arm, seed) | {"test": {}})
    (failure, *_) = sweep(kept, kept.find_all(["part1"], 1), executor=Inline())
    assert failure.endswith("Object missing required field `error` - at `$.test`")
    assert set(states(kept)) == {State.MISSING}


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_trained(
    tmp_path, trained
):
    (tmp_path / "file").write_text("", encoding="utf-8")
    kept = open_store("quick", tmp_path / "file", 1)
    findings = [Finding(QUICK[0], 0, kept.path(QUICK[0], 0), State.MISSING)]
    with pytest.raises(ValueError, match="results must be a folder that can be written to, got"):
        sweep(kept, findings, executor=Inline())
    assert trained == []


def test_a_negative_number_of_workers_is_refused(kept):
    with pytest.raises(ValueError, match="workers must be a whole number of at least 0, got -1"):
        sweep(kept, kept.find_all(), workers=-1)


def test_missing_mnist_is_said_once_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MLPCW_DATA_DIR", str(tmp_path / "nothing"))
    kept = open_store("full", tmp_path, 1)
    with pytest.raises(FileNotFoundError, match=r"MNIST is not in .*nothing.* mlpcw data"):
        sweep(kept, kept.find_all(["part1"]))


def test_a_sweep_shows_nothing_unless_asked_to(kept, trained, capsys):
    sweep(kept, kept.find_all(["part1"], 1), executor=Inline())
    assert capsys.readouterr() == ("", "")


def test_a_progress_bar_goes_to_stderr_with_the_time_left(kept, trained, capsys):
    sweep(kept, kept.find_all(["part1"], 1), executor=Inline(), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "7 runs: 100%" in err
    assert " so far, " in err
    assert " left " in err


# ---- The time left --------------------------------------------------------------------------


def found(arm, state, wall=0.0):
    record = {"seconds": {"wall": wall, "cpu": wall}} if state is State.DONE else None
    return Finding(arm, 0, Path("unused"), state, record=record)


def test_the_time_left_is_by_the_cost_of_what_is_done():
    arm = QUICK[0]
    findings = [
        found(arm, State.DONE, 3.0),
        found(arm, State.DONE, 5.0),
        *(found(arm, state) for state in (State.MISSING, State.STALE, State.DAMAGED)),
    ]
    assert seconds_left(findings) == pytest.approx(3 * 4.0)


def test_nothing_left_takes_no_time():
    assert seconds_left([found(QUICK[0], State.DONE, 3.0)]) == 0
    assert seconds_left([]) == 0


def test_the_time_left_is_not_known_before_a_run_is_done():
    assert seconds_left([found(QUICK[0], State.MISSING)]) is None


@pytest.mark.parametrize(
    ("profile", "key", "num_epochs", "images", "once"),
    [
        ("full", "part3/nn", 0, 50_000 * 100, 50_000),
        ("full", "part3/nn", 50, 50_000 * 50, 50_000),
        ("full", "part2/size_1000", 0, 1000 * 100, 50_000),
        ("full", "part1/l2_1e-2", 0, 1.2 * 50_000 * 100, 50_000),
        ("full", "part2/random_rotation", 0, 1.5 * 50_000 * 100, 50_000),
        ("full", "part3/cnn_5x5", 0, 1.5 * 50_000 * 100, 50_000),
        ("quick", "part3/nn", 0, 1000 * 20, 1000),
    ],
)
def test_a_cost_is_the_images_of_all_epochs_weighed_by_their_work(
    profile, key, num_epochs, images, once
):
    assert cost(chapters.find(profile, key, num_epochs)) == pytest.approx(images + once)
