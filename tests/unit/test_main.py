"""The command line: what each command prints, and its exit status 0, 1 or 2.

Nothing here reaches the network: a download is refused by the test itself.
"""

import os
import re
import shlex
import subprocess
import sys

import made_up
import pytest
from runs import apart_from_times, forged, outdated, quick_arm, quick_store, record_of
from runs import command as run

import mlpcw
from mlpcw import mnist
from mlpcw.study import chapters
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import store
from mlpcw.study.records.arms import SEED_2016
from mlpcw.study.records.store import State
from mlpcw.study.runs import executors, freshness
from mlpcw.study.runs import train as training
from mlpcw.study.runs.sweep import seconds_left

NUM_QUICK, NUM_FULL = 3 * 23, len(chapters.arms("full"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a test tried to download MNIST")

    monkeypatch.setattr(mnist, "download", refuse)
    monkeypatch.delenv("MLPCW_PROFILE", raising=False)


@pytest.fixture
def no_mnist(monkeypatch, tmp_path):
    """A machine without MNIST; the folder where it is searched."""
    folder = tmp_path / "no mnist"
    monkeypatch.setenv("MLPCW_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def file(tmp_path):
    """A file where a folder should be."""
    path = tmp_path / "file"
    path.write_text("", encoding="utf-8")
    return path


def module(*arguments, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", *map(str, arguments)],
        cwd=store.repository_root(),
        env=os.environ | environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
    )


# ---- As a whole -----------------------------------------------------------------------------


def test_the_module_runs_and_lists_its_commands():
    result = module("-m", "mlpcw", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: python -m mlpcw ")
    for command in ("data", "run", "status", "replay", "verify"):
        assert re.search(rf"^  {command}  ", result.stdout, re.MULTILINE)


HEAVY = {"matplotlib", "IPython", "sklearn.datasets", "pandas", "torch"}


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        (["run", "--help"], HEAVY | {"scipy", "sklearn", "pooch", "tqdm", "mlpcw.study.chapters"}),
        (["status", "--results", "nowhere"], HEAVY),
        (["run", "part1", "--results", "nowhere", "--workers", "-1"], HEAVY),
    ],
)
def test_a_command_imports_nothing_that_it_does_not_need(arguments, without):
    code = (
        "import sys; from mlpcw.__main__ import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: pass\n"
        f"print(sorted({without} & set(sys.modules)))"
    )
    assert module("-c", code).stdout.endswith("[]\n")


@pytest.mark.parametrize("command", [[], ["data"], ["run"], ["status"], ["replay"], ["verify"]])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(command, option):
    assert run(*command, option).output.startswith("Usage: ")


def test_the_version_is_the_package_s():
    assert run("--version").output == f"mlpcw, version {mlpcw.__version__}\n"


ON_A_STORE = ("run", "status", "verify", "replay")
WRONG = {
    "train": "No such command 'train'",
    "run part4": "'part4' is not one of 'part1', 'part2', 'part3', 'starts'",
    "run --seeds 3 --results NEW": "seeds must be 0 or 1 for part1/none, .*seed 24102016, got 3",
    "data --data-dir FILE": "Invalid value for '--data-dir'",
    "data --data-dir ''": "'--data-dir': The empty string names no folder.",
    "replay part1/some": "arm must be one of part1/none, part1/l1_1e-5, .*, got 'part1/some'",
    "replay --epochs -5": "Invalid value for '--epochs'",
    "replay part1/none --epochs 10 --results NEW": "stores nothing and .*: leave --results out",
    "verify --retrain -1": "Invalid value for '--retrain'",
}
for name in ON_A_STORE:
    WRONG[f"{name} --results FILE"] = "Invalid value for '--results': Directory 'FILE' is a file"
    WRONG[f"{name} --results ''"] = "value for '--results': The empty string names no folder."
for name in ON_A_STORE[:3]:
    WRONG[f"{name} --profile slow"] = "value for '--profile': 'slow' is not one of 'full', 'quick'"
for name in ("workers", "seeds", "epochs"):
    for value in ("-1", "1.5", "many", "nan"):
        WRONG[f"run --profile quick --{name} {value}"] = f"Invalid value for '--{name}': .*{value}"
for name in ("seeds", "epochs"):
    for value in (10_001, 10**30):
        message = rf"{name} must be a whole number in \[0, 10000\], got {value}"
        WRONG[f"run --profile quick --{name} {value} --results NEW"] = message


@pytest.mark.parametrize(("arguments", "message"), WRONG.items(), ids=WRONG)
def test_wrong_arguments_are_exit_status_2_and_named(
    tmp_path, file, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    arguments = arguments.replace("FILE", str(file)).replace("NEW", str(tmp_path / "new"))
    result = run(*shlex.split(arguments), status=2)
    assert re.search(message.replace("FILE", str(file)), result.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_profile_may_be_in_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MLPCW_PROFILE", "quick")
    assert run("status", "--results", tmp_path).stdout.startswith(f"{tmp_path}/quick\n")
    monkeypatch.setenv("MLPCW_PROFILE", "slow")
    assert "'slow' is not one of 'full', 'quick'" in run("status", status=2).stderr


@pytest.mark.parametrize("command", ON_A_STORE)
def test_results_that_cannot_be_a_folder_are_refused_in_a_sentence(command, tmp_path, file):
    (tmp_path / "loop").symlink_to("loop")
    for folder, reason in (
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (tmp_path.joinpath(*["a"] * 3000), "File name too long"),
        (file / "results", "Not a directory"),
    ):
        result = run(command, "--results", folder, status=2)
        assert "Error: results must be a folder that can be read, got " in result.stderr
        assert result.stderr.endswith(f": {reason}\n")
        assert len(result.stderr) < 700


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ("status --results nowhere", "full"),
        ("replay part1/none", "closed pipe"),
        ("run part1", "full"),
        ("--help", "closed pipe"),
    ],
)
def test_output_that_cannot_be_written_is_said_in_a_sentence(arguments, output):
    if output == "full":
        reason, write = "No space left on device", os.open("/dev/full", os.O_WRONLY)
    else:
        reason, (read, write) = "Broken pipe", os.pipe()
        os.close(read)
    settings = {"PYTHONUNBUFFERED": "", "MLPCW_COMPILED": "0"}  # a first compilation is told
    result = module("-m", "mlpcw", *arguments.split(), stdout=write, **settings)
    os.close(write)
    assert result.stderr == f"Error: stdout cannot be written to: {reason}\n"
    assert result.returncode == 1


# ---- data -----------------------------------------------------------------------------------


@pytest.mark.needs_mnist
def test_data_checks_each_file_and_says_where_they_are():
    lines = run("data").stdout.splitlines()
    for line, (name, digest) in zip(lines, mnist.FILES.items(), strict=False):
        assert re.fullmatch(rf"{name}(\.gz)?: \d+ bytes, SHA-256 {digest}, good", line)
    assert lines[4:] == [f"MNIST is in {mnist.data_folder()}"]


def test_data_fetches_what_is_missing(no_mnist, monkeypatch):
    fetched = []
    monkeypatch.setattr(mnist, "download", fetched.append)
    monkeypatch.setattr(mnist, "verify", lambda folder: ["one line", "another"])
    result = run("data", "--data-dir", no_mnist)
    assert fetched == [no_mnist]
    assert result.stdout == f"one line\nanother\nMNIST is in {no_mnist}\n"


@pytest.mark.parametrize("command", [["data"], ["run", "part3"]])
@pytest.mark.parametrize("error", [FileNotFoundError, OSError])
def test_mnist_that_cannot_be_fetched_is_exit_status_1(
    no_mnist, tmp_path, monkeypatch, command, error
):
    def refuse(*_):
        raise error("no mirror had train-images-idx3-ubyte")

    monkeypatch.setattr(mnist, "download", refuse)
    options = ["--results", tmp_path] if command != ["data"] else []
    result = run(*command, *options, status=1)
    assert result.stderr == "Error: no mirror had train-images-idx3-ubyte\n"


@pytest.mark.parametrize("command", ["data", "verify"])
def test_a_damaged_file_of_mnist_is_a_failure_and_named(tmp_path, monkeypatch, command):
    for name in mnist.FILES:
        (tmp_path / name).write_bytes(b"no IDX file")
    monkeypatch.setenv("MLPCW_DATA_DIR", str(tmp_path))
    options = ["--results", tmp_path / "results"] if command == "verify" else []
    result = run(command, *options, status=1)
    assert result.stderr.startswith(f"Error: {tmp_path}/train-images-idx3-ubyte: found ")
    assert "run `python -m mlpcw data`" in result.stderr


# ---- run ------------------------------------------------------------------------------------


def test_run_trains_what_is_missing_once_and_says_where_it_is(tmp_path, here):
    options = ("--profile", "quick", "--results", tmp_path)
    result = run("run", "part3", *options)
    assert result.stdout == f"15 of 15 runs are stored in {tmp_path}/quick\n"
    assert len(here) == 15
    assert "15 runs: 100%" in result.stderr
    result = run("run", "part3", *options)
    assert len(here) == 15
    assert result.stdout == f"15 of 15 runs are stored in {tmp_path}/quick\n"
    assert result.stderr == ""


def test_run_takes_several_parts_or_all(tmp_path, here):
    options = ("--profile", "quick", "--seeds", 1, "--results", tmp_path)
    run("run", "part3", "part1", "part3", *options)
    assert len(here) == 12
    here.clear()
    assert "23 of 23 runs" in run("run", *options).stdout
    assert len(here) == 11


def test_runs_of_other_numbers_of_epochs_are_kept_looked_at_and_verified_in_a_separate_folder(
    tmp_path, here
):
    options = ("--profile", "quick", "--results", tmp_path, "--epochs", 2)
    result = run("run", "part3", "--seeds", 1, *options)
    assert result.stdout.endswith(f"stored in {tmp_path}/quick-2-epochs\n")
    assert open_store("quick", tmp_path).find_all(["part3"])[0].state is State.MISSING
    assert run("status", *options).stdout.startswith(f"{tmp_path}/quick-2-epochs\n")
    assert run("verify", *options).stdout.startswith("5 of 69 runs are stored and good")


def test_run_really_trains(tmp_path):
    """Once through everything, in new processes."""
    options = ("--profile", "quick", "--seeds", "1", "--epochs", "1", "--workers", "2")
    results = tmp_path / "ä b"
    result = module("-m", "mlpcw", "run", "part3", *options, "--results", results)
    assert (result.returncode, result.stdout) == (
        0,
        f"5 of 5 runs are stored in {results}/quick-1-epochs\n",
    )
    arm = quick_arm("part3/cnn_5x5")
    finding = open_store("quick", results, 1).find(arm, 0)
    assert apart_from_times(finding.record) == apart_from_times(record_of(arm))


def test_run_refuses_results_too_deep_to_be_made(tmp_path, here):
    folder = tmp_path.joinpath(*["a"] * 1500)
    result = run("run", "--profile", "quick", "--results", folder, status=2)
    assert "Error: results must be a folder that can be written to, got " in result.stderr
    assert result.stderr.endswith(": too many nested folders\n")
    assert here == []


def test_run_names_a_stale_record_and_trains_it_again(tmp_path, here):
    kept = quick_store(tmp_path)
    kept.write(outdated(chapters.find("quick", "part1/none"), 1))
    result = run("run", "--profile", "quick", "--results", tmp_path)
    sentence = "stale, trained again: part1/none with seed 1: its probe has loss 1.0, the code now"
    assert result.stderr.startswith(sentence)
    assert here == ["part1/none"]
    assert result.stdout == f"{NUM_QUICK} of {NUM_QUICK} runs are stored in {kept.folder}\n"
    assert {finding.state for finding in kept.find_all()} == {State.DONE}


def test_a_run_that_fails_is_said_and_is_exit_status_1(tmp_path, here, monkeypatch):
    def train(arm, seed):
        if arm.key == "part3/nn":
            raise training.RunFailedError("part3/nn diverged")
        return forged(arm, seed)

    monkeypatch.setattr(training, "train", train)
    options = ("--profile", "quick", "--seeds", 1, "--results", tmp_path)
    result = run("run", "part3", *options, status=1)
    assert result.stderr.endswith("part3/nn diverged\n")
    assert result.stdout == f"4 of 5 runs are stored in {tmp_path}/quick\n"


def test_run_fetches_mnist_where_it_is_missing_and_needed(no_mnist, tmp_path, here, monkeypatch):
    run("run", "part3", "--profile", "quick", "--results", tmp_path)  # which refuses a download
    assert len(here) == 15
    fetched = []
    monkeypatch.setattr(mnist, "download", lambda: fetched.append(True))
    monkeypatch.setattr(mnist, "load", lambda folder: mnist.digits())
    run("run", "part3", "--results", tmp_path)
    assert fetched == [True]
    assert len(here) == 15 + 5


# ---- status ---------------------------------------------------------------------------------


def test_status_counts_the_runs_of_each_part(tmp_path):
    kept = quick_store(tmp_path)
    part1 = [finding.path for finding in kept.find_all(["part1"])]
    part1[0].unlink()
    part1[1].unlink()
    part1[2].write_text("{", encoding="utf-8")
    kept.write(outdated(chapters.find("quick", "part3/nn"), 1))
    lines = run("status", "--profile", "quick", "--results", tmp_path).stdout.splitlines()
    assert lines[0] == str(kept.folder)
    assert [line.split() for line in lines[1:5]] == [
        ["done", "missing", "stale", "damaged"],
        ["part1", "18", "2", "0", "1"],
        ["part2", "33", "0", "0", "0"],
        ["part3", "14", "0", "1", "0"],
    ]
    assert lines[5].startswith(f"damaged: part1/none with seed 2: {part1[2]} is not a readable")
    assert lines[6].startswith("stale: part3/nn with seed 1: its probe has loss 1.0, the code now")
    assert re.fullmatch(r"time left: about 0 min with \d+ workers?", lines[7])
    assert len(lines) == 8


def test_status_of_nothing_does_not_know_the_time_left(tmp_path):
    lines = run("status", "--results", tmp_path / "nowhere").stdout.splitlines()
    assert [line.split() for line in lines[2:6]] == [
        ["part1", "0", "7", "0", "0"],
        ["part2", "0", "11", "0", "0"],
        ["part3", "0", "5", "0", "0"],
        ["starts", "0", str(NUM_FULL - 23), "0", "0"],
    ]
    assert lines[-1] == "time left: not known before a first run is done"
    assert not (tmp_path / "nowhere").exists()


def test_status_estimates_the_time_left(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "num_cores", lambda: 2)
    kept = open_store("full", tmp_path)
    done = forged(chapters.find("full", "part3/nn"), SEED_2016)
    done["seconds"]["wall"] = 600.0
    kept.write(done)
    minutes = seconds_left(kept.find_all()) / 60 / 2
    assert minutes > 100
    line = run("status", "--results", tmp_path).stdout.splitlines()[-1]
    assert line == f"time left: about {minutes:.0f} min with 2 workers"


@pytest.mark.parametrize(
    ("command", "last"),
    [
        ("status", "nothing left to train"),
        ("verify", f"{NUM_QUICK} of {NUM_QUICK} runs are stored and good, 0 are missing, 0 probl"),
    ],
)
def test_status_and_verify_of_all_that_is_done_say_so(tmp_path, command, last):
    quick_store(tmp_path)
    lines = run(command, "--profile", "quick", "--results", tmp_path).stdout.splitlines()
    assert lines[-1].startswith(last)


# ---- replay ---------------------------------------------------------------------------------


def as_printed(key, num_epochs=0):
    """The record of a run of 2016 that prints what 2016 printed of it."""
    arm = chapters.find("full", key, num_epochs)
    return made_up.record(arm, SEED_2016) | {"probe": freshness.known_probe(arm)}


@pytest.fixture
def replayed(tmp_path):
    """A folder in which all runs of 2016 print what 2016 printed."""
    kept = open_store("full", tmp_path / "results")
    for arm in kept.arms:
        if arm.part != "starts":
            kept.write(as_printed(arm.key))
    return kept


def test_replay_compares_run_by_run(replayed):
    result = run("replay", "--results", replayed.folder.parent)
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert list(lines) == [arm.key for arm in replayed.arms if arm.part != "starts"]
    said = {
        "log": "105 of 105 printed values of its log",
        "table": "4 of   4 printed values of its table",
        "": "2016 printed nothing to compare with",
    }
    for key, line in lines.items():
        condition = chapters.CONDITIONS[key]
        assert line == said["log" if condition.log else "table" if condition.table else ""]


def test_replay_takes_the_runs_it_is_told(replayed):
    names = ("part3/nn", "part1/none", "part3/nn")
    result = run("replay", *names, "--results", replayed.folder.parent)
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["part3/nn", "part1/none"]


@pytest.mark.parametrize(
    ("key", "status", "line", "error"),
    [
        (
            "part1/none",
            1,
            "part1/none                  104 of 105 printed values of its log",
            "Error: not digit for digit, but they should be: part1/none\n",
        ),
        ("part2/random_shift", 0, "(drawn in 2016 from an unseeded generator", ""),
    ],
)
def test_replay_fails_only_where_a_run_that_should_match_does_not(
    replayed, key, status, line, error
):
    record = as_printed(key)
    record["curves"]["error_valid"][4] *= 1.02
    replayed.write(record)
    result = run("replay", "--results", replayed.folder.parent, status=status)
    assert line in result.stdout
    assert result.stderr == error


def test_replay_trains_what_is_missing(replayed, here, digits_for_mnist, monkeypatch):
    monkeypatch.setattr(mnist, "available", lambda *_: True)
    replayed.path(chapters.find("full", "part3/cnn_15x15"), SEED_2016).unlink()
    run("replay", "--results", replayed.folder.parent)
    assert here == ["part3/cnn_15x15"]


def test_a_short_replay_trains_now_and_stores_nothing(
    replayed, here, digits_for_mnist, monkeypatch
):
    monkeypatch.setattr(mnist, "available", lambda *_: True)
    monkeypatch.setattr(training, "train", lambda arm, seed: as_printed(arm.key, 10))
    monkeypatch.setattr(store, "default_results", lambda: replayed.folder.parent)
    before = sorted(replayed.folder.parent.rglob("*"))
    result = run("replay", "part1/none", "part3/nn", "--epochs", 10)
    assert result.stdout.splitlines() == [
        "part1/none                   15 of  15 printed values of its log",
        "part3/nn                    2016 printed only the values after all 100 epochs, in a table",
    ]
    assert sorted(replayed.folder.parent.rglob("*")) == before


def test_a_replay_that_compares_nothing_is_exit_status_1(replayed):
    options = ("--results", replayed.folder.parent)
    result = run("replay", "part3/cnn_15x15", *options, status=1)
    assert result.stderr == "Error: nothing was compared: 2016 printed no value of these runs\n"


def test_a_replay_whose_training_fails_is_exit_status_1(tmp_path, here, monkeypatch):
    def train(arm, seed):
        raise MemoryError

    monkeypatch.setattr(mnist, "available", lambda *_: True)
    monkeypatch.setattr(training, "train", train)
    result = run("replay", "part3/nn", "--results", tmp_path, status=1)
    assert result.stderr.endswith("part3/nn with seed 24102016 failed: MemoryError\n")


# ---- verify ---------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--retrain", 2)], ids=str)
@pytest.mark.parametrize("there", [True, False])
def test_verify_of_nothing_is_exit_status_1(tmp_path, options, there):
    folder = tmp_path if there else tmp_path / "nowhere"
    result = run("verify", "--results", folder, *options, status=1)
    expected = f"0 of {NUM_FULL} runs are stored and good, {NUM_FULL} are missing, 0 problems\n"
    assert result.stdout == expected
    assert result.stderr == (
        f"Error: nothing was checked: no run of profile full is in {folder}/full; name another"
        " folder with --results, or train them: python -m mlpcw run\n"
    )


def test_verify_that_can_draw_no_run_to_train_again_says_so(tmp_path, here):
    kept = open_store("quick", tmp_path)
    kept.write(outdated(chapters.find("quick", "part1/none")))
    options = ("--profile", "quick", "--results", tmp_path, "--retrain", 2)
    result = run("verify", *options, status=1)
    sentence = f"Error: no run in {kept.folder} is good and can be trained again\n"
    assert result.stderr == sentence
    assert here == []


def test_verify_names_what_is_damaged_stale_foreign_or_of_other_data_and_changes_nothing(tmp_path):
    kept = quick_store(tmp_path)
    arm = chapters.find("quick", "part1/none")
    kept.path(arm, 0).write_text("{", encoding="utf-8")
    kept.write(outdated(arm, 1))
    record = forged(arm, 2)
    record["provenance"]["data_digest"] = "abc"
    other = kept.write(record)
    further = kept.write(forged(arm, 7))
    further.write_text("[]", encoding="utf-8")
    stranger = kept.folder / "part1" / "notes.txt"
    stranger.write_text("", encoding="utf-8")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    result = run("verify", "--profile", "quick", "--results", tmp_path, status=1)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
    *problems, summary = result.stdout.splitlines()
    assert [problem.split(": ")[0] for problem in problems] == [
        *("damaged", "stale", "damaged", "foreign", "other data"),
    ]
    assert f"part1/none with seed 0: {kept.path(arm, 0)} is not a readable" in problems[0]
    assert "part1/none with seed 1: its probe has loss 1.0" in problems[1]
    assert str(further) in problems[2]
    assert str(stranger) in problems[3]
    assert str(other) in problems[4]
    assert summary == f"67 of {NUM_QUICK + 1} runs are stored and good, 0 are missing, 5 problems"


def test_verify_trains_runs_again_and_says_which_and_how_they_compare(tmp_path, here):
    quick_store(tmp_path)
    options = ("--profile", "quick", "--results", tmp_path)
    lines = run("verify", *options, "--retrain", 2).stdout.splitlines()
    assert lines[1] == f"trained again, drawn at random from {NUM_QUICK} runs:"
    keys = [line.split(" with seed ")[0] for line in lines[2:4]]
    assert sorted(keys) == sorted(here)
    assert all(line.endswith(": identical") for line in lines[2:4])
    assert lines[4:] == ["2 of 2 are confirmed"]


def test_verify_of_a_run_that_comes_out_otherwise_is_exit_status_1(tmp_path, here, monkeypatch):
    kept = open_store("quick", tmp_path)
    arm = chapters.find("quick", "part3/nn")
    kept.write(forged(arm, 1) | {"test": {"error": 0.5, "acc": 0.25}})
    before = kept.path(arm, 1).read_bytes()
    options = ("--profile", "quick", "--results", tmp_path, "--retrain", 5)
    lines = run("verify", *options, status=1).stdout.splitlines()
    assert lines[0].startswith("1 of 69 runs are stored and good")
    assert lines[2].startswith("part3/nn with seed 1: differs: ")
    assert lines[3] == "0 of 1 are confirmed"
    assert kept.path(arm, 1).read_bytes() == before


@pytest.mark.parametrize("command", [["replay", "part3/nn"], ["verify", "--retrain", 1]])
def test_without_mnist_nothing_is_trained_and_the_remedy_is_said(tmp_path, no_mnist, command):
    kept = open_store("full", tmp_path / "results")
    if command[0] == "verify":
        kept.write(forged(chapters.find("full", "part3/nn"), SEED_2016))
    result = run(*command, "--results", tmp_path / "results", status=1)
    *said, error = result.stderr.splitlines()
    not_checked = "MNIST is not here: whether runs are of this data was not checked"
    assert said == [not_checked] * (command[0] == "verify")
    assert error.startswith(f"Error: MNIST is not in {no_mnist}: no train-images")
    assert "run `python -m mlpcw data`" in error
