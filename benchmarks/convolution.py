"""How fast convolution and max-pooling are: against PyTorch and the report's loop.

PyTorch is optional. It is checked that all compute the same before they are timed.
"""

from typing import NamedTuple

import numpy as np
from peers import flipped, torch
from timing import TOLERANCES, Peer, check_agreement, compare, without_kernels

from mlpcw import compiled, conv
from mlpcw.layers import MaxPooling2DLayer
from mlpcw.study.pages.measurements import Work

OPERATIONS = ("forward", "grad inputs", "grad kernels")
TRAINING_OF_KERNELS = ("forward", "grad kernels")  # what a step needs of the lowest layer
LOOPS = (
    "compiled loops use half the width of the processor's vectors, and copying images into their"
    " layout and back takes time of its own; two maps at once, other numbers of taps and images as"
    " flat rows were no faster"
)
COPYING = (
    "half of it is copying patches of the images; compiled copying and the compiled loops of fewer"
    " maps were no faster"
)


class Problem(NamedTuple):
    """A convolution of images by kernels, both square."""

    num_images: int
    num_input_channels: int
    num_output_channels: int
    side: int
    kernel_side: int
    operations: tuple[str, ...] = OPERATIONS
    dtype: str = "float32"

    def work(self) -> Work:
        """Its words."""
        subject = f"{self.num_input_channels} → {self.num_output_channels}"
        subject += f", {self.kernel_side} × {self.kernel_side}"
        subject += ", all three" if self.operations == OPERATIONS else ""
        shape = f"{self.num_images} images {self.side} × {self.side}"
        shape += f", {' + '.join(self.operations)}"
        return Work(subject=subject, shape=shape, dtype=self.dtype, per="batch")

    def flops(self) -> int:
        """Its operations."""
        outputs = self.num_output_channels * (self.side - self.kernel_side + 1) ** 2
        products = self.num_images * self.num_input_channels * outputs * self.kernel_side**2
        return 2 * products * len(self.operations)

    def arguments(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The arguments of each operation."""
        rng, output_side = np.random.default_rng(1), self.side - self.kernel_side + 1
        inputs, kernels, grads = (
            rng.normal(size=(*axes, side, side)).astype(self.dtype)
            for *axes, side in (
                (self.num_images, self.num_input_channels, self.side),
                (self.num_output_channels, self.num_input_channels, self.kernel_side),
                (self.num_images, self.num_output_channels, output_side),
            )
        )
        pairs = (inputs, kernels), (kernels, grads), (inputs, grads)
        return dict(zip(OPERATIONS, pairs, strict=True))

    def by_method(self, method=None):
        """A function that does the operations by a method; None is the method chosen."""
        functions = conv.convolve, conv.grad_inputs, conv.grad_kernels
        functions = dict(zip(OPERATIONS, functions, strict=True))
        arguments = self.arguments()
        return lambda: [functions[name](*arguments[name], method) for name in self.operations]

    def by_torch(self):
        """A function that does the operations by PyTorch."""
        arguments = self.arguments()
        inputs, kernels = arguments["forward"]
        images = torch.tensor(inputs, requires_grad="grad inputs" in self.operations)
        weights = torch.tensor(flipped(kernels).copy(), requires_grad=True)
        grads = torch.from_numpy(arguments["grad kernels"][1])
        wanted = [{"grad inputs": images, "grad kernels": weights}[n] for n in self.operations[1:]]

        def step():
            outputs = torch.nn.functional.conv2d(images, weights)
            *others, grads_wrt_kernels = torch.autograd.grad(outputs, wanted, grads)
            return outputs.detach(), *others, grads_wrt_kernels.flip(2, 3)

        return step


TARGETS = (  # problem, how many times as fast as PyTorch and why not, as the report's loop
    (Problem(100, 1, 1, 28, 5, TRAINING_OF_KERNELS), 3, "", 50),
    (Problem(100, 1, 1, 28, 10, TRAINING_OF_KERNELS), 3, "", 50),
    (Problem(100, 1, 1, 28, 15, TRAINING_OF_KERNELS), 3, "", 50),
    (Problem(100, 1, 4, 28, 5, TRAINING_OF_KERNELS), 1.2, "", None),
    (Problem(100, 1, 8, 28, 5, TRAINING_OF_KERNELS), 1.2, COPYING, None),
    (Problem(100, 5, 10, 12, 5), 1.0, "", None),
    (Problem(100, 1, 8, 28, 5, dtype="float64"), None, "", 20),
)


def rows(images, rates):
    """Rows of convolution and of max-pooling; `rates` as in `training.rows`."""
    for problem, torch_at_least, bound, loop_at_least in TARGETS:
        peers = []
        if loop_at_least is not None:
            peers.append(
                Peer("report's loop", "2016", problem.by_method("loop"), loop_at_least, LOOPS)
            )
        if torch:
            peers.append(Peer("PyTorch", "pytorch", problem.by_torch(), torch_at_least, bound))
        gemm = "SGEMM" if problem.dtype == "float32" else "DGEMM"
        least = problem.flops() / rates[gemm]
        yield from checked(problem.work(), problem.by_method(), peers, gemm, least)
    for dtype in TOLERANCES if torch else ():
        work, run, inputs, grads = pooling(dtype)
        batch = torch.tensor(inputs, requires_grad=True)
        above = torch.from_numpy(grads)

        def pytorch(batch=batch, above=above):
            outputs = torch.nn.functional.max_pool2d(batch, 2)
            return outputs.detach(), *torch.autograd.grad(outputs, [batch], above)

        yield from checked(work, run, [Peer("PyTorch", "pytorch", pytorch)])


def kernel_rows(images, rates):
    """Rows of the same with compiled kernels and without."""
    if not compiled.enabled():
        return
    for num_maps in (1, 8):
        problem = Problem(100, 1, num_maps, 28, 5)
        run = problem.by_method()
        yield from checked(problem.work(), run, [without_kernels(run)])
    work, run, *_ = pooling("float32")
    yield from checked(work, run, [without_kernels(run)])


def pooling(dtype):
    """The work, a function that does it, the inputs and the gradients of 2 × 2 max-pooling."""
    layer, rng = MaxPooling2DLayer(2), np.random.default_rng(2)
    inputs = np.maximum(rng.normal(size=(100, 8, 24, 24)), 0).astype(dtype)
    grads = rng.normal(size=(100, 8, 12, 12)).astype(dtype)

    def run():
        outputs = layer.fprop(inputs)
        return outputs, layer.bprop(inputs, outputs, grads)

    shape = "100 × 8 maps 24 × 24, forward + backward"
    work = Work(subject="2 × 2 max-pooling", shape=shape, dtype=dtype, per="batch")
    return work, run, inputs, grads


def checked(work, run, peers, *limit):
    """The rows of `compare`, after a check that the peers compute the same."""
    expected = [np.asarray(array) for array in run()]
    for peer in peers:
        for result, array in zip(peer.run(), expected, strict=True):
            name = f"{work}, {peer.name}"
            check_agreement(name, np.asarray(result), array, TOLERANCES[work.dtype])
    return compare(work, run, peers, *limit)
