"""Compiled kernels: switched off where asked, loaded late, announced once and found on disk."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mlpcw import compiled, step_kernels
from mlpcw.errors import CrossEntropySoftmaxError

needs_compiler = pytest.mark.skipif(not compiled.enabled(), reason="no compiler")


@pytest.mark.parametrize("switch, found", [("0", True), ("1", False)])
def test_kernels_are_left_out_if_switched_off_or_without_numba(monkeypatch, switch, found):
    monkeypatch.setenv(compiled.SWITCH, switch)
    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda name: found or None)
    assert not compiled.enabled.__wrapped__()
    monkeypatch.setenv(compiled.SWITCH, "1")
    assert compiled.enabled.__wrapped__() == found


def test_the_library_is_imported_without_numba_and_scipy():
    code = (
        "import sys, mlpcw.optimisers, mlpcw.augmenters, mlpcw.conv, mlpcw.layers;"
        "sys.exit(not {'numba', 'scipy'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- compiled once, kept, and announced -------------------------------------------------------

MASKED = """
import numpy as np
from mlpcw import step_kernels
grads = np.ones(3)
step_kernels.mask(grads, np.arange(3.0))
step_kernels.mask(grads.astype("f4"), np.arange(3, dtype="f4"))
assert grads.tolist() == [0, 1, 1]
"""


ONCE = "mlpcw: compiling kernels, once; later runs find them on disk."
NOT_KEPT = (
    "mlpcw: compiling kernels, in this run and each later one, as Numba cannot keep them on disk"
    " ({}); NUMBA_CACHE_DIR may name a folder that can be written to."
)


def messages(cache, before="", **environment):
    """What a new process that calls a kernel twice, in two dtypes, says on stderr, line by line."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), compiled.SWITCH: "1"} | environment
    done = subprocess.run(
        [sys.executable, "-P", "-c", before + MASKED],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


@needs_compiler
def test_compilation_is_told_once_and_kept_on_disk(tmp_path):
    assert messages(tmp_path) == [ONCE]
    assert messages(tmp_path) == []


@needs_compiler
def test_where_nothing_can_be_written_kernels_are_compiled_all_the_same(tmp_path):
    """Neither beside the module nor at home, and nowhere else either."""
    package = tmp_path / "mlpcw"
    package.mkdir()
    for module in ("__init__.py", "compiled.py", "step_kernels.py"):
        shutil.copy(Path(compiled.__file__).with_name(module), package)
    (package / "__pycache__").touch()  # where a folder should be: nobody can write there
    home = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "PYTHONPATH": str(tmp_path)}
    problem = (
        f"cannot cache function 'mask': no locator available for file '{package}/step_kernels.py'"
    )
    assert messages("", **home) == [NOT_KEPT.format(problem)]


@needs_compiler
def test_where_the_disk_is_full_kernels_are_compiled_all_the_same(tmp_path):
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    problem = "[Errno 27] File too large"
    assert messages(tmp_path, before=full) == [ONCE, NOT_KEPT.format(problem)]


@needs_compiler
@pytest.mark.parametrize("kind", ["*.nbi", "*.nbc"])
def test_what_is_damaged_on_disk_is_compiled_and_kept_anew(tmp_path, kind):
    messages(tmp_path)
    damaged = list(tmp_path.rglob(kind))
    for path in damaged:
        path.write_bytes(path.read_bytes()[:40])
    assert damaged
    assert messages(tmp_path) == [ONCE]
    assert messages(tmp_path) == []


@pytest.fixture
def told(monkeypatch):
    """The terminal, of a process that has said nothing yet."""
    monkeypatch.setattr(compiled, "_told", set())
    monkeypatch.setattr(sys, "__stderr__", io.StringIO())
    return sys.__stderr__


def test_a_cache_that_fails_is_done_without_and_emptied(told):
    """While it works, what it gives and takes is handed on."""
    calls = []
    cache = SimpleNamespace(load_overload=max, save_overload=lambda *args: calls.append(args))
    compiled._keep(SimpleNamespace(enable_caching=lambda: None, _cache=cache))
    assert cache.load_overload(1, 2) == 2
    cache.save_overload(1, 2)
    assert calls.pop() == (1, 2)
    assert told.getvalue() == ""

    def fail(*args):
        calls.append(args)
        raise OSError("full")

    cache = SimpleNamespace(load_overload=fail, save_overload=fail, flush=fail)
    compiled._keep(SimpleNamespace(enable_caching=lambda: None, _cache=cache))
    assert cache.load_overload(1, 2) is None
    assert calls == [(1, 2), ()]
    assert told.getvalue() == ""
    cache.save_overload(3, 4)
    cache.save_overload(3, 4)
    compiled._keep(SimpleNamespace(enable_caching=fail))
    assert told.getvalue() == NOT_KEPT.format("full") + "\n"


