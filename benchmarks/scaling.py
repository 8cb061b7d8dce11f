"""How times grow with the size of the work: batch, images, weights, channels, kernels.

Run as `python benchmarks/scaling.py`; it prints the slope of each line on logarithmic axes. 1 says
that the time grows in proportion.
"""

import functools

import numpy as np
from threadpoolctl import threadpool_limits
from timing import best_times, check_agreement
from training import LEARNING_RATE, MOM_COEFF, TOLERANCES, load_images

from mlpcw import conv
from mlpcw.data_providers import OneOfKDataProvider
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.initialisers import GlorotUniformInit
from mlpcw.layers import AffineLayer, ReluLayer
from mlpcw.learning_rules import MomentumLearningRule
from mlpcw.models import MultipleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.study.pages.measurements import Line, Series

DTYPE, NUM_IMAGES, BATCH_SIZE, HIDDEN_DIM = "float32", 5000, 50, 100
BATCH_SIZES = (10, 20, 50, 100, 200, 500, 1000)
NUMBERS_OF_IMAGES = (1000, 2500, 5000, 10_000, 25_000, 50_000)
HIDDEN_DIMS = (10, 30, 100, 300, 600, 1000)
CHANNELS = (1, 2, 4, 8, 16, 32)
CONVOLVED, SIDE = 100, 28
KERNEL_SIDES = (3, 5, 7, 10, 15, 20)


def optimiser(images, num_images=NUM_IMAGES, batch_size=BATCH_SIZE, hidden_dim=HIDDEN_DIM):
    """Trains 784-hidden-hidden-10 on the first images."""
    rng = np.random.default_rng(0)
    init = GlorotUniformInit(0.5, rng)
    layers = [AffineLayer(784, hidden_dim, init), ReluLayer()]
    layers += [AffineLayer(hidden_dim, hidden_dim, init), ReluLayer()]
    model = MultipleLayerModel([*layers, AffineLayer(hidden_dim, 10, init)]).astype(DTYPE)
    inputs, labels = images.split("train")
    train = OneOfKDataProvider(inputs[:num_images], labels[:num_images], batch_size, rng=rng)
    rule = MomentumLearningRule(LEARNING_RATE, MOM_COEFF)
    return Optimiser(model, CrossEntropySoftmaxError(), rule, train)


def timed(images, name, sizes):
    """CPU seconds of an epoch at each size of what is named."""
    found = {size: optimiser(images, **{name: size}) for size in sizes}
    times = best_times({size: each.do_training_epoch for size, each in found.items()})
    return [times[size] for size in sizes], found


def affine_series(images):
    """Series of affine networks: batch size, number of images, number of weights."""
    by_batch, _ = timed(images, "batch_size", BATCH_SIZES)
    by_images, _ = timed(images, "num_images", NUMBERS_OF_IMAGES)
    by_weights, found = timed(images, "hidden_dim", HIDDEN_DIMS)
    num_weights = [sum(p.size for p in found[dim].model.params) for dim in HIDDEN_DIMS]
    num_updates = NUM_IMAGES // BATCH_SIZE
    return [
        series("Batch size", "images in a batch", "µs an image", BATCH_SIZES,
               [seconds / NUM_IMAGES * 1e6 for seconds in by_batch]),
        series("Images", "images in an epoch", "s an epoch", NUMBERS_OF_IMAGES, by_images),
        series("Weights", "weights of the network", "µs an update", num_weights,
               [seconds / num_updates * 1e6 for seconds in by_weights]),
    ]  # fmt: skip


def series(title, x_label, y_label, x, y):
    """A series of one line."""
    line = Line(name="", x=tuple(map(float, x)), y=tuple(y))
    return Series(title=title, x_label=x_label, y_label=y_label, lines=(line,))


def convolution_series():
    """Series of convolutions, all three operations, a line a method: channels, kernel size."""
    return [
        Series(title=title, x_label=x_label, y_label="ms a batch", lines=lines(kernels_shapes))
        for title, x_label, kernels_shapes in (
            ("Channels", "output channels", {size: (size, 1, 5, 5) for size in CHANNELS}),
            (
                "Kernel size",
                "side of the kernel, pixels",
                {size: (1, 1, size, size) for size in KERNEL_SIDES},
            ),
        )
    ]


def lines(kernels_shapes):
    """A line a method, over kernels of several shapes."""
    methods = [name for name in conv.METHODS if name != "loop"]
    times = [best_times(by_method(shape, methods)) for shape in kernels_shapes.values()]
    chosen = [conv.choose_method(SIDE, shape) for shape in kernels_shapes.values()]
    return tuple(
        Line(
            name=method,
            x=tuple(map(float, kernels_shapes)),
            y=tuple(each[method] * 1e3 for each in times),
            chosen=tuple(name == method for name in chosen),
        )
        for method in methods
    )


def by_method(kernels_shape, methods):
    """All three operations of a convolution, by method, after a check that the methods agree."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(CONVOLVED, kernels_shape[1], SIDE, SIDE)).astype(DTYPE)
    kernels = rng.normal(size=kernels_shape).astype(DTYPE)
    grads = conv.convolve(inputs, kernels)

    def operations(method):
        return (
            conv.convolve(inputs, kernels, method),
            conv.grad_inputs(kernels, grads, method),
            conv.grad_kernels(inputs, grads, method),
        )

    for method in methods[1:]:
        pairs = zip(operations(method), operations(methods[0]), strict=True)
        for result, expected in pairs:
            check_agreement(f"{kernels_shape}, {method}", result, expected, TOLERANCES[DTYPE])
    return {method: functools.partial(operations, method) for method in methods}


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        for each in affine_series(load_images()) + convolution_series():
            print(f"{each.title}: {each.y_label} by {each.x_label}")
            for line in each.lines:
                values = " ".join(f"{value:.3g}" for value in line.y)
                print(f"    {line.name:10}slope {line.slope:5.2f}: {values}")
