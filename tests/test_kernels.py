"""Compiled kernels: switched off where asked, loaded late, announced once and found on disk."""

import subprocess
import sys

import pytest

from mlpcw import kernels


@pytest.fixture
def fresh_answer():
    kernels.compiled.cache_clear()
    yield
    kernels.compiled.cache_clear()


def test_kernels_are_left_out_where_the_switch_says_so(fresh_answer, monkeypatch):
    monkeypatch.setenv(kernels.SWITCH, "0")
    assert not kernels.compiled()


def test_kernels_are_left_out_where_numba_is_not_installed(fresh_answer, monkeypatch):
    monkeypatch.delenv(kernels.SWITCH, raising=False)
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    assert not kernels.compiled()


def test_the_library_is_imported_without_numba():
    code = (
        "import sys, mlpcw.optimisers, mlpcw.augmenters, mlpcw.conv, mlpcw.layers;"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
