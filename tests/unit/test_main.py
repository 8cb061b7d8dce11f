"""The command line: what each command prints, and its exit status 0, 1 or 2.

Nothing here reaches the network: a download is refused by the test itself.
"""

import os
import re
import subprocess
import sys

import pytest
from runs import apart_from_times, forged, outdated, quick_arm, quick_store, record_of
from runs import command as run

import mlpcw
from mlpcw import mnist
from mlpcw.study.chapters import CONDITIONS
from mlpcw.study.original import published
from mlpcw.study.records import arms, store
from mlpcw.study.records.store import State, Store
from mlpcw.study.runs import sweep as runner

NUM_QUICK, NUM_FULL = 3 * 23, len(arms.arms("full"))


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


# ---- As a whole -----------------------------------------------------------------------------


def module(*arguments, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=store.repository_root(),
        env=os.environ | environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
    )


def test_the_module_runs_and_lists_its_commands():
    result = module("-m", "mlpcw", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: python -m mlpcw ")
    for command in ("data", "run", "status", "replay", "verify"):
        assert re.search(rf"^  {command}  ", result.stdout, re.MULTILINE)
    assert result.stderr == ""


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from mlpcw.__main__ import main\n"
        "try: main(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'scipy', 'matplotlib', 'sklearn', 'pooch', 'tqdm'} & set(sys.modules)))"
    )
    assert module("-c", code).stdout.endswith("\n[]\n")


@pytest.mark.parametrize("command", [[], ["data"], ["run"], ["status"], ["replay"], ["verify"]])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(command, option):
    assert run(*command, option).output.startswith("Usage: ")


def test_the_version_is_the_package_s():
    assert run("--version").output == f"mlpcw, version {mlpcw.__version__}\n"


def test_an_unknown_command_is_refused():
    assert "No such command 'train'" in run("train", status=2).stderr


@pytest.mark.parametrize("command", ["run", "status", "verify"])
def test_an_unknown_profile_is_refused_with_those_there_are(command):
    result = run(command, "--profile", "slow", status=2)
    assert "Invalid value for '--profile'" in result.stderr
    assert "'slow' is not one of 'full', 'quick'" in result.stderr


def test_the_profile_may_be_in_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MLPCW_PROFILE", "quick")
    assert run("status", "--results", tmp_path).stdout.startswith(f"{tmp_path}/quick\n")


def test_an_unknown_profile_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("MLPCW_PROFILE", "slow")
    assert "'slow' is not one of 'full', 'quick'" in run("status", status=2).stderr


@pytest.mark.parametrize("command", ["run", "status", "replay", "verify"])
def test_a_file_in_place_of_the_results_is_refused(command, tmp_path):
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    result = run(command, "--results", file, status=2)
    assert f"Invalid value for '--results': Directory '{file}' is a file" in result.stderr


@pytest.mark.parametrize(
    "command", ["run", "run --epochs 3", "status", "replay", "verify", "data"], ids=str
)
def test_an_empty_name_of_a_folder_is_refused(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    option = "--data-dir" if command == "data" else "--results"
    result = run(*command.split(), option, "", status=2)
    assert f"Invalid value for '{option}': The empty string names no folder." in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "status", "replay", "verify"])
