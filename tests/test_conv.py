"""Convolution: all methods against its definition, its algebra, its dtypes, its refusals."""

import numpy as np
import pytest
import reference
from gradcheck import check_gradient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from witnesses import BY_HAND, INDEPENDENT, PROJECTION, conv_method, witness

from mlpcw import conv, kernels

METHODS = sorted(set(conv.METHODS) - (set() if kernels.compiled() else conv.COMPILED))
FAST = sorted(set(METHODS) - {"loop"})


@st.composite
def problems(draw, max_batch_size=4, max_channels=3, max_size=9):
    """Random inputs, kernels and gradients with respect to outputs whose shapes fit."""
    size = st.integers(1, max_size)
    height, width = draw(size), draw(size)
    kernel_height, kernel_width = draw(st.integers(1, height)), draw(st.integers(1, width))
    batch_size = draw(st.integers(1, max_batch_size))
    channels = st.integers(1, max_channels)
    num_input_channels, num_output_channels = draw(channels), draw(channels)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    inputs = rng.normal(size=(batch_size, num_input_channels, height, width))
    kernels = rng.normal(
        size=(num_output_channels, num_input_channels, kernel_height, kernel_width)
    )
    grads = rng.normal(
        size=(
            batch_size,
            num_output_channels,
            height - kernel_height + 1,
            width - kernel_width + 1,
        )
    )
    return inputs, kernels, grads


def all_three(inputs, kernels, grads, method):
    return (
        conv.convolve(inputs, kernels, method),
        conv.grad_inputs(kernels, grads, method),
        conv.grad_kernels(inputs, grads, method),
    )


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


@witness(INDEPENDENT, conv_method)
@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=15)
@given(problem=problems(max_batch_size=3, max_size=6))
def test_equals_the_definition(method, problem):
    inputs, kernels, grads = problem
    outputs, grads_wrt_inputs, grads_wrt_kernels = all_three(*problem, method)
    np.testing.assert_allclose(outputs, reference.convolve(inputs, kernels), atol=1e-10)
    expected = reference.convolution_gradients(inputs, kernels, grads)
    np.testing.assert_allclose(grads_wrt_inputs, expected[0], atol=1e-10)
    np.testing.assert_allclose(grads_wrt_kernels, expected[1], atol=1e-10)


@witness(PROJECTION, conv_method)
@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_slopes(method, each_way):
    if method in conv.COMPILED and not kernels.compiled():
        pytest.skip("a method that is compiled")
    rng = np.random.default_rng(3)
    inputs, ours = rng.normal(size=(3, 2, 6, 5)), rng.normal(size=(4, 2, 3, 2))
    weights = rng.normal(size=(3, 4, 4, 4))
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
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-4)])
@settings(deadline=None, max_examples=40)
@given(problem=problems(max_size=14))
def test_methods_agree(method, dtype, tolerance, problem):
    problem = [array.astype(dtype) for array in problem]
    for fast, slow in zip(all_three(*problem, method), all_three(*problem, "loop"), strict=True):
        assert fast.dtype == slow.dtype == dtype
        np.testing.assert_allclose(fast, slow, rtol=0, atol=tolerance * max(1, abs(slow).max()))


@pytest.mark.parametrize("method", FAST)
@pytest.mark.parametrize(
    ("batch_size", "num_input_channels", "num_output_channels", "size", "kernel_size"),
    [
        (10, 1, 8, (28, 28), (5, 5)),
        (70, 1, 8, (28, 27), (5, 4)),  # more images than any method takes at once
        (3, 5, 10, (12, 17), (5, 2)),
        (2, 16, 32, (12, 12), (5, 5)),
    ],
)
def test_methods_agree_at_the_sizes_of_a_network(
    method, batch_size, num_input_channels, num_output_channels, size, kernel_size
):
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(batch_size, num_input_channels, *size))
    kernels = rng.normal(size=(num_output_channels, num_input_channels, *kernel_size))
    grads = rng.normal(size=conv.convolve(inputs, kernels).shape)
    slow = all_three(inputs, kernels, grads, "loop")
    for fast, expected in zip(all_three(inputs, kernels, grads, method), slow, strict=True):
        np.testing.assert_allclose(fast, expected, rtol=1e-10, atol=1e-10)


