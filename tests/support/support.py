"""What the properties share: arrays of any layout and dtype, and what is asked of each operation.

A property holds an operation against a slow one (reference.py) in each way that it is computed
(the fixture `each_way`), whatever the layout of its arguments in memory. It has few examples by
default and many with `--long`.
"""

import contextlib

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from mlpcw import compiled

TIMES = 1
"""Factor on the number of examples; with `--long` larger."""

TOLERANCES = {np.dtype("f4"): 2e-5, np.dtype("f8"): 1e-11}

dtypes = st.sampled_from(["f4", "f8"])
seeds = st.integers(0, 2**32 - 1)


def examples(number):
    """Settings of a property: the number of its examples, or with `--long` a multiple of it."""
    return settings(max_examples=number * TIMES)


# ---- layouts ----------------------------------------------------------------------------------


def _reversed(array):
    around = (slice(None, None, -1),) * array.ndim
    return np.array(array[around], order="C")[around]


def _apart(array):
    larger = np.full((*array.shape[:-1], 2 * array.shape[-1] + 1), 77, array.dtype)
    larger[..., 1::2] = array
    return larger[..., 1::2]


def _inside(array):
    return np.pad(array, 1, constant_values=77)[(slice(1, -1),) * array.ndim]


def _unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    moved = memory[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def _read_only(array):
    array = np.array(array, order="C")
    array.flags.writeable = False
    return array


LAYOUTS = {
    "C": lambda array: np.array(array, order="C"),
    "Fortran": lambda array: np.array(array, order="F"),
    "reversed": _reversed,
    "apart": _apart,
    "inside": _inside,
    "unaligned": _unaligned,
    "read-only": _read_only,
}
"""Functions that copy an array into memory of a certain kind; what is around it there is 77."""

IN_PLACE = sorted(set(LAYOUTS) - {"read-only"})

REPEATED = "repeated"
"""Not a copy: the first number, or the first along some axis, stands for all. Read-only."""


@st.composite
def looks(draw, number, dtypes=dtypes, layouts=(*LAYOUTS, REPEATED)):
    """For each of so many arrays a layout and a dtype, and which axes are repeated."""
    one = st.tuples(st.sampled_from(layouts), dtypes, st.integers(1, 3))
    return [draw(one) for _ in range(number)]


def lay(array, look):
    """A copy of an array, as `looks` has drawn it."""
    layout, dtype, axes = look
    if np.dtype(dtype).kind == "u":
        array = np.abs(array)  # what negative numbers become depends on the machine
    array = np.asarray(array).astype(dtype)
    if layout != REPEATED:
        return LAYOUTS[layout](array)
    first = tuple(slice(0, 1 if axes >> min(n, 1) & 1 else None) for n in range(array.ndim))
    return np.broadcast_to(array[first].copy(), array.shape)


# ---- precision --------------------------------------------------------------------------------


def is_kernel(value):
    """Whether it is a function that the decorator `mlpcw.compiled.kernel` has wrapped."""
    of = getattr(value, "__globals__", None)
    return of is vars(compiled) and hasattr(value, "__wrapped__")


def only_single(monkeypatch, module, *names):
    """Kernels of these names refuse float64 arrays; returns the set of names of those called."""
    called = set()

    def watched(name, kernel):
        def call(*arguments):
            called.add(name)
            assert not any(getattr(array, "dtype", "") == "f8" for array in arguments)
            return kernel(*arguments)

        return call

    for name in names:
        monkeypatch.setattr(module, name, watched(name, getattr(module, name)))
    return called


# ---- what is asked of an operation ------------------------------------------------------------


def _memory(array):
    """The array that a view, or a view of a view, looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


@contextlib.contextmanager
def unchanged(*arrays):
    """Arrays, and what is around them in memory, must be the same afterwards."""
    before = [_memory(array).copy() for array in arrays]
    yield
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(_memory(array), old)


@contextlib.contextmanager
def changed_only(*arrays):
    """Arrays may be changed, but nothing around them in memory."""
    yield
    for array in arrays:
        kept = array.copy()
        array[...] = 77
        memory = _memory(array)
        assert memory.dtype == np.uint8 or (memory == 77).all()
        array[...] = kept


def agree(results, expected, dtype):
    """Results must be arrays of the dtype, and in shape and value what is expected."""
    tolerance = TOLERANCES[np.dtype(dtype)]
    for result, value in zip(results, expected, strict=True):
        assert result.dtype == dtype
        assert result.shape == np.shape(value)
        scale = max(1, np.abs(value).max(initial=0))
        np.testing.assert_allclose(result, value, rtol=0, atol=tolerance * scale)


def check(function, slow, arrays, dtype):
    """Holds the arrays that a function returns against those of a slow one, in float64."""
    plain = [np.array(array, np.float64, order="C") for array in arrays]
    with unchanged(*arrays):
        results = list(function(*arrays))
    agree(results, slow(*plain), dtype)
    return results
