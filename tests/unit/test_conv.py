"""Convolution: all methods against its definition, its algebra, its dtypes, its refusals."""

import math

import numpy as np
import pytest
import reference
from gradcheck import check_gradient
from hypothesis import given
from hypothesis import strategies as st
from support import check, dtypes, examples, lay, looks, only_single, seeds
from witnesses import BY_HAND, INDEPENDENT, PROJECTION, conv_method, witness

from mlpcw import compiled, conv

METHODS = sorted(set(conv.METHODS) - (set() if compiled.enabled() else conv.COMPILED))
FAST = sorted(set(METHODS) - {"loop"})


@st.composite
def problems(draw, max_batch_size=4, max_channels=3, max_size=9):
    """Random inputs, kernels and gradients with respect to outputs whose shapes fit.

    All from a seed, since Hypothesis by itself likes small numbers, and the same twice.
    """
    rng = np.random.default_rng(draw(seeds))
    batch_size = rng.integers(max_batch_size) + 1
    num_inputs, num_outputs = rng.integers(max_channels, size=2) + 1
    size = rng.integers(max_size, size=2) + 1
    kernel_size = rng.integers(size) + 1
    return (
        rng.normal(size=(batch_size, num_inputs, *size)),
        rng.normal(size=(num_outputs, num_inputs, *kernel_size)),
        rng.normal(size=(batch_size, num_outputs, *size - kernel_size + 1)),
    )


gradients = reference.convolution_gradients


def all_three(inputs, kernels, grads, method):
    return (
        conv.convolve(inputs, kernels, method),
        conv.grad_inputs(kernels, grads, method),
        conv.grad_kernels(inputs, grads, method),
    )


def random_problem(inputs_shape, kernels_shape, seed=1):
    rng = np.random.default_rng(seed)
    inputs, kernels = rng.normal(size=inputs_shape), rng.normal(size=kernels_shape)
    return inputs, kernels, rng.normal(size=conv.convolve(inputs, kernels, "loop").shape)


# ---- against the definition ------------------------------------------------------------------


@witness(BY_HAND, conv_method)
@pytest.mark.parametrize("method", METHODS)
def test_small_case_by_hand(method):
    inputs = np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    kernels = np.array([[[[10.0, 1.0], [0.0, -1.0]]]])
    grads = np.array([[[[1.0, 2.0]]]])
    # flipped, the kernel is [[-1, 0], [1, 10]]: 4 + 50 - 1 and 5 + 60 - 2
    assert conv.convolve(inputs, kernels, method).tolist() == [[[[53.0, 63.0]]]]
    # the flipped kernel laid down at each output pixel, once and twice
    expected = [[[[-1.0, -2.0, 0.0], [1.0, 12.0, 20.0]]]]
    assert conv.grad_inputs(kernels, grads, method).tolist() == expected
    # under the flipped kernel [[1, 2], [4, 5]] once and [[2, 3], [5, 6]] twice; flipped back
    assert conv.grad_kernels(inputs, grads, method).tolist() == [[[[17.0, 14.0], [8.0, 5.0]]]]


@pytest.fixture
def in_blocks(monkeypatch):
    """Sets how many images the methods take at once, for a problem in float64."""

    def take(number, inputs, kernels, grads):
        patches = 8 * kernels[0].size * math.prod(grads.shape[2:])
        monkeypatch.setattr(conv.im2col, "BLOCK", number * patches)
        monkeypatch.setattr(conv.direct, "BLOCK", number * 8 * (inputs[0].size + grads[0].size))
        monkeypatch.setattr(conv.direct, "MIN_IMAGES", 1)

    return take


def skip_unless_here(method):
    if method in conv.COMPILED and not compiled.enabled():
        pytest.skip("a method that is compiled")


@witness(INDEPENDENT, conv_method)
@pytest.mark.parametrize("method", METHODS)
@examples(25)
@given(problem=problems(max_batch_size=7), looks=looks(3, dtypes | st.just("u1")))
def test_equals_the_definition(method, each_way, in_blocks, problem, looks):
    """For all dtypes and layouts, in blocks of every size; the last may be smaller."""
    skip_unless_here(method)
    problem = [lay(3 * array, look) for array, look in zip(problem, looks, strict=True)]
    inputs, ours, grads = problem
    for operation, slow, arguments in [
        (conv.convolve, reference.convolve, [inputs, ours]),
        (conv.grad_inputs, lambda k, g: gradients(inputs, k, g)[0], [ours, grads]),
        (conv.grad_kernels, lambda i, g: gradients(i, ours, g)[1], [inputs, grads]),
    ]:

        def in_blocks_of_each_size(*arrays, operation=operation):
            for size in range(1, len(inputs) + 1):
                in_blocks(size, *problem)
                yield operation(*arrays, method)

        results = check(
            in_blocks_of_each_size,
            lambda *arrays, slow=slow: [slow(*arrays)] * len(inputs),
            arguments,
            np.result_type(*arguments, np.float32),
        )
        assert all(r.flags.c_contiguous and r.flags.writeable for r in results)


