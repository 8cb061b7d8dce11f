"""What compiled kernels earn where there are convolutions: the same calls with them and without.

Run as `python benchmarks/compiled.py`. It first checks that both agree. With `--first-calls` it
prints the seconds that the first call of each takes in this process, as JSON, and that of importing
Numba.
"""

import json
import sys
import time
from collections.abc import Callable

import convnet
import numpy as np
import training
from timing import best_times, check_agreement

from mlpcw import augmenters, compiled, conv, mnist
from mlpcw.layers import MaxPooling2DLayer

NUM_IMAGES, SIDE, DTYPE, TOLERANCE = 500, 28, "float32", 1e-4
CONVOLUTIONS = {"1 → 1": (100, 1, 1, 28, 5), "1 → 8": (100, 1, 8, 28, 5)}
CONVOLUTIONS["16 → 32"] = (100, 16, 32, 12, 5)


def augmentations() -> dict[str, Callable[[], list[np.ndarray]]]:
    """Calls of augmenters, by name; `augmentation.py` times them without kernels too."""
    rng = np.random.default_rng(1)
    images = rng.random((NUM_IMAGES, SIDE, SIDE), dtype=DTYPE)
    noise = rng.random((NUM_IMAGES, 2, SIDE, SIDE), dtype=DTYPE) * 2 - 1
    angles, offsets = rng.uniform(-30, 30, NUM_IMAGES), rng.uniform(-4, 4, (NUM_IMAGES, 2))
    return {
        "elastic distortion": lambda: [
            augmenters.distort(images, augmenters.displacement_fields(noise, 34.0, 4.0))
        ],
        "rotation": lambda: [augmenters.rotate(images, angles)],
        "spline shift": lambda: [augmenters.shift(images, offsets)],
    }


def convolutions() -> dict[str, Callable[[], list[np.ndarray]]]:
    """Calls of what a convolutional network is made of, by name."""
    rng = np.random.default_rng(1)
    found = {"max-pooling 2 × 2": _pooling(rng)}
    for name, shape in CONVOLUTIONS.items():
        found[f"convolution {name}"] = _convolution(rng, *shape)
    return found


def _pooling(rng: np.random.Generator) -> Callable[[], list[np.ndarray]]:
    layer = MaxPooling2DLayer(2)
    inputs = rng.normal(size=(100, 8, 24, 24)).astype(DTYPE)
    outputs = layer.fprop(inputs)
    return lambda: [layer.fprop(inputs), layer.bprop(inputs, outputs, outputs)]


def _convolution(
    rng: np.random.Generator, batch: int, channels: int, maps: int, side: int, kernel_side: int
) -> Callable[[], list[np.ndarray]]:
    inputs = rng.normal(size=(batch, channels, side, side)).astype(DTYPE)
    weights = rng.normal(size=(maps, channels, kernel_side, kernel_side)).astype(DTYPE)
    grads = conv.convolve(inputs, weights)
    return lambda: [
        conv.convolve(inputs, weights),
        conv.grad_inputs(weights, grads),
        conv.grad_kernels(inputs, grads),
    ]


class _Switch:
    """Stands in for `kernels.compiled` and counts who asks."""

    def __init__(self, answer: bool) -> None:
        self.answer, self.num_asked = answer, 0

    def __call__(self) -> bool:
        self.num_asked += 1
        return self.answer


def without_kernels(call: Callable) -> Callable:
    """The same call, told that there is no compiler."""
    switch, asked = _Switch(False), compiled.enabled

    def numpy_way() -> list[np.ndarray]:
        compiled.enabled = switch
        try:
            return call()
        finally:
            compiled.enabled = asked

    numpy_way.switch = switch
    return numpy_way


def measure() -> dict[str, tuple[float, float]]:
    """CPU seconds with kernels and without, by name, of those calls that have one."""
    times = {}
    if not compiled.enabled():
        return times
    for name, call in convolutions().items():
        numpy_way = without_kernels(call)
        expected = numpy_way()
        if not numpy_way.switch.num_asked:
            continue
        for result, other in zip(call(), expected, strict=True):
            check_agreement(name, result, other, TOLERANCE)
        found = best_times({"compiled": call, "NumPy": numpy_way})
        times[name] = found["compiled"], found["NumPy"]
    return times


def one_update(script) -> Callable[[], None]:
    """The first update of the network of a script."""
    optimiser = script.optimiser(mnist.digits(), DTYPE)
    optimiser.train_dataset = [next(optimiser.train_dataset)]
    return optimiser.do_training_epoch


def first_calls() -> dict[str, float]:
    """Seconds, by the clock, of importing Numba, and that first calls take longer than second ones.

    Returns:
        "import" and "calls"; nothing where there is no compiler.
    """
    if not compiled.enabled():
        return {}
    start = time.perf_counter()
    compiled._numba()
    imported = time.perf_counter() - start
    first, second = call_all(), call_all()
    return {"import": imported, "calls": first - second}


def call_all() -> float:
    """Seconds, by the clock, to call everything that has kernels."""
    start = time.perf_counter()
    works = augmentations() | convolutions()
    works |= {"update": one_update(training), "convolutional update": one_update(convnet)}
    for call in works.values():
        call()
    return time.perf_counter() - start


if __name__ == "__main__":
    if sys.argv[1:] == ["--first-calls"]:
        print(json.dumps(first_calls()))
    else:
        print(f"{DTYPE}, CPU us per call: compiled, NumPy's way, ratio")
        for name, (ours, other) in measure().items():
            print(f"    {name:24}{ours * 1e6:9.1f}{other * 1e6:9.1f}{other / ours:7.1f} x")
