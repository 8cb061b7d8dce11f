"""How fast convolution and max-pooling are: against PyTorch and the report's loop, on one thread.

Run as `python benchmarks/convolution.py`. It checks that all ways agree before it times them.
PyTorch is left out where it is not installed. `rows()` returns what is printed first, as dicts.
"""

import argparse
from unittest import mock

import numpy as np
from timing import best_times, check_agreement

from mlpcw import compiled, conv, layers

try:
    import torch
except ImportError:
    torch = None

OPERATIONS = ("forward", "grad inputs", "grad kernels")
TRAINING_OF_KERNELS = ("forward", "grad kernels")  # what a step needs of the lowest layer
TOLERANCES = {"float64": 1e-10, "float32": 1e-4}

# batch size, input channels, output channels, height and width, kernel height and width
TARGETS = [  # operations, dtype, and how many times as fast as PyTorch and as the report's loop
    ((100, 1, 1, 28, 5), TRAINING_OF_KERNELS, "float32", 3, 50),
    ((100, 1, 1, 28, 10), TRAINING_OF_KERNELS, "float32", 3, 50),
    ((100, 1, 1, 28, 15), TRAINING_OF_KERNELS, "float32", 3, 50),
    ((100, 1, 4, 28, 5), TRAINING_OF_KERNELS, "float32", 1.2, None),
    ((100, 1, 8, 28, 5), TRAINING_OF_KERNELS, "float32", 1.2, None),
    ((100, 5, 10, 12, 5), OPERATIONS, "float32", 1.0, None),
    ((100, 16, 32, 12, 5), OPERATIONS, "float32", 1.0, None),
    ((100, 1, 8, 28, 5), OPERATIONS, "float64", None, 20),
]
METHOD_IN_TURN = [
    (100, 1, 1, 28, 5),
    (100, 1, 1, 28, 10),
    (100, 1, 1, 28, 15),
    (100, 1, 4, 28, 5),
    (100, 1, 8, 28, 5),
    (100, 1, 32, 28, 5),
    (100, 3, 16, 32, 5),
    (100, 4, 8, 24, 3),
    (100, 8, 4, 14, 5),
    (100, 5, 10, 12, 5),
    (100, 16, 32, 12, 5),
    (100, 8, 16, 14, 3),
    (100, 32, 64, 8, 3),
    (100, 8, 8, 14, 1),
]


# ---- rows: ours, and one other beside it ------------------------------------------------------


def rows():
    """Returns what is compared with PyTorch and the report's loop, and what there is to reach.

    Returns:
        Dicts with the keys "work", "dtype", "other" (the name of what ours is compared with),
        "ours_ms" and "other_ms" (CPU milliseconds), "ratio" (how many times as fast ours is) and
        "to_reach" (a ratio, or None).
    """
    return [*convolution_rows(), *pooling_rows(), *network_rows()]


def convolution_rows():
    found = []
    for shape, operations, dtype, torch_to_reach, loop_to_reach in TARGETS:
        arguments = problem(shape, dtype)
        ways = {"ours": by_method(arguments, operations, None)}
        if loop_to_reach is not None:
            ways["the report's loop"] = by_method(arguments, operations, "loop")
        if torch is not None:
            ways["PyTorch"] = by_torch(arguments, operations)
        to_reach = {"PyTorch": torch_to_reach, "the report's loop": loop_to_reach}
        work = f"{describe(shape)}, {' + '.join(operations)}"
        found += compare(work, dtype, ways, to_reach)
    return found