@witness(PROJECTION, conv_method)
@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_slopes(method, each_way):
    skip_unless_here(method)
    inputs, ours, weights = random_problem((3, 2, 6, 5), (4, 2, 3, 2))
    check_gradient(
        lambda moved: np.vdot(weights, conv.convolve(moved, ours, method)),
        conv.grad_inputs(ours, weights, method),
        inputs,
    )
    check_gradient(
        lambda moved: np.vdot(weights, conv.convolve(inputs, moved, method)),
        conv.grad_kernels(inputs, weights, method),
        ours,
    )


@pytest.mark.parametrize("method", FAST)
@pytest.mark.parametrize(
    ("inputs_shape", "kernels_shape"),
    [
        ((10, 1, 28, 28), (8, 1, 5, 5)),
        ((70, 1, 28, 27), (8, 1, 5, 4)),  # more images than any method takes at once
        ((3, 5, 12, 17), (10, 5, 5, 2)),
        ((2, 16, 12, 12), (32, 16, 5, 5)),
        *(((2, 1, 1, 20), (3, 1, 1, number)) for number in range(1, 18)),  # of taps
    ],
)
def test_methods_agree_at_the_sizes_of_a_network(method, inputs_shape, kernels_shape):
    inputs, kernels, grads = random_problem(inputs_shape, kernels_shape)
    slow = all_three(inputs, kernels, grads, "loop")
    for fast, expected in zip(all_three(inputs, kernels, grads, method), slow, strict=True):
        np.testing.assert_allclose(fast, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_kernel_gradient_sums_over_the_batch_and_keeps_output_channels_apart(method):
    """Batch size, channels and kernel sizes all differ, so that no loop can stand for another."""
    rng = np.random.default_rng(2)
    inputs, grads = rng.normal(size=(7, 2, 9, 8)), np.zeros((7, 3, 6, 4))
    grads[6, 1] = rng.normal(size=(6, 4))  # only the last image, only the middle output
    grads_wrt_kernels = conv.grad_kernels(inputs, grads, method)
    assert grads_wrt_kernels.shape == (3, 2, 4, 5)
    assert not grads_wrt_kernels[[0, 2]].any()
    assert grads_wrt_kernels[1].all()


# ---- not numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"toeplitz"}))  # multiplies by zeros
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_reaches_what_belongs_to_it_and_nothing_else(method, value):
    inputs, ours, grads = random_problem((3, 2, 6, 7), (9, 2, 3, 4))
    inputs[1, 1, 1, 5] = value  # in the windows of outputs (0 or 1, 2 or 3)
    expected = np.zeros(grads.shape, bool)
    expected[1, :, :2, 2:] = True
    outputs = conv.convolve(inputs, ours, method)
    np.testing.assert_array_equal(~np.isfinite(outputs), expected)

    expected = np.zeros(ours.shape, bool)
    expected[:, 1, ::-1, ::-1][:, :2, 2:] = True  # below flipped kernels, at (0 or 1, 2 or 3)
    grads_wrt_kernels = conv.grad_kernels(inputs, grads, method)
    np.testing.assert_array_equal(~np.isfinite(grads_wrt_kernels), expected)

    grads[2, 4, 3, 0] = value
    expected = np.zeros(inputs.shape, bool)
    expected[2, :, 3:, :4] = True
    grads_wrt_inputs = conv.grad_inputs(ours, grads, method)
    np.testing.assert_array_equal(~np.isfinite(grads_wrt_inputs), expected)


# ---- dtypes and memory -----------------------------------------------------------------------


class Float32Only(np.ndarray):
    """What is computed from such an array is one again, unless it is float64: that fails."""

    def __array_finalize__(self, source):
        assert self.dtype != np.float64


@pytest.mark.parametrize("method", FAST)
def test_float32_never_becomes_float64_on_the_way(method, each_way, monkeypatch):
    skip_unless_here(method)
    functions = conv.METHODS[method]
    kernels = {"direct": ["correlate", "correlate_grads"], "im2col": ["fold_rows"], "toeplitz": []}
    called = only_single(monkeypatch, functions, *kernels[method])
    inputs, ours, grads = (
        np.ones(shape, np.float32).view(Float32Only)
        for shape in [(6, 2, 9, 8), (3, 2, 4, 5), (6, 3, 6, 4)]
    )
    assert functions.convolve(inputs, ours).dtype == np.float32
    assert functions.grad_inputs(ours, grads).dtype == np.float32
    assert functions.grad_kernels(inputs, grads).dtype == np.float32
    assert called == (set(kernels[method]) if compiled.enabled() else set())


def test_the_watch_on_float32_sees_float64():
    with pytest.raises(AssertionError):
        np.ones(3, np.float32).view(Float32Only) * np.ones(3)


# ---- the choice ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "kernels_shape", "use_kernels", "expected"),
    [
        (28, (1, 1, 5, 5), False, "toeplitz"),
        (28, (1, 1, 15, 15), False, "toeplitz"),
        (12, (10, 5, 5, 5), False, "toeplitz"),
        (28, (32, 1, 5, 5), False, "im2col"),
        (14, (8, 8, 1, 1), False, "im2col"),
        (28, (1, 1, 5, 5), True, "direct"),
        (28, (7, 1, 5, 5), True, "direct"),
        (28, (8, 1, 5, 5), True, "im2col"),
        (28, (8, 1, 15, 15), True, "direct"),
        (14, (8, 8, 1, 1), True, "direct"),
        (12, (10, 5, 5, 5), True, "direct"),
        (12, (32, 16, 5, 5), True, "im2col"),
    ],
)
def test_choice(width, kernels_shape, use_kernels, expected):
    assert conv.choose_method(width, kernels_shape, use_kernels) == expected