# ---- algebra ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=25)
@given(problem=problems())
def test_gradients_are_adjoint_to_the_outputs(method, problem):
    inputs, kernels, grads = problem
    outputs, grads_wrt_inputs, grads_wrt_kernels = all_three(*problem, method)
    product = np.vdot(outputs, grads)
    assert np.vdot(inputs, grads_wrt_inputs) == pytest.approx(product, rel=1e-9, abs=1e-9)
    assert np.vdot(kernels, grads_wrt_kernels) == pytest.approx(product, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=15)
@given(problem=problems(), factor=st.floats(-3, 3))
def test_linear_in_both_arguments(method, problem, factor):
    inputs, kernels, _ = problem
    outputs = conv.convolve(inputs, kernels, method)
    other = conv.convolve(inputs[::-1], kernels, method)
    mixed = conv.convolve(inputs + factor * inputs[::-1], kernels, method)
    np.testing.assert_allclose(mixed, outputs + factor * other, atol=1e-10)
    other = conv.convolve(inputs, kernels[::-1], method)
    mixed = conv.convolve(inputs, kernels + factor * kernels[::-1], method)
    np.testing.assert_allclose(mixed, outputs + factor * other, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=15)
@given(problem=problems())
def test_image_by_image_gives_the_batch(method, problem):
    inputs, kernels, grads = problem
    outputs, grads_wrt_inputs, grads_wrt_kernels = all_three(*problem, method)
    singles = [
        all_three(inputs[b : b + 1], kernels, grads[b : b + 1], method) for b in range(len(inputs))
    ]
    np.testing.assert_allclose(outputs, np.concatenate([s[0] for s in singles]), atol=1e-10)
    np.testing.assert_allclose(
        grads_wrt_inputs, np.concatenate([s[1] for s in singles]), atol=1e-10
    )
    np.testing.assert_allclose(grads_wrt_kernels, sum(s[2] for s in singles), atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=15)
@given(problem=problems(), down=st.integers(0, 3), right=st.integers(0, 3))
def test_shifted_images_give_shifted_outputs(method, problem, down, right):
    inputs, kernels, _ = problem
    # a frame of zeros, wide enough for the kernel and the shift, so that nothing wraps around
    frame = [(size - 1, size + 2) for size in kernels.shape[2:]]
    framed = np.pad(inputs, [(0, 0), (0, 0), *frame])
    shifted = np.roll(framed, (down, right), axis=(2, 3))
    outputs = conv.convolve(framed, kernels, method)
    expected = np.roll(outputs, (down, right), axis=(2, 3))
    np.testing.assert_allclose(conv.convolve(shifted, kernels, method), expected, atol=1e-10)


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
    rng = np.random.default_rng(3)
    inputs, ours = rng.normal(size=(3, 2, 6, 7)), rng.normal(size=(9, 2, 3, 4))
    grads = rng.normal(size=(3, 9, 4, 4))
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


# ---- compiled and not ------------------------------------------------------------------------


def called_by(monkeypatch, name, function):
    """Returns what the kernel of that name is called with, once, by the function."""
    calls, kernel = [], getattr(kernels, name)

    def note(*args):
        calls.append([np.copy(arg) for arg in args])
        kernel(*args)

    monkeypatch.setattr(kernels, name, note)
    function()
    monkeypatch.undo()
    return [a if a.ndim else a.item() for a in calls[0]]