def pooling_rows():
    """Max-pooling, forward and backward: beside PyTorch, and with a row of values a window."""
    found = []
    layer = layers.MaxPooling2DLayer(2)
    for dtype in TOLERANCES:
        rng = np.random.default_rng(2)
        inputs = np.maximum(rng.normal(size=(100, 8, 24, 24)), 0).astype(dtype)
        grads = rng.normal(size=(100, 8, 12, 12)).astype(dtype)

        def ours(inputs=inputs, grads=grads):
            outputs = layer.fprop(inputs)
            return outputs, layer.bprop(inputs, outputs, grads)

        def windows(inputs=inputs, grads=grads):
            outputs = layer._windows(inputs).max(axis=-1)
            with mock.patch.object(compiled, "enabled", lambda: False):
                return outputs, layer.bprop(inputs, outputs, grads)

        ways = {"ours": ours, "windows as rows": windows}
        if torch is not None:
            images = torch.tensor(inputs, requires_grad=True)
            grads = torch.from_numpy(grads)

            def pytorch(images=images, grads=grads):
                outputs = torch.nn.functional.max_pool2d(images, 2)
                return outputs.detach(), *torch.autograd.grad(outputs, [images], grads)

            ways["PyTorch"] = pytorch
        found += compare("2 x 2 max-pool of 100 x 8 x 24 x 24, both ways", dtype, ways, {})
    return found


def network_rows():
    """The layers of a small network, each called as in a step of training, without the step."""
    if torch is None:
        return []
    dtype, rng = "float32", np.random.default_rng(3)
    network = [
        layers.ConvolutionalLayer(1, 8, 28, 28, 5, 5),
        layers.ReluLayer(),
        layers.MaxPooling2DLayer(2),
        layers.ReshapeLayer(),
        layers.AffineLayer(8 * 12 * 12, 100),
        layers.ReluLayer(),
        layers.AffineLayer(100, 10),
    ]
    with_params = [layer for layer in network if isinstance(layer, layers.LayerWithParameters)]
    for layer in with_params:
        layer.params = [np.asarray(param, dtype, order="K") for param in layer.params]
    inputs = rng.uniform(size=(100, 1, 28, 28)).astype(dtype)
    grads_wrt_outputs = rng.normal(size=(100, 10)).astype(dtype)

    def ours():
        activations = [inputs]
        for layer in network:
            activations.append(layer.fprop(activations[-1]))
        grads, grads_wrt_params = grads_wrt_outputs, []
        for i, layer in reversed(list(enumerate(network))):
            if layer in with_params:
                grads_wrt_params[:0] = layer.grads_wrt_params(activations[i], grads)
            if i > 0:
                grads = layer.bprop(activations[i], activations[i + 1], grads)
        return activations[-1], *grads_wrt_params

    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 12 * 12, 100),
        torch.nn.ReLU(),
        torch.nn.Linear(100, 10),
    )
    with torch.no_grad():
        params = [param for layer in with_params for param in layer.params]
        for param, value in zip(model.parameters(), params, strict=True):
            param.copy_(torch.tensor(unflipped(value)))
    images, grads = torch.from_numpy(inputs), torch.from_numpy(grads_wrt_outputs)

    def pytorch():
        outputs = model(images)
        found = torch.autograd.grad(outputs, list(model.parameters()), grads)
        return outputs.detach(), *(torch.from_numpy(unflipped(grad.numpy())) for grad in found)

    work = "the layers of 8 maps 5 x 5, max-pool, 100, 10; 100 images 28 x 28, forward + gradients"
    return compare(work, dtype, {"ours": ours, "PyTorch": pytorch}, {"PyTorch": 1.2})


def compare(work, dtype, ways, to_reach):
    """Checks that all ways agree with the first, which is ours; returns a row for each other."""
    results = {name: [np.asarray(result) for result in way()] for name, way in ways.items()}
    for name in list(ways)[1:]:
        for i, (ours, other) in enumerate(zip(results["ours"], results[name], strict=True)):
            check_agreement(f"{work}, {dtype}, {name}, {i}", ours, other, TOLERANCES[dtype])
    times = best_times(ways)
    return [
        {
            "work": work,
            "dtype": dtype,
            "other": name,
            "ours_ms": times["ours"] * 1e3,
            "other_ms": times[name] * 1e3,
            "ratio": times[name] / times["ours"],
            "to_reach": to_reach.get(name),
        }
        for name in list(ways)[1:]
    ]


# ---- the same work, several ways --------------------------------------------------------------


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