@pytest.mark.parametrize("use_kernels", [False, True])
def test_compiled_methods_are_chosen_where_loops_are_compiled(monkeypatch, use_kernels):
    monkeypatch.setattr(compiled, "enabled", lambda: use_kernels)
    assert (conv.choose_method(28, (1, 1, 5, 5)) in conv.COMPILED) == use_kernels


def test_compiled_methods_are_not_chosen_for_other_precisions():
    inputs, ours, _ = random_problem((2, 1, 9, 9), (1, 1, 3, 3))
    outputs = conv.convolve(inputs.astype(np.longdouble), ours)
    assert outputs.dtype == np.longdouble
    np.testing.assert_allclose(outputs, conv.convolve(inputs, ours), atol=1e-10)


@pytest.mark.parametrize("num_output_channels", [1, 32])
def test_default_is_the_choice(num_output_channels):
    inputs, kernels, grads = random_problem((2, 1, 28, 28), (num_output_channels, 1, 5, 5))
    chosen = conv.choose_method(28, kernels.shape)
    expected = all_three(inputs, kernels, grads, chosen)
    for result, value in zip(all_three(inputs, kernels, grads, None), expected, strict=True):
        np.testing.assert_array_equal(result, value)


# ---- refusals --------------------------------------------------------------------------------

INPUTS, KERNELS, GRADS = np.ones((4, 2, 6, 5)), np.ones((3, 2, 2, 3)), np.ones((4, 3, 5, 3))
IMAGES = "must have shape (batch_size, num_channels, height, width), without 0"
NO_HIGHER = "must be at most as high and as wide as inputs, 6 x 5"


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        (conv.convolve, (INPUTS[0], KERNELS), f"inputs {IMAGES}, got (2, 6, 5)"),
        (
            *(conv.convolve, (INPUTS, KERNELS[0, 0])),
            "kernels must have shape (num_output_channels, num_input_channels, kernel_height, "
            "kernel_width), without 0, got (2, 3)",
        ),
        (
            *(conv.grad_kernels, (INPUTS, GRADS[:, :, :0])),
            f"grads_wrt_outputs {IMAGES}, got (4, 3, 0, 3)",
        ),
        (
            *(conv.convolve, (INPUTS, KERNELS[:, :1])),
            "inputs and kernels must have the same number of input channels (axis 1 of both), "
            "got shapes (4, 2, 6, 5) and (3, 1, 2, 3)",
        ),
        (
            *(conv.grad_inputs, (KERNELS, GRADS[:, :2])),
            "grads_wrt_outputs and kernels must have the same number of output channels (axis 1 "
            "and axis 0), got shapes (4, 2, 5, 3) and (3, 2, 2, 3)",
        ),
        (
            *(conv.grad_kernels, (INPUTS, GRADS[:2])),
            "inputs and grads_wrt_outputs must have the same batch size (axis 0 of both), "
            "got shapes (4, 2, 6, 5) and (2, 3, 5, 3)",
        ),
        (
            *(conv.convolve, (INPUTS, np.ones((1, 2, 7, 1)))),
            f"kernels {NO_HIGHER}, got shapes (1, 2, 7, 1) and (4, 2, 6, 5)",
        ),
        (
            *(conv.grad_kernels, (INPUTS, np.ones((4, 3, 5, 6)))),
            f"grads_wrt_outputs {NO_HIGHER}, got shapes (4, 3, 5, 6) and (4, 2, 6, 5)",
        ),
        (
            *(conv.convolve, (INPUTS, KERNELS, "fft")),
            "method must be one of loop, im2col, toeplitz, direct, got 'fft'",
        ),
    ],
)
def test_refusals(operation, arguments, message):
    with pytest.raises(ValueError) as refusal:
        operation(*arguments)
    assert str(refusal.value) == message


@pytest.mark.parametrize("method", sorted(conv.COMPILED))
def test_compiled_methods_are_refused_where_loops_are_not_compiled(monkeypatch, method):
    monkeypatch.setattr(compiled, "enabled", lambda: False)
    with pytest.raises(ValueError) as refusal:
        conv.convolve(INPUTS, KERNELS, method)
    assert str(refusal.value) == (
        f"method '{method}' needs compiled kernels (Numba, extra 'fast', not switched off by "
        "MLPCW_COMPILED) and float32 or float64, got float64"
    )