# ---- the training step ------------------------------------------------------------------------


@pytest.fixture(params=["plain Python", "compiled"])
def kernel(request):
    """Makes a kernel run in one of its two ways."""
    if request.param == "plain Python":
        return lambda function: function.__wrapped__
    if not compiled.enabled():
        pytest.skip("no compiler")
    return lambda function: function


def draw(*shape, dtype):
    return np.random.RandomState(401).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("rectify", [False, True])
def test_biases_and_relu(kernel, rectify, dtype):
    outputs, biases = draw(5, 3, dtype=dtype), draw(3, dtype=dtype)
    outputs[0] = -biases
    expected = np.maximum(outputs + biases, 0) if rectify else outputs + biases
    kernel(step_kernels.add_biases)(outputs, biases, rectify)
    np.testing.assert_array_equal(outputs, expected)


def test_what_is_not_a_number_stays_so(kernel):
    outputs = np.array([[np.nan, np.inf, -np.inf]])
    kernel(step_kernels.add_biases)(outputs, np.zeros(3), True)
    np.testing.assert_array_equal(outputs, [[np.nan, np.inf, 0]])
    moms = np.array([np.nan, np.inf, 1.0])
    kernel(step_kernels.decay)(moms, np.ones(3), 0.5, 0.0, 0.0, 1e-300)
    np.testing.assert_array_equal(moms, [np.nan, np.inf, 0.5])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_mask(kernel, dtype):
    grads, outputs = draw(6, dtype=dtype), np.array([0, 1, 2, 0, -1, 3], dtype)
    expected = grads * (outputs > 0)
    kernel(step_kernels.mask)(grads, outputs)
    np.testing.assert_array_equal(grads, expected)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_softmax_gradient(kernel, dtype):
    outputs, targets = 10 * draw(5, 3, dtype=dtype), np.eye(3)[[0, 1, 2, 0, 0]]
    outputs[1] = [1000, 0, -1000]
    grads = np.empty_like(outputs)
    kernel(step_kernels.softmax_grads)(outputs, targets, grads)
    expected = CrossEntropySoftmaxError().grad(outputs, targets)
    np.testing.assert_allclose(grads, expected, rtol=0, atol=2 * np.finfo(dtype).eps)


def test_softmax_gradient_by_hand(kernel):
    outputs, grads = np.log([[1.0, 3.0], [2.0, 2.0]]), np.empty((2, 2))
    kernel(step_kernels.softmax_grads)(outputs, np.array([[1.0, 0.0], [0.0, 1.0]]), grads)
    np.testing.assert_allclose(grads, [[-0.375, 0.375], [0.25, -0.25]], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("coefficients", [(0, 0), (0.25, 0), (0, 0.5), (0.25, 0.5)])
def test_decay_and_penalty(kernel, coefficients, dtype):
    number = np.dtype(dtype).type
    l1, l2 = map(number, coefficients)
    moms, params = draw(7, dtype=dtype), draw(7, dtype=dtype)[::-1].copy()
    params[0] = 0
    moms[1] = 1e-30
    expected = number(0.5) * moms - (l1 * np.sign(params) + l2 * params)
    expected[np.abs(expected) < 1e-20] = 0
    kernel(step_kernels.decay)(moms, params, number(0.5), l1, l2, number(1e-20))
    np.testing.assert_allclose(moms, expected, rtol=4 * np.finfo(dtype).eps, atol=0)
    assert moms[1] == (0 if coefficients == (0, 0) else expected[1])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_update_of_biases(kernel, dtype):
    number = np.dtype(dtype).type
    biases, moms, grads = draw(3, dtype=dtype), draw(3, dtype=dtype) + 1, draw(5, 3, dtype=dtype)
    expected_moms = 0.5 * moms - 0.25 * grads.sum(axis=0)
    expected = biases + expected_moms
    kernel(step_kernels.update_biases)(biases, moms, number(0.5), number(0.25), grads)
    np.testing.assert_allclose(moms, expected_moms, rtol=0, atol=10 * np.finfo(dtype).eps)
    np.testing.assert_allclose(biases, expected, rtol=0, atol=10 * np.finfo(dtype).eps)
