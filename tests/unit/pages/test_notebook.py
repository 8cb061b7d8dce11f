"""What a notebook asks for: its parameters are checked by name, its runs are found or trained."""

import math
import os
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest
from runs import forged

from mlpcw import mnist
from mlpcw.study.pages import notebook
from mlpcw.study.records import arms, store
from mlpcw.study.records.results import MissingRunsError
from mlpcw.study.records.store import State, Store
from mlpcw.study.runs import sweep as runner
from mlpcw.study.runs.sweep import RunFailedError

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


@pytest.mark.parametrize("name", ["epoch", "profil", "lambda_1", "seed", "Profile", "result_dir"])
@pytest.mark.parametrize("value", [1, "quick", None, [1]])
def test_an_unknown_parameter_is_refused_with_those_there_are(name, value):
    with pytest.raises(ValueError) as caught:
        notebook.check_parameters(USUAL | {name: value})
    assert str(caught.value) == f"{name!r} (here {value!r}) is no parameter; {ALLOWED}"


@pytest.mark.parametrize("name", USUAL)
def test_a_missing_parameter_is_named(name):
    rest = {each: value for each, value in USUAL.items() if each != name}
    with pytest.raises(ValueError) as caught:
        notebook.check_parameters(rest)
    assert str(caught.value) == f"parameter {name!r} is missing; {ALLOWED}"


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("profile", 1, "str"),
        ("profile", None, "str"),
        ("train_missing", 1, "bool"),
        ("train_missing", "yes", "bool"),
        ("seeds", True, "int"),
        ("seeds", 3.0, "int"),
        ("seeds", "3", "int"),
        ("epochs", math.nan, "int"),
        ("epochs", None, "int"),
        ("epochs", [10], "int"),
        ("epochs", "1e5", "int"),
        ("workers", False, "int"),
        ("data_dir", None, "str"),
        ("data_dir", Path("data"), "str"),
        ("results_dir", ["results"], "str"),
    ],
)
def test_a_parameter_of_the_wrong_type_is_refused_with_its_value(name, value, kind):
    with pytest.raises(TypeError) as caught:
        notebook.check_parameters(USUAL | {name: value})
    assert str(caught.value) == f"{name} must be of type {kind}, got {value!r}"


@pytest.mark.parametrize("name", ["seeds", "epochs", "workers"])
def test_a_negative_number_is_refused(name):
    message = f"{name} must be a whole number of at least 0, got -1"
    with pytest.raises(ValueError, match=message):
        notebook.check_parameters(USUAL | {name: -1})


def test_an_unknown_profile_is_refused():
    with pytest.raises(ValueError, match="profile must be one of full, quick, got 'slow'"):
        notebook.check_parameters(USUAL | {"profile": "slow"})


@pytest.mark.parametrize("name", ["data_dir", "results_dir"])
@pytest.mark.parametrize("value", ["a\0b", "a\nb", "\x1b[2J", "\udcff"])
def test_a_folder_with_unprintable_letters_is_refused(name, value):
    with pytest.raises(ValueError) as caught:
        notebook.check_parameters(USUAL | {name: value})
    assert str(caught.value) == f"{name} must be the plain name of a folder, got {value!r}"


@pytest.mark.parametrize("profile", ["full", "quick"])
@pytest.mark.parametrize("name", ["nowhere", "", "~nobody-of-this-name/data"])
def test_a_folder_without_mnist_is_refused_even_where_nothing_is_trained(tmp_path, profile, name):
    folder = name if name.startswith("~") else str(tmp_path / name)
    with pytest.raises(ValueError) as caught:
        notebook.check_parameters(USUAL | {"profile": profile, "data_dir": folder})
    assert str(caught.value) == (
        "data_dir must be a folder that holds the four files of MNIST, or '' for the usual one,"
        f" got {folder!r}"
    )


def test_a_folder_with_spaces_and_letters_of_any_script_is_taken(tmp_path):
    folder = tmp_path / "мои данные ünd 数字"
    folder.mkdir()
    for name in mnist.FILES:
        (folder / name).write_bytes(b"")
    names = USUAL | {"data_dir": str(folder), "results_dir": str(folder / "my runs")}
    assert notebook.check_parameters(names) == names