@pytest.mark.skipif(not kernels.compiled(), reason="Numba is not installed")
@pytest.mark.parametrize(
    ("name", "operation", "method"),
    [
        ("correlate", 0, "direct"),
        ("correlate_grads", 2, "direct"),
        ("unfold", 0, "channels_last"),
        ("fold", 1, "channels_last"),
        ("fold_rows", 1, "im2col"),
    ],
)
@settings(
    deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(problem=problems(max_batch_size=2, max_size=6))
def test_kernels_do_the_same_compiled_and_as_they_are_written(
    monkeypatch, name, operation, method, problem
):
    inputs, ours, grads = problem
    call = (
        lambda: conv.convolve(inputs, ours, method),
        lambda: conv.grad_inputs(ours, grads, method),
        lambda: conv.grad_kernels(inputs, grads, method),
    )[operation]
    args = called_by(monkeypatch, name, call)
    copies = [np.copy(arg) if np.ndim(arg) else arg for arg in args]
    getattr(kernels, name)(*args)
    getattr(kernels, name).__wrapped__(*copies)
    for arg, copy in zip(args, copies, strict=True):
        np.testing.assert_allclose(arg, copy, rtol=1e-12, atol=1e-12, equal_nan=True)


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(problem=problems())
def test_folding_is_the_same_without_numba(monkeypatch, problem):
    _, ours, grads = problem
    here = conv.grad_inputs(ours, grads, "im2col")
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "compiled", lambda: False)
        there = conv.grad_inputs(ours, grads, "im2col")
    np.testing.assert_allclose(here, there, atol=1e-10)


# ---- dtypes and memory -----------------------------------------------------------------------


class Float32Only(np.ndarray):
    """What is computed from such an array is one again, unless it is float64: that fails."""

    def __array_finalize__(self, source):
        assert self.dtype != np.float64


@pytest.mark.parametrize("method", FAST)
def test_float32_never_becomes_float64_on_the_way(method):
    inputs, kernels, grads = (
        np.ones(shape, np.float32).view(Float32Only)
        for shape in [(6, 2, 9, 8), (3, 2, 4, 5), (6, 3, 6, 4)]
    )
    functions = conv.METHODS[method]
    assert functions.convolve(inputs, kernels).dtype == np.float32
    assert functions.grad_inputs(kernels, grads).dtype == np.float32
    assert functions.grad_kernels(inputs, grads).dtype == np.float32


def test_the_watch_on_float32_sees_float64():
    with pytest.raises(AssertionError):
        np.ones(3, np.float32).view(Float32Only) * np.ones(3)


@pytest.mark.parametrize("method", METHODS)
def test_common_dtype(method):
    inputs, kernels = np.ones((2, 1, 4, 4), np.float32), np.ones((1, 1, 2, 2))
    assert conv.convolve(inputs, kernels, method).dtype == np.float64
    grads = np.ones((2, 1, 3, 3))
    assert conv.grad_kernels(inputs, grads, method).dtype == np.float64
    assert conv.convolve(inputs.astype(np.uint8), kernels.astype(int), method).dtype == np.float64


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=10)
@given(problem=problems())
def test_arguments_are_left_alone_and_may_have_any_layout(method, problem):
    expected = all_three(*problem, method)
    transposed = [
        np.ascontiguousarray(array.transpose(3, 1, 0, 2)).transpose(2, 1, 3, 0) for array in problem
    ]
    for array in transposed:
        array.flags.writeable = False  # writing would raise
    results = all_three(*transposed, method)
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, value, atol=1e-10)
        assert result.flags.c_contiguous
        assert result.flags.writeable


# ---- the choice ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "kernels_shape", "compiled", "expected"),
    [
        (28, (1, 1, 5, 5), False, "toeplitz"),
        (28, (1, 1, 15, 15), False, "toeplitz"),
        (12, (10, 5, 5, 5), False, "toeplitz"),
        (28, (32, 1, 5, 5), False, "im2col"),
        (14, (8, 8, 1, 1), False, "im2col"),
        (28, (1, 1, 5, 5), True, "direct"),
        (28, (4, 1, 5, 5), True, "direct"),
        (28, (5, 1, 5, 5), True, "im2col"),
        (14, (8, 8, 1, 1), True, "im2col"),
        (12, (10, 5, 5, 5), True, "channels_last"),
        (12, (32, 16, 5, 5), True, "channels_last"),
    ],
)
def test_choice(width, kernels_shape, compiled, expected):
    assert conv.choose_method(width, kernels_shape, compiled) == expected


@pytest.mark.parametrize("compiled", [False, True])
def test_compiled_methods_are_chosen_where_loops_are_compiled(monkeypatch, compiled):
    monkeypatch.setattr(kernels, "compiled", lambda: compiled)
    assert (conv.choose_method(28, (1, 1, 5, 5)) in conv.COMPILED) == compiled


