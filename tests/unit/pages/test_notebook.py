"""The first call of a notebook: its parameters are checked by name, its runs found or trained."""

import os
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest
from runs import Inline, forged

from mlpcw import mnist
from mlpcw.study import chapters
from mlpcw.study.pages import notebook, stored
from mlpcw.study.pages.stored import open_store
from mlpcw.study.records import store
from mlpcw.study.records.arms import SEED_2016
from mlpcw.study.records.results import MissingRunsError
from mlpcw.study.records.store import State
from mlpcw.study.runs import executors
from mlpcw.study.runs import train as training
from mlpcw.study.runs.train import RunFailedError

USUAL = {
    "profile": "quick",
    "train_missing": False,
    "seeds": 1,
    "epochs": 1,
    "workers": 1,
    "data_dir": "",
    "results_dir": "",
}
ALLOWED = "parameters are profile, train_missing, seeds, epochs, workers, data_dir, results_dir"


# ---- Parameters -----------------------------------------------------------------------------


def test_the_parameters_alone_are_returned():
    names = USUAL | {
        "__name__": "__main__",
        "_i1": "profile = 'quick'",
        "In": ["", "profile"],
        "Out": {},
        "get_ipython": print,
        "os": types,
        "Markdown": Path,
        "glue": print,
    }
    assert notebook.check_parameters(names) == USUAL


def wrong():
    """A name, a value and what is said of it."""
    for name in ("epoch", "Profile"):
        for value in (1, "quick", None, [1]):
            yield name, value, f"{name!r} (here {value!r}) is no parameter; {ALLOWED}"
    for name, kind, more in (
        ("profile", "str", 1),
        ("train_missing", "bool", 1),
        ("workers", "int", True),
        ("results_dir", "str", Path("x")),
    ):
        for value in (None, 3.0, ["x"], more):
            yield name, value, f"{name} must be of type {kind}, got {value!r}"
    for name in ("seeds", "epochs", "workers"):
        yield name, -1, f"{name} must be a whole number of at least 0, got -1"
    yield "profile", "slow", "profile must be one of full, quick, got 'slow'"
    for name in ("data_dir", "results_dir"):
        for value in ("a\0b", "a\nb", "\x1b[2J", "\udcff"):
            yield name, value, f"{name} must be the plain name of a folder, got {value!r}"
    for value in ("nowhere", "/nowhere", "~nobody-of-this-name/data"):
        holds = "a folder that holds the four files of MNIST, or '' for the usual one"
        yield "data_dir", value, f"data_dir must be {holds}, got {value!r}"


@pytest.mark.parametrize(("name", "value", "message"), [*wrong()])
def test_a_wrong_or_unknown_parameter_is_refused_with_its_value(name, value, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        notebook.check_parameters(USUAL | {name: value})
    assert str(caught.value) == message
    assert isinstance(caught.value, TypeError) == (" of type " in message)


@pytest.mark.parametrize("name", USUAL)
def test_a_missing_parameter_is_named(name):
    with pytest.raises(ValueError) as caught:
        notebook.check_parameters({key: USUAL[key] for key in USUAL if key != name})
    assert str(caught.value) == f"parameter {name!r} is missing; {ALLOWED}"


def test_a_folder_with_spaces_and_letters_of_any_script_is_taken(tmp_path):
    folder = tmp_path / "мои данные ünd 数字"
    folder.mkdir()
    for name in mnist.FILES:
        (folder / name).write_bytes(b"")
    names = USUAL | {"data_dir": str(folder), "results_dir": str(folder / "my runs")}
    assert notebook.check_parameters(names) == names


def test_code_that_papermill_hands_over_is_refused_and_never_run(tmp_path):
    """End to end: papermill writes the parameter into a cell, quotes, line ends and all."""
    for needed in ("papermill", "ipykernel", "myst_nb"):
        pytest.importorskip(needed)
    code = f'quick"\n__import__("os").mkdir("{tmp_path}/owned")  # \\'
    root = store.repository_root()
    source, output = root / "book" / "part3_convolution.ipynb", tmp_path / "out.ipynb"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "papermill", source, output, "--cwd", root / "book"),
            *("--no-progress-bar", "--parameters_raw", "profile", code),
        ],
        env=os.environ | {"PYTHONPATH": str(root), "JUPYTER_PREFER_ENV_PATH": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"ValueError: profile must be one of full, quick, got {code!r}" in done.stderr
    assert "[IPKernelApp] WARNING" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]


# ---- Results --------------------------------------------------------------------------------


def quick(folder, **changes):
    return USUAL | {"results_dir": str(folder)} | changes


def full(folder, **changes):
    return quick(folder, profile="full", seeds=0, **changes)


def test_quick_trains_what_is_missing_and_nothing_twice(tmp_path, here, capsys):
    for shown in (True, False):
        results = notebook.open_results(quick(tmp_path), "part3", "starts")  # which quick has not
        assert sorted(here) == sorted(arm.key for arm in chapters.arms("quick", "part3"))
        assert list(results.runs) == [arm.key for arm in chapters.arms("quick", "part3")]
        assert results.profile == "quick"
        assert ("5 runs: 100%" in capsys.readouterr().err) == shown