def test_code_in_a_parameter_is_only_a_name_of_a_folder(tmp_path):
    """It is never run: the folder of that name holds no runs."""
    code = "__import__('os').system('touch owned')"
    names = USUAL | {"profile": "full", "seeds": 0, "results_dir": f"{tmp_path}/{code}"}
    with pytest.raises(MissingRunsError):
        notebook.open_results(names, "part1")
    assert list(tmp_path.iterdir()) == []


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


@pytest.fixture
def trained(monkeypatch):
    """The keys of the arms that are trained; their records are forged, in this thread."""
    keys = []

    def sweep(kept, findings, workers, data_dir, progress):
        for finding in findings:
            if finding.state is not State.DONE:
                keys.append(finding.arm.key)
                kept.write(forged(finding.arm, finding.seed))
        return []

    monkeypatch.setattr(runner, "sweep", sweep)
    return keys


def full(tmp_path, **changes):
    return USUAL | {"profile": "full", "seeds": 0, "results_dir": str(tmp_path)} | changes


def test_quick_trains_what_is_missing(tmp_path, trained):
    results = notebook.open_results(USUAL | {"results_dir": str(tmp_path)}, "part3")
    assert trained == [arm.key for arm in arms.arms("quick", "part3")]
    assert list(results.runs) == trained
    assert results.profile == "quick"


def test_full_stops_where_runs_are_missing_with_the_whole_command(tmp_path, trained):
    with pytest.raises(MissingRunsError) as caught:
        notebook.open_results(full(tmp_path, epochs=0), "part1")
    assert str(caught.value) == (
        f"7 of 7 runs are not there, the first is part1/none with seed {arms.SEED_2016}, which is"
        " missing; train them with: python -m mlpcw run part1 --profile full"
        f" --results {shlex.quote(str(tmp_path))}"
    )
    assert trained == []


def test_the_command_has_the_epochs_and_seeds_that_were_asked_for(tmp_path):
    folder = tmp_path / "my runs"
    with pytest.raises(MissingRunsError) as caught:
        notebook.open_results(full(folder, epochs=7, seeds=1), "part1")
    command = str(caught.value).split("train them with: ")[1]
    assert command == (
        f"python -m mlpcw run part1 --profile full --seeds 1 --epochs 7 --results '{folder}'"
    )


def test_full_trains_where_it_is_told_to(tmp_path, trained):
    results = notebook.open_results(full(tmp_path, train_missing=True), "part1")
    assert trained == list(results.runs) == [arm.key for arm in arms.arms("full", "part1")]


def test_what_is_stored_is_not_trained_again(tmp_path, trained):
    names = USUAL | {"results_dir": str(tmp_path)}
    notebook.open_results(names, "part3")
    trained.clear()
    notebook.open_results(names, "part3")
    assert trained == []


def test_several_parts_can_be_asked_for(tmp_path, trained):
    results = notebook.open_results(full(tmp_path, train_missing=True), "part3", "starts")
    assert {arms.find("full", key).part for key in results.runs} == {"part3", "starts"}


def test_a_part_that_a_profile_has_not_is_left_out(tmp_path, trained):
    results = notebook.open_results(USUAL | {"results_dir": str(tmp_path)}, "part3", "starts")
    assert {key.split("/")[0] for key in results.runs} == {"part3"}


def test_a_run_that_fails_stops_the_notebook(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "sweep", lambda *_, **__: ["part3/nn failed", "part3/cnn failed"])
    with pytest.raises(RunFailedError, match=r"^part3/nn failed; part3/cnn failed$"):
        notebook.open_results(USUAL | {"results_dir": str(tmp_path)}, "part3")


def test_a_wrong_parameter_stops_the_notebook_before_anything_is_done(tmp_path, trained):
    with pytest.raises(TypeError, match="seeds must be of type int, got True"):
        notebook.open_results(USUAL | {"seeds": True, "results_dir": str(tmp_path)}, "part3")
    assert trained == []


def test_more_seeds_than_2016_had_are_refused(tmp_path):
    with pytest.raises(ValueError, match="seeds must be 0 or 1 for part1/none"):
        notebook.open_results(full(tmp_path, seeds=3), "part1")


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    folder = tmp_path / "file"
    with pytest.raises(ValueError, match="results must be a folder that can be written to"):
        notebook.open_results(USUAL | {"results_dir": str(folder)}, "part3")