def test_results_that_cannot_be_a_folder_are_refused_in_a_sentence(command, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for folder, reason in (
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (tmp_path.joinpath(*["a"] * 3000), "File name too long"),
    ):
        result = run(command, "--results", folder, status=2)
        assert "Error: results must be a folder that can be read, got " in result.stderr
        assert result.stderr.endswith(f": {reason}\n")
        assert len(result.stderr) < 700
    assert [each.name for each in tmp_path.iterdir()] == ["loop"]


@pytest.mark.parametrize("arguments", ["status", "replay part1/none", "run part1", "--help"])
@pytest.mark.parametrize("output", ["full", "closed pipe"])
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


@pytest.mark.parametrize("error", [FileNotFoundError, OSError])
def test_data_that_cannot_be_fetched_is_a_failure(no_mnist, monkeypatch, error):
    def refuse(*_):
        raise error("no mirror had train-images-idx3-ubyte")

    monkeypatch.setattr(mnist, "download", refuse)
    result = run("data", status=1)
    assert result.stderr == "Error: no mirror had train-images-idx3-ubyte\n"


def test_a_damaged_file_of_mnist_is_a_failure_and_named(tmp_path):
    for name in mnist.FILES:
        (tmp_path / name).write_bytes(b"no IDX file")
    result = run("data", "--data-dir", tmp_path, status=1)
    assert result.stderr.startswith(f"Error: {tmp_path}/train-images-idx3-ubyte: found ")
    assert "run `python -m mlpcw data`" in result.stderr


def test_a_file_in_place_of_the_folder_of_mnist_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    assert "Invalid value for '--data-dir'" in run("data", "--data-dir", file, status=2).stderr


# ---- run ------------------------------------------------------------------------------------


def test_run_trains_what_is_missing_and_says_where_it_is(tmp_path, here):
    result = run("run", "part3", "--profile", "quick", "--results", tmp_path)
    assert result.stdout == f"15 of 15 runs are stored in {tmp_path}/quick\n"
    assert len(here) == 15
    assert "15 runs: 100%" in result.stderr


def test_run_trains_nothing_twice(tmp_path, here):
    options = ("--profile", "quick", "--seeds", 1, "--results", tmp_path)
    run("run", "part3", *options)
    here.clear()
    result = run("run", "part3", *options)
    assert here == []
    assert result.stdout == f"5 of 5 runs are stored in {tmp_path}/quick\n"
    assert result.stderr == ""


def test_run_takes_several_parts_or_all(tmp_path, here):
    options = ("--profile", "quick", "--seeds", 1, "--results", tmp_path)
    run("run", "part3", "part1", "part3", *options)
    assert len(here) == 12
    here.clear()
    assert "23 of 23 runs" in run("run", *options).stdout
    assert len(here) == 11


def test_run_keeps_other_numbers_of_epochs_in_a_folder_of_their_own(tmp_path, here):
    options = ("--profile", "quick", "--seeds", 1, "--results", tmp_path)
    result = run("run", "part3", *options, "--epochs", 2)
    assert result.stdout.endswith(f"stored in {tmp_path}/quick-2-epochs\n")
    assert Store(tmp_path, "quick").find_all(["part3"])[0].state is State.MISSING


def test_run_really_trains(tmp_path):
    """Once through everything, in processes of its own."""
    options = ("--profile", "quick", "--seeds", "1", "--epochs", "1", "--workers", "2")
    result = module("-m", "mlpcw", "run", "part3", *options, "--results", str(tmp_path / "ä b"))
    assert (result.returncode, result.stdout) == (
        0,
        f"5 of 5 runs are stored in {tmp_path}/ä b/quick-1-epochs\n",
    )
    arm = quick_arm("part3/cnn_5x5")
    found = Store(tmp_path / "ä b", "quick", 1).find(arm, 0)
    assert apart_from_times(found.record) == apart_from_times(record_of(arm))


def test_run_refuses_an_unknown_part_with_those_there_are():
    result = run("run", "part4", status=2)
    assert "'part4' is not one of 'part1', 'part2', 'part3', 'starts'" in result.stderr


@pytest.mark.parametrize("option", ["--workers", "--seeds", "--epochs"])
@pytest.mark.parametrize("value", ["-1", "1.5", "many", "nan"])
def test_run_refuses_what_is_no_number_of_things(option, value):
    result = run("run", "--profile", "quick", option, value, status=2)
    assert f"Invalid value for '{option}'" in result.stderr
    assert value in result.stderr


@pytest.mark.parametrize("name", ["seeds", "epochs"])
@pytest.mark.parametrize("value", [10_001, 10**30])
def test_run_refuses_more_than_anyone_can_mean(tmp_path, name, value):
    options = ("--profile", "quick", "--results", tmp_path)
    result = run("run", *options, f"--{name}", value, status=2)
    assert f"{name} must be a whole number in [0, 10000], got {value}" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_run_refuses_more_seeds_than_2016_had(tmp_path):
    result = run("run", "--seeds", 3, "--results", tmp_path, status=2)
    assert "seeds must be 0 or 1 for part1/none" in result.stderr
    assert "its one seed 24102016, got 3" in result.stderr


def test_run_refuses_results_that_cannot_be_written_to(tmp_path, here):
    (tmp_path / "file").write_text("", encoding="utf-8")
    folder = tmp_path / "file" / "results"
    result = run("run", "--profile", "quick", "--results", folder, status=2)
    assert f"Error: results must be a folder that can be read, got {folder}" in result.stderr
    assert here == []


def test_run_refuses_results_too_deep_to_be_made(tmp_path, here):
    folder = tmp_path.joinpath(*["a"] * 1500)
    result = run("run", "--profile", "quick", "--results", folder, status=2)
    assert "Error: results must be a folder that can be written to, got " in result.stderr
    assert result.stderr.endswith(": too many folders in one another\n")


def test_run_names_a_damaged_record_and_trains_it_again(tmp_path, here):
    kept = quick_store(tmp_path)
    path = kept.path(arms.find("quick", "part1/none"), 1)
    path.write_text(path.read_text("utf-8")[:500], encoding="utf-8")
    result = run("run", "--profile", "quick", "--results", tmp_path)
    sentence = f"damaged, trained again: part1/none with seed 1: {path} is not a readable record: "
    assert result.stderr.startswith(sentence)
    assert here == ["part1/none"]
    assert result.stdout == f"{NUM_QUICK} of {NUM_QUICK} runs are stored in {kept.folder}\n"
    assert {finding.state for finding in kept.find_all()} == {State.DONE}


def test_run_names_a_stale_record_and_trains_it_again(tmp_path, here):
    kept = quick_store(tmp_path)
    arm = arms.find("quick", "part1/none")
    kept.write(outdated(arm, 1))
    result = run("run", "--profile", "quick", "--results", tmp_path)
    sentence = "stale, trained again: part1/none with seed 1: its probe has loss 1.0, the code now"
    assert result.stderr.startswith(sentence)
    assert here == ["part1/none"]
    assert {finding.state for finding in kept.find_all()} == {State.DONE}


def test_a_run_that_fails_is_said_and_is_exit_status_1(tmp_path, here, monkeypatch):
    def train(arm, seed):
        if arm.key == "part3/nn":
            raise runner.RunFailedError("part3/nn diverged")
        return forged(arm, seed)

    monkeypatch.setattr(runner, "train", train)
    options = ("--profile", "quick", "--seeds", 1, "--results", tmp_path)
    result = run("run", "part3", *options, status=1)
    assert result.stderr.endswith("part3/nn diverged\n")
    assert result.stdout == f"4 of 5 runs are stored in {tmp_path}/quick\n"


def test_run_fetches_mnist_where_it_is_missing(no_mnist, tmp_path, here, monkeypatch):
    fetched = []
    monkeypatch.setattr(mnist, "download", lambda: fetched.append(True))
    monkeypatch.setattr(mnist, "load", lambda folder: mnist.digits())
    run("run", "part3", "--results", tmp_path)
    assert fetched == [True]
    assert len(here) == 5


def test_run_fetches_nothing_for_results_that_cannot_be_written_to(no_mnist, tmp_path, here):
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = run("run", "part3", "--results", tmp_path / "file" / "results", status=2)
    assert "results must be a folder that can be read" in result.stderr


def test_run_fetches_nothing_for_the_quick_profile(no_mnist, tmp_path, here):
    run("run", "part3", "--profile", "quick", "--results", tmp_path)
    assert len(here) == 15


def test_mnist_that_cannot_be_fetched_is_exit_status_1(no_mnist, tmp_path, monkeypatch):
    def refuse():
        raise FileNotFoundError("no mirror had train-images-idx3-ubyte")

    monkeypatch.setattr(mnist, "download", refuse)
    result = run("run", "part3", "--results", tmp_path, status=1)
    assert result.stderr == "Error: no mirror had train-images-idx3-ubyte\n"


# ---- status ---------------------------------------------------------------------------------


def test_status_counts_the_runs_of_each_part(tmp_path):
    kept = quick_store(tmp_path)
    part1 = [finding.path for finding in kept.find_all(["part1"])]
    part1[0].unlink()
    part1[1].unlink()
    part1[2].write_text("{", encoding="utf-8")
    kept.write(outdated(arms.find("quick", "part3/nn"), 1))
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


def test_runs_of_other_numbers_of_epochs_can_be_looked_at_and_verified(tmp_path):
    path = Store(tmp_path, "quick", 1).write(forged(quick_arm()))
    options = ("--profile", "quick", "--results", tmp_path, "--epochs", 1)
    assert run("status", *options).stdout.startswith(f"{tmp_path}/quick-1-epochs\n")
    assert run("verify", *options).stdout.startswith("1 of 69 runs are stored and good")
    path.write_text("{", encoding="utf-8")
    run("verify", *options, status=1)


def test_status_of_all_that_is_done_says_so(tmp_path):
    quick_store(tmp_path)
    result = run("status", "--profile", "quick", "--results", tmp_path)
    assert result.stdout.endswith("nothing left to train\n")


def test_status_estimates_the_time_left(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "num_cores", lambda: 2)
    kept = Store(tmp_path, "full")
    done = forged(arms.find("full", "part3/nn"), arms.SEED_2016)
    done["seconds"]["wall"] = 600.0
    kept.write(done)
    findings = kept.find_all()
    minutes = runner.seconds_left(findings) / 60 / 2
    assert minutes > 100
    line = run("status", "--results", tmp_path).stdout.splitlines()[-1]
    assert line == f"time left: about {minutes:.0f} min with 2 workers"


# ---- replay ---------------------------------------------------------------------------------


def as_printed(key, num_epochs=100, **changes):
    """The record of a run of 2016 that prints what 2016 printed of it."""
    arm = arms.find("full", key, 0 if num_epochs == 100 else num_epochs)
    record = forged(arm, arms.SEED_2016)
    condition = CONDITIONS[key]
    if condition.log:
        log = published.published_log(condition.log)
        for name in record["curves"]:
            if name in log:
                record["curves"][name] = list(log[name][: len(record["curves"][name])])
    elif condition.table:
        for name, cell in published.table_row(*condition.table).items():
            record["curves"][name][-1] = cell
    return record


@pytest.fixture
def replayed(tmp_path):
    """A folder in which all runs of 2016 print what 2016 printed."""
    kept = Store(tmp_path / "results", "full")
    for arm in kept.arms():
        if arm.part != "starts":
            kept.write(as_printed(arm.key))
    return kept


def test_replay_compares_run_by_run(replayed):
    result = run("replay", "--results", replayed.folder.parent)
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert list(lines) == [arm.key for arm in replayed.arms() if arm.part != "starts"]
    for key in lines:
        if CONDITIONS[key].log:
            assert lines[key] == "105 of 105 printed values of its log"
        elif CONDITIONS[key].table:
            assert lines[key] == "4 of   4 printed values of its table"
    assert lines["part3/cnn_15x15"] == "2016 printed nothing to compare with"


def test_replay_takes_the_runs_it_is_told(replayed):
    names = ("part3/nn", "part1/none", "part3/nn")
    result = run("replay", *names, "--results", replayed.folder.parent)
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["part3/nn", "part1/none"]


def test_replay_fails_where_a_run_that_should_match_does_not(replayed):
    record = as_printed("part1/none")
    record["curves"]["error_valid"][4] *= 1.02
    replayed.write(record)
    result = run("replay", "--results", replayed.folder.parent, status=1)
    assert "part1/none                  104 of 105 printed values of its log" in result.stdout
    assert result.stderr == "Error: not digit for digit, but they should be: part1/none\n"


def test_replay_does_not_fail_where_2016_cannot_be_matched(replayed):
    record = as_printed("part2/random_shift")
    record["curves"]["error_valid"][4] *= 1.02
    replayed.write(record)
    result = run("replay", "--results", replayed.folder.parent)
    assert "(drawn in 2016 from an unseeded generator" in result.stdout


def test_replay_refuses_an_unknown_run_with_those_there_are():
    result = run("replay", "part1/some", status=2)
    assert "arm must be one of part1/none, part1/l1_1e-5, " in result.stderr
    assert "got 'part1/some'" in result.stderr


def test_replay_trains_what_is_missing(replayed, here, digits_for_mnist, monkeypatch):
    monkeypatch.setattr(mnist, "available", lambda *_: True)
    replayed.path(arms.find("full", "part3/cnn_15x15"), arms.SEED_2016).unlink()
    run("replay", "--results", replayed.folder.parent)
    assert here == ["part3/cnn_15x15"]


def test_a_short_replay_trains_now_and_stores_nothing(
    replayed, here, digits_for_mnist, monkeypatch
):
    monkeypatch.setattr(mnist, "available", lambda *_: True)
    monkeypatch.setattr(runner, "train", lambda arm, seed: as_printed(arm.key, 10))
    monkeypatch.setattr(store, "default_results", lambda: replayed.folder.parent)
    before = sorted(replayed.folder.parent.rglob("*"))
    result = run("replay", "part1/none", "part3/nn", "--epochs", 10)
    assert result.stdout.splitlines() == [
        "part1/none                   15 of  15 printed values of its log",
        "part3/nn                    2016 printed only the values after all 100 epochs, in a table",
    ]
    assert sorted(replayed.folder.parent.rglob("*")) == before


def test_a_short_replay_refuses_a_folder_that_it_would_not_use(tmp_path):
    result = run("replay", "part1/none", "--epochs", 10, "--results", tmp_path, status=2)
    assert "--epochs stores nothing and reads nothing: leave --results out" in result.stderr


def test_a_replay_that_compares_nothing_is_exit_status_1(replayed):
    options = ("--results", replayed.folder.parent)
    result = run("replay", "part3/cnn_15x15", *options, status=1)
    assert result.stderr == "Error: nothing was compared: 2016 printed no value of these runs\n"


@pytest.mark.parametrize("value", ["-5", "ten"])
def test_replay_refuses_wrong_epochs(value):
    assert "Invalid value for '--epochs'" in run("replay", "--epochs", value, status=2).stderr


def test_replay_without_mnist_says_what_to_do_and_downloads_nothing(no_mnist, tmp_path):
    result = run("replay", "part3/nn", "--results", tmp_path, status=1)
    assert result.stderr.startswith(f"Error: MNIST is not in {no_mnist}: no train-images")
    assert "run `python -m mlpcw data`" in result.stderr


def test_a_replay_whose_training_fails_is_exit_status_1(tmp_path, here, monkeypatch):
    def train(arm, seed):
        raise MemoryError

    monkeypatch.setattr(mnist, "available", lambda *_: True)
    monkeypatch.setattr(runner, "train", train)
    result = run("replay", "part3/nn", "--results", tmp_path, status=1)
    assert result.stderr.endswith("part3/nn with seed 24102016 failed: MemoryError\n")


# ---- verify ---------------------------------------------------------------------------------


def test_verify_of_good_records_says_so(tmp_path):
    quick_store(tmp_path)
    result = run("verify", "--profile", "quick", "--results", tmp_path)
    expected = f"{NUM_QUICK} of {NUM_QUICK} runs are stored and good, 0 are missing, 0 problems\n"
    assert result.stdout == expected


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
    kept = Store(tmp_path, "quick")
    kept.write(outdated(arms.find("quick", "part1/none")))
    options = ("--profile", "quick", "--results", tmp_path, "--retrain", 2)
    result = run("verify", *options, status=1)
    sentence = f"Error: no run in {kept.folder} is good and can be trained again\n"
    assert result.stderr == sentence
    assert here == []


def test_verify_names_what_is_damaged_stale_foreign_or_of_other_data(tmp_path):
    kept = quick_store(tmp_path)
    arm = arms.find("quick", "part1/none")
    kept.path(arm, 0).write_text("{", encoding="utf-8")
    kept.write(outdated(arm, 1))
    record = forged(arm, 2)
    record["provenance"]["data_digest"] = "abc"
    other = kept.write(record)
    further = kept.write(forged(arm, 7))
    further.write_text("[]", encoding="utf-8")
    stranger = kept.folder / "part1" / "notes.txt"
    stranger.write_text("", encoding="utf-8")
    result = run("verify", "--profile", "quick", "--results", tmp_path, status=1)
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
    kept = Store(tmp_path, "quick")
    arm = arms.find("quick", "part3/nn")
    kept.write(forged(arm, 1) | {"test": {"error": 0.5, "acc": 0.25}})
    before = kept.path(arm, 1).read_bytes()
    options = ("--profile", "quick", "--results", tmp_path, "--retrain", 5)
    lines = run("verify", *options, status=1).stdout.splitlines()
    assert lines[0].startswith("1 of 69 runs are stored and good")
    assert lines[2].startswith("part3/nn with seed 1: differs: ")
    assert lines[3] == "0 of 1 are confirmed"
    assert kept.path(arm, 1).read_bytes() == before


def test_verify_without_mnist_cannot_train_again(tmp_path, no_mnist):
    kept = Store(tmp_path / "results", "full")
    kept.write(forged(arms.find("full", "part3/nn"), arms.SEED_2016))
    result = run("verify", "--results", tmp_path / "results", "--retrain", 1, status=1)
    said, error = result.stderr.splitlines()
    assert said == "MNIST is not here: whether runs are of this data was not checked"
    assert error.startswith(f"Error: MNIST is not in {no_mnist}: ")


@pytest.mark.parametrize("value", ["-1", "some"])
def test_verify_refuses_a_wrong_number_of_runs_to_train_again(value):
    assert "Invalid value for '--retrain'" in run("verify", "--retrain", value, status=2).stderr


def test_verify_leaves_every_file_as_it_is(tmp_path):
    kept = quick_store(tmp_path)
    kept.find_all()[0].path.write_text("{", encoding="utf-8")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    run("verify", "--profile", "quick", "--results", tmp_path, status=1)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


def test_verify_with_a_damaged_mnist_is_exit_status_1(tmp_path, monkeypatch):
    for name in mnist.FILES:
        (tmp_path / name).write_bytes(b"no IDX file")
    monkeypatch.setenv("MLPCW_DATA_DIR", str(tmp_path))
    result = run("verify", "--results", tmp_path / "results", status=1)
    assert result.stderr.startswith(f"Error: {tmp_path}/train-images-idx3-ubyte: found ")