def by_method(arguments, operations, method):
    """Returns a function that does the named operations by a method; None is the one chosen."""
    functions = dict(
        zip(OPERATIONS, (conv.convolve, conv.grad_inputs, conv.grad_kernels), strict=True)
    )
    return lambda: [functions[name](*arguments[name], method) for name in operations]


def by_torch(arguments, operations):
    """Returns a function that does the named operations, the forward one among them, by PyTorch."""
    inputs, kernels = arguments["forward"]
    images = torch.tensor(inputs, requires_grad="grad inputs" in operations)
    weights = torch.tensor(unflipped(kernels), requires_grad=True)
    grads = torch.from_numpy(arguments["grad kernels"][1])
    wanted = [{"grad inputs": images, "grad kernels": weights}[name] for name in operations[1:]]

    def step():
        outputs = torch.nn.functional.conv2d(images, weights)
        *others, grads_wrt_kernels = torch.autograd.grad(outputs, wanted, grads)
        return outputs.detach(), *others, grads_wrt_kernels.flip(2, 3)

    return step


def unflipped(param):
    """Returns kernels as PyTorch has them, which does not flip them; other parameters as is."""
    return param[:, :, ::-1, ::-1].copy() if param.ndim == 4 else param


def describe(shape):
    batch_size, num_input_channels, num_output_channels, size, kernel_size = shape
    return (
        f"{batch_size} images {size} x {size}, {num_input_channels} -> {num_output_channels}, "
        f"kernel {kernel_size} x {kernel_size}"
    )


# ---- what is printed --------------------------------------------------------------------------


def print_rows(dtypes):
    print("Ours and others, CPU ms per call, and how many times as fast ours is")
    for row in rows():
        if row["dtype"] in dtypes:
            print(
                f"  {row['work']}, {row['dtype']}\n    {row['ours_ms']:8.3f}  {row['other']:18}"
                f"{row['other_ms']:9.3f}{row['ratio']:7.2f} x"
                + (f"  (to reach: {row['to_reach']} x)" if row["to_reach"] else "")
            )
    if torch is None:
        print("  PyTorch is not installed.")


def print_methods_in_turn(dtype, with_kernels):
    """Prints the time of each method and the choice, with compiled loops or as without Numba."""
    methods = [
        name
        for name in conv.METHODS
        if name != "loop" and (with_kernels or name not in conv.COMPILED)
    ]
    kind = "with" if with_kernels else "without"
    print(f"All three operations, {dtype}, {kind} compiled loops, CPU ms per call")
    print(f"    {'':42}", *(f"{name:>13}" for name in methods), " chosen, its time / the best time")
    for shape in METHOD_IN_TURN:
        _, num_input_channels, num_output_channels, size, kernel_size = shape
        kernels_shape = (num_output_channels, num_input_channels, kernel_size, kernel_size)
        arguments = problem(shape, dtype)
        ways = {name: by_method(arguments, OPERATIONS, name) for name in methods}
        with mock.patch.object(compiled, "enabled", lambda: with_kernels):
            chosen = conv.choose_method(size, kernels_shape)
            expected = ways["im2col"]()
            for name, way in ways.items():
                for operation, result, other in zip(OPERATIONS, way(), expected, strict=True):
                    work = f"{describe(shape)} {dtype}, {name}, {operation}"
                    check_agreement(work, result, other, TOLERANCES[dtype])
            times = best_times(ways)
        print(
            f"    {describe(shape):42}",
            *(f"{times[name] * 1e3:13.2f}" for name in methods),
            f" {chosen:14}{times[chosen] / min(times.values()):.2f}",
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=TOLERANCES, nargs="+", default=list(TOLERANCES))
    dtypes = parser.parse_args().dtype
    if torch is not None:
        torch.set_num_threads(1)
    print_rows(dtypes)
    for dtype in dtypes:
        for with_kernels in [True, False] if compiled.enabled() else [False]:
            print_methods_in_turn(dtype, with_kernels)
