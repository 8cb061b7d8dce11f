"""How fast the convolutions are: against the report's loop, and the two fast methods in turn.

Run as `python benchmarks/convolution.py`. It first checks that all methods agree.
"""

import argparse

import numpy as np
from timing import best_times, check_agreement

from mlpcw import conv

OPERATIONS = ("forward", "grad inputs", "grad kernels")
TOLERANCES = {"float64": 1e-10, "float32": 1e-4}

# batch size, input channels, output channels, height and width, kernel height and width
HEADLINE = (100, 1, 8, 28, 5)
AGAINST_LOOP = [(100, 1, 1, 28, 5), (100, 1, 1, 28, 10), (100, 1, 1, 28, 15), HEADLINE]
METHOD_IN_TURN = [
    *AGAINST_LOOP,
    (100, 1, 4, 28, 5),
    (100, 1, 32, 28, 5),
    (100, 5, 10, 12, 5),
    (100, 16, 32, 12, 5),
    (100, 8, 16, 14, 3),
    (100, 32, 64, 8, 3),
    (100, 8, 8, 14, 1),
]


def problem(shape, dtype):
    """Returns the arguments of each operation, by its name."""
    batch_size, num_input_channels, num_output_channels, size, kernel_size = shape
    output_size = size - kernel_size + 1
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(batch_size, num_input_channels, size, size)).astype(dtype)
    kernels = rng.normal(
        size=(num_output_channels, num_input_channels, kernel_size, kernel_size)
    ).astype(dtype)
    grads = rng.normal(size=(batch_size, num_output_channels, output_size, output_size))
    grads = grads.astype(dtype)
    arguments = (inputs, kernels), (kernels, grads), (inputs, grads)
    return dict(zip(OPERATIONS, arguments, strict=True))


def compare(shape, dtype, methods):
    """Checks that methods agree; returns their CPU seconds by method and operation."""
    arguments = problem(shape, dtype)
    functions = (conv.convolve, conv.grad_inputs, conv.grad_kernels)
    times = {}
    for operation, function in zip(OPERATIONS, functions, strict=True):
        calls = {
            method: lambda function=function, operation=operation, method=method: function(
                *arguments[operation], method
            )
            for method in methods
        }
        expected = calls[methods[0]]()
        for method in methods[1:]:
            name = f"{describe(shape)} {dtype}, {method}, {operation}"
            check_agreement(name, calls[method](), expected, TOLERANCES[dtype])
        for method, seconds in best_times(calls).items():
            times[method, operation] = seconds
    for method in methods:
        times[method, "all"] = sum(times[method, operation] for operation in OPERATIONS)
    return times


def describe(shape):
    batch_size, num_input_channels, num_output_channels, size, kernel_size = shape
    return (
        f"{batch_size} images {size} x {size}, {num_input_channels} -> {num_output_channels}, "
        f"kernel {kernel_size} x {kernel_size}"
    )


def chosen(shape):
    _, num_input_channels, num_output_channels, size, kernel_size = shape
    return conv.choose_method(
        size, (num_output_channels, num_input_channels, kernel_size, kernel_size)
    )


def print_against_loop(dtype):
    print(f"The report's loop and the fast method, {dtype}, CPU ms per call, and their ratio")
    for shape in AGAINST_LOOP:
        fast = chosen(shape)
        times = compare(shape, dtype, ["loop", fast])
        print(f"  {describe(shape)} ({fast})")
        for operation in (*OPERATIONS, "all"):
            slow, quick = times["loop", operation], times[fast, operation]
            print(
                f"    {operation:13}{slow * 1e3:9.2f}{quick * 1e3:8.2f}{slow / quick:7.0f} x"
                + ("  (to reach: 20 x)" if (shape, operation) == (HEADLINE, "all") else "")
            )


def print_methods_in_turn(dtype):
    methods = ["im2col", "toeplitz"]
    print(f"Both fast methods, {dtype}, all three operations, CPU ms per call")
    print(f"    {'':48}{methods[0]:>8}{methods[1]:>10}  chosen    its time / the better time")
    for shape in METHOD_IN_TURN:
        times = compare(shape, dtype, methods)
        im2col, toeplitz = (times[method, "all"] for method in methods)
        ratio = times[chosen(shape), "all"] / min(im2col, toeplitz)
        print(
            f"    {describe(shape):48}{im2col * 1e3:8.2f}{toeplitz * 1e3:10.2f}"
            f"  {chosen(shape):10}{ratio:.2f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=TOLERANCES, nargs="+", default=list(TOLERANCES))
    for dtype in parser.parse_args().dtype:
        print_against_loop(dtype)
        print_methods_in_turn(dtype)