def test_the_number_of_workers_and_the_folder_of_mnist_reach_the_runner(tmp_path, monkeypatch):
    asked = []

    def sweep(kept, findings, workers, data_dir, progress):
        asked.append((workers, data_dir, progress))
        return ["enough"]

    monkeypatch.setattr(runner, "sweep", sweep)
    monkeypatch.setattr(mnist, "available", lambda folder: folder == "/data/mnist")
    names = full(tmp_path, train_missing=True, workers=3, data_dir="/data/mnist")
    with pytest.raises(RunFailedError, match="enough"):
        notebook.open_results(names, "part1")
    assert asked == [(3, "/data/mnist", True)]


def test_a_page_without_parameters_has_the_profile_s_own_runs(tmp_path, monkeypatch, trained):
    monkeypatch.setattr(notebook, "default_results", lambda: tmp_path)
    results = notebook.open_profile("quick")
    assert list(results.runs) == [arm.key for arm in arms.arms("quick")]
    assert {len(records) for records in results.runs.values()} == {3}
    with pytest.raises(
        MissingRunsError, match=r"mlpcw run part1 part2 part3 starts --profile full"
    ):
        notebook.open_profile("full")


def test_a_page_of_an_unknown_profile_is_refused():
    with pytest.raises(ValueError, match="profile must be one of full, quick, got 'fast'"):
        notebook.open_profile("fast")


# ---- Folders --------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder that stands in for the repository's; the test runs in yet another."""
    (tmp_path / "book").mkdir()
    monkeypatch.chdir(tmp_path / "book")
    monkeypatch.setattr(notebook, "repository_root", lambda: tmp_path)
    monkeypatch.setattr(notebook, "default_results", lambda: tmp_path / "results")
    return tmp_path


@pytest.mark.parametrize(("results_dir", "expected"), [("", "results"), ("my runs/ä", "my runs/ä")])
def test_a_folder_is_resolved_from_the_repository_s(root, trained, results_dir, expected):
    notebook.open_results(USUAL | {"results_dir": results_dir}, "part3")
    assert Store(root / expected, "quick", 1).find_all(["part3"], 1)[0].state is State.DONE
    assert list((root / "book").iterdir()) == []


def test_an_absolute_folder_stays_where_it_is(root, trained, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    notebook.open_results(USUAL | {"results_dir": str(elsewhere)}, "part3")
    assert (elsewhere / "quick-1-epochs").is_dir()


def test_a_folder_may_be_in_the_user_s_home(root, trained, monkeypatch, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    notebook.open_results(USUAL | {"results_dir": "~/runs"}, "part3")
    assert (home / "runs" / "quick-1-epochs").is_dir()


def test_the_folder_of_mnist_is_resolved_from_the_repository_s(root, monkeypatch):
    asked = []
    monkeypatch.setattr(mnist, "available", lambda folder: asked.append(folder) or False)
    notebook.example_images(USUAL | {"profile": "full", "data_dir": "data/mnist"})
    assert asked == [str(root / "data/mnist")]


def test_the_usual_root_is_the_repository_s():
    assert notebook.repository_root is store.repository_root


# ---- Images to show -------------------------------------------------------------------------


def test_the_full_profile_shows_mnist_where_it_is_at_hand(monkeypatch, digits_for_mnist):
    found = mnist.ImageSet("mnist", "", {})
    monkeypatch.setattr(mnist, "available", lambda folder: True)
    monkeypatch.setattr(mnist, "load", lambda folder: found)
    assert notebook.example_images(USUAL | {"profile": "full"}) is found


def test_the_full_profile_shows_the_digits_where_mnist_is_not_at_hand(monkeypatch):
    monkeypatch.setattr(mnist, "available", lambda folder: False)
    assert notebook.example_images(USUAL | {"profile": "full"}) is mnist.digits()


def test_the_quick_profile_shows_the_digits_it_is_trained_on(monkeypatch):
    monkeypatch.setattr(mnist, "available", lambda folder: True)
    assert notebook.example_images(USUAL) is mnist.digits()
