"""Setting up: what is refused, when the environment is made anew, and two at once."""

import os
import shutil
import subprocess
import sys

import pytest

from mlpcw.study.records.store import repository_root

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path):
    """A folder with a space in its name and all that `make setup` reads."""
    folder = tmp_path / "a checkout"
    (folder / ".ci").mkdir(parents=True)
    for name in ("Makefile", ".ci/alone.py", "requirements.txt", "pyproject.toml"):
        shutil.copy(repository_root() / name, folder / name)
    return folder


def make(folder, *arguments):
    """What make ends with and says; nothing is installed."""
    settings = ["PIP=true", f"PYTHON={sys.executable}", *arguments]  # the last of a name counts
    return subprocess.run(
        ["make", "-C", folder, "--no-print-directory", *settings],  # noqa: S607
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=False,
    )


def pretender(folder, version):
    """A Python that says it is of another version."""
    path = folder / "a python"
    code = f'import sys; sys.version_info = ({version}, 0); $2"'
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("profile", ["evil", "", "full quick", "fu%"])
def test_a_wrong_profile_is_refused_with_one_line(checkout, profile):
    done = make(checkout, "book", f"PROFILE={profile}")
    assert done.returncode == 2 and done.stdout == ""
    sentence = rf"PROFILE must be full or quick, got '{profile}'"
    assert done.stderr.count("\n") == 1 and sentence in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("version", ["2, 7", "3, 10", "3, 16", "4, 0", None])
def test_a_python_for_which_there_is_no_lock_is_refused_with_one_line(checkout, tmp_path, version):
    python = pretender(tmp_path, version) if version else tmp_path / "missing"
    done = make(checkout, "setup", f"PYTHON={python}")
    assert done.returncode == 2
    sentence = f"mlpcw needs Python 3.11 to 3.15, and '{python}' is not one of these"
    assert done.stderr.count("\n") == 1 and sentence in done.stderr
    assert not (checkout / ".venv").exists()


def test_the_environment_is_made_once_and_anew_where_it_is_not_this_checkouts(checkout):
    made = "Making .venv from requirements.txt"
    assert made in make(checkout, "setup").stdout
    assert make(checkout, "setup").stdout == ""
    moved = checkout.rename(checkout.parent / "moved")
    assert made in make(moved, "setup").stdout
    copied = shutil.copytree(moved, checkout, symlinks=True)
    assert made in make(copied, "setup").stdout
    (copied / ".venv" / "bin" / "python").unlink()
    assert made in make(copied, "setup").stdout
    assert make(copied, "setup").stdout == make(moved, "setup").stdout == ""


def test_two_at_once_work_one_after_the_other(tmp_path):
    alone = [sys.executable, repository_root() / ".ci" / "alone.py", tmp_path]
    first = subprocess.Popen(
        [*alone, "sh", "-c", "echo began; read line; echo first >> order"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    )
    with first:
        assert first.stdout.readline() == b"began\n"
        second = subprocess.Popen(
            [*alone, "sh", "-c", "echo second >> order"], stderr=subprocess.PIPE, cwd=tmp_path
        )
        with second:
            said = second.stderr.readline().decode()
            first.communicate(b"\n")
    assert said == f"Another make is at work in {tmp_path.resolve()}: waiting for it to end.\n"
    assert first.returncode == second.returncode == 0
    assert (tmp_path / "order").read_text() == "first\nsecond\n"
