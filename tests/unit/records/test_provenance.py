"""Provenance: where a record says that it comes from."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runs import record_of, tiny_arm

import mlpcw
from mlpcw import mnist
from mlpcw.study.records import provenance


def test_a_record_says_where_it_comes_from():
    record = record_of(tiny_arm())
    assert record["seconds"]["wall"] > 0
    origin = record["provenance"]
    assert (origin["data"], origin["data_digest"]) == ("digits", mnist.digits().digest)
    assert (origin["mlpcw"], origin["numpy"]) == (mlpcw.__version__, np.__version__)
    assert origin["python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.fixture
def commit():
    """The commit of the code, asked for anew."""
    provenance.commit.cache_clear()
    yield provenance.commit
    provenance.commit.cache_clear()


@pytest.mark.parametrize(
    "error", [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git")]
)
def test_outside_a_checkout_the_commit_is_empty(commit, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(subprocess, "run", refuse)
    assert commit() == ""


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_an_export_in_another_checkout_has_no_commit(commit, monkeypatch, tmp_path):
    package = tmp_path / "mlpcw" / "__init__.py"
    package.parent.mkdir()
    package.write_text("")
    settings = ("-c", "user.name=name", "-c", "user.email=email")
    for command in (["init"], [*settings, "commit", "--allow-empty", "-m", "another"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)  # noqa: S607
    monkeypatch.setattr(mlpcw, "__file__", str(package))
    assert commit() == ""


@pytest.mark.parametrize(("changed", "expected"), [("", "abc"), (" M arms.py", "abc+")])
def test_a_plus_says_that_the_code_differs_from_its_commit(commit, monkeypatch, changed, expected):
    def git(command, **_):
        answer = "abc\n" if "rev-parse" in command else changed
        return subprocess.CompletedProcess(command, 0, stdout=answer)

    monkeypatch.setattr(subprocess, "run", git)
    assert commit() == expected


def test_the_processor_and_the_blas_of_numpy_are_named(monkeypatch):
    lines = "processor : 0\nmodel name\t: A: B @ 2 GHz\nmodel name\t: C\n"
    monkeypatch.setattr(Path, "read_text", lambda *_: lines)
    blas = {"user_api": "blas", "internal_api": "openblas", "num_threads": 1}
    of_scipy = blas | {"filepath": "scipy.libs/a", "version": "0.1", "architecture": "Old"}
    of_numpy = blas | {"filepath": "numpy.libs/a", "version": "0.3", "architecture": "New"}
    other = {"user_api": "openmp", "filepath": "numpy.libs/b"}
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: [other, of_scipy, of_numpy])
    machine = provenance.machine.__wrapped__(False)
    assert machine["cpu"] == "A: B @ 2 GHz"
    assert (machine["blas"], machine["blas_kernels"]) == ("openblas 0.3", "New")
    assert (machine["blas_threads"], machine["numba"]) == (1, "none")


def test_what_linux_does_not_say_is_asked_for_or_unknown(monkeypatch):
    def refuse(*_):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr("platform.processor", lambda: "a processor")
    monkeypatch.setattr("threadpoolctl.threadpool_info", list)
    machine = provenance.machine.__wrapped__(False)
    assert machine["cpu"] == "a processor"
    assert (machine["blas"], machine["blas_kernels"]) == ("unknown", "unknown")
    assert machine["blas_threads"] == 0
    monkeypatch.setattr(Path, "read_text", lambda *_: "processor : 0\n")
    assert provenance.machine.__wrapped__(False)["cpu"] == "a processor"