@pytest.mark.parametrize(
    ("changes", "options"),
    [({"epochs": 0}, ""), ({"epochs": 7, "seeds": 1}, " --seeds 1 --epochs 7")],
)
def test_full_stops_where_runs_are_missing_with_the_whole_command(tmp_path, here, changes, options):
    """Code in the name of a folder is never run: the folder of that name holds no runs."""
    folder = tmp_path / "__import__('os').system('touch owned')"
    with pytest.raises(MissingRunsError) as caught:
        notebook.open_results(full(folder) | changes, "part1")
    assert str(caught.value) == (
        f"7 of 7 runs are not there, the first is part1/none with seed {SEED_2016}, which is"
        f" missing; train them with: python -m mlpcw run part1 --profile full{options}"
        f" --results {shlex.quote(str(folder))}"
    )
    assert here == []
    assert list(tmp_path.iterdir()) == []


def test_full_trains_where_it_is_told_to(tmp_path, here, digits_for_mnist, monkeypatch):
    monkeypatch.setattr(mnist, "available", lambda *_: True)
    results = notebook.open_results(full(tmp_path, train_missing=True), "part3", "starts")
    assert sorted(here) == sorted(results.runs)
    assert {key.split("/")[0] for key in results.runs} == {"part3", "starts"}


def test_runs_that_fail_stop_the_notebook(tmp_path, here, monkeypatch):
    def train(arm, seed):
        raise RunFailedError(f"{arm.name} failed")

    monkeypatch.setattr(training, "train", train)
    with pytest.raises(RunFailedError, match=r"^nn failed; cnn_|cnn_.* failed; nn failed"):
        notebook.open_results(quick(tmp_path), "part3")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": True}, "seeds must be of type int, got True"),
        ({"profile": "full", "seeds": 3}, "seeds must be 0 or 1 for part1/none"),
        ({"epochs": 10_001}, r"epochs must be a whole number in \[0, 10000\], got 10001"),
        ({"results_dir": "/dev/null"}, "results must be a folder that can be written to"),
    ],
)
def test_a_wrong_parameter_stops_the_notebook_before_anything_is_done(
    tmp_path, here, changes, message
):
    with pytest.raises((TypeError, ValueError), match=message):
        notebook.open_results(quick(tmp_path) | changes, "part1")
    assert here == []
    assert list(tmp_path.iterdir()) == []


def test_the_number_of_workers_and_the_folder_of_mnist_reach_the_workers(
    tmp_path, here, monkeypatch
):
    asked = []
    monkeypatch.setattr(executors, "default_executor", lambda *of: asked.append(of) or Inline())
    monkeypatch.setattr(mnist, "available", lambda folder: folder == "/data/mnist")
    names = full(tmp_path, train_missing=True, workers=3, data_dir="/data/mnist")
    notebook.open_results(names, "part1")
    assert asked == [(3, "/data/mnist")]


def test_a_page_without_parameters_has_the_profile_s_own_runs(tmp_path, monkeypatch, here):
    monkeypatch.setattr(store, "default_results", lambda: tmp_path)
    results = notebook.open_profile("quick")
    assert list(results.runs) == [arm.key for arm in chapters.arms("quick")]
    assert {len(records) for records in results.runs.values()} == {3}
    with pytest.raises(
        MissingRunsError, match=r"mlpcw run part1 part2 part3 starts --profile full"
    ):
        notebook.open_profile("full")
    with pytest.raises(ValueError, match="profile must be one of full, quick, got 'fast'"):
        notebook.open_profile("fast")


# ---- Stores ---------------------------------------------------------------------------------


def test_a_short_run_is_kept_apart_and_never_replaces_a_long_one(tmp_path):
    long, short = open_store("quick", tmp_path), open_store("quick", tmp_path, 1)
    for kept, name in ((long, "quick"), (short, "quick-1-epochs")):
        arm = kept.arms[0]
        assert kept.write(forged(arm)) == tmp_path / name / "part1" / "none" / "0.json"
    assert [kept.find(kept.arms[0], 0).state for kept in (long, short)] == [State.DONE] * 2


def test_the_usual_store_is_that_of_the_repository():
    assert stored.open_store("full").folder == store.repository_root() / "results" / "full"


# ---- Folders --------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder that stands in for the repository's; the test runs in yet another."""
    (tmp_path / "book").mkdir()
    monkeypatch.chdir(tmp_path / "book")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(notebook, "repository_root", lambda: tmp_path)
    monkeypatch.setattr(store, "default_results", lambda: tmp_path / "results")
    return tmp_path


@pytest.mark.parametrize(
    ("results_dir", "expected"),
    [("", "results"), ("my runs/ä", "my runs/ä"), ("ROOT/a/b", "a/b"), ("~/runs", "home/runs")],
)
def test_a_folder_is_resolved_from_the_repository_s_or_the_user_s(
    root, here, results_dir, expected
):
    notebook.open_results(quick(results_dir.replace("ROOT", str(root))), "part3")
    kept = open_store("quick", root / expected, 1)
    assert kept.find_all(["part3"], 1)[0].state is State.DONE
    assert list((root / "book").iterdir()) == []


# ---- Images to show -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "available", "name"),
    [("full", True, "mnist"), ("full", False, "digits"), ("quick", True, "digits")],
)
def test_the_full_profile_shows_mnist_if_it_is_at_hand_else_the_digits_are_shown(
    root, monkeypatch, profile, available, name
):
    asked = []
    monkeypatch.setattr(mnist, "available", lambda folder: asked.append(folder) or available)
    monkeypatch.setattr(mnist, "load", lambda folder: mnist.ImageSet("mnist", "", {}))
    names = USUAL | {"profile": profile, "data_dir": "data/mnist"}
    assert notebook.example_images(names).name == name
    assert asked == [str(root / "data/mnist")] * (profile == "full")