def test_compiled_methods_are_not_chosen_for_other_precisions():
    rng = np.random.default_rng(5)
    inputs, ours = rng.normal(size=(2, 1, 9, 9)), rng.normal(size=(1, 1, 3, 3))
    outputs = conv.convolve(inputs.astype(np.longdouble), ours)
    assert outputs.dtype == np.longdouble
    np.testing.assert_allclose(outputs, conv.convolve(inputs, ours), atol=1e-10)


@pytest.mark.parametrize("num_output_channels", [1, 32])
def test_default_is_the_choice(num_output_channels):
    rng = np.random.default_rng(4)
    inputs, kernels = (
        rng.normal(size=(2, 1, 28, 28)),
        rng.normal(size=(num_output_channels, 1, 5, 5)),
    )
    grads = rng.normal(size=(2, num_output_channels, 24, 24))
    chosen = conv.choose_method(28, kernels.shape)
    expected = all_three(inputs, kernels, grads, chosen)
    for result, value in zip(all_three(inputs, kernels, grads, None), expected, strict=True):
        np.testing.assert_array_equal(result, value)


# ---- refusals --------------------------------------------------------------------------------

INPUTS, KERNELS, GRADS = np.ones((4, 2, 6, 5)), np.ones((3, 2, 2, 3)), np.ones((4, 3, 5, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: conv.convolve(INPUTS[0], KERNELS),
            "inputs must have shape (batch_size, num_channels, height, width), without 0, "
            "got (2, 6, 5)",
        ),
        (
            lambda: conv.convolve(INPUTS, KERNELS[0, 0]),
            "kernels must have shape (num_output_channels, num_input_channels, kernel_height, "
            "kernel_width), without 0, got (2, 3)",
        ),
        (
            lambda: conv.grad_kernels(INPUTS, GRADS[:, :, :0]),
            "grads_wrt_outputs must have shape (batch_size, num_channels, height, width), "
            "without 0, got (4, 3, 0, 3)",
        ),
        (
            lambda: conv.convolve(INPUTS, KERNELS[:, :1]),
            "inputs and kernels must have the same number of input channels (axis 1 of both), "
            "got shapes (4, 2, 6, 5) and (3, 1, 2, 3)",
        ),
        (
            lambda: conv.grad_inputs(KERNELS, GRADS[:, :2]),
            "grads_wrt_outputs and kernels must have the same number of output channels (axis 1 "
            "and axis 0), got shapes (4, 2, 5, 3) and (3, 2, 2, 3)",
        ),
        (
            lambda: conv.grad_kernels(INPUTS, GRADS[:2]),
            "inputs and grads_wrt_outputs must have the same batch size (axis 0 of both), "
            "got shapes (4, 2, 6, 5) and (2, 3, 5, 3)",
        ),
        (
            lambda: conv.convolve(INPUTS, np.ones((1, 2, 7, 1))),
            "kernels must be at most as high and as wide as inputs, 6 x 5, "
            "got shapes (1, 2, 7, 1) and (4, 2, 6, 5)",
        ),
        (
            lambda: conv.grad_kernels(INPUTS, np.ones((4, 3, 5, 6))),
            "grads_wrt_outputs must be at most as high and as wide as inputs, 6 x 5, "
            "got shapes (4, 3, 5, 6) and (4, 2, 6, 5)",
        ),
        (
            lambda: conv.convolve(INPUTS, KERNELS, "fft"),
            "method must be one of loop, im2col, toeplitz, direct, channels_last, got 'fft'",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError) as refusal:
        call()
    assert str(refusal.value) == message


@pytest.mark.parametrize("method", sorted(conv.COMPILED))
def test_compiled_methods_are_refused_where_loops_are_not_compiled(monkeypatch, method):
    monkeypatch.setattr(kernels, "compiled", lambda: False)
    with pytest.raises(ValueError) as refusal:
        conv.convolve(INPUTS, KERNELS, method)
    assert str(refusal.value) == (
        f"method '{method}' needs compiled kernels (Numba, extra 'fast', not switched off by "
        "MLPCW_COMPILED) and float32 or float64, got float64"
    )
