"""How times grow with the size of the work: batch, images, weights, channels, kernels."""

from convolution import Problem
from timing import TOLERANCES, best_times, check_agreement, digits
from training import affine

from mlpcw import conv, mnist
from mlpcw.study.pages.measurements import Line, Series

NUM_IMAGES, BATCH_SIZE, HIDDEN_DIM, SIDE = 5000, 50, 100, 28
BATCH_SIZES = (10, 20, 50, 100, 200, 500, 1000)
NUMBERS_OF_IMAGES = (1000, 2500, 5000, 10_000, 25_000, 50_000)
HIDDEN_DIMS = (10, 30, 100, 300, 600, 1000)
CHANNELS = (1, 2, 4, 8, 16, 32)
KERNEL_SIDES = (3, 5, 7, 10, 15, 20)


def optimiser(images, num_images=NUM_IMAGES, batch_size=BATCH_SIZE, hidden_dim=HIDDEN_DIM):
    """Trains 784-hidden-hidden-10 in float32 on the first images."""
    inputs, labels = images.split("train")
    splits = {"train": (inputs[:num_images], labels[:num_images]), "valid": images.split("valid")}
    first, dims = mnist.ImageSet(images.name, "", splits), (784, hidden_dim, hidden_dim, 10)
    return affine(first, "float32", dims=dims, batch_size=batch_size)


def series(images, rates):
    """All series; `rates` is not used."""
    for title, x_label, y_label, name, sizes, factor in (
        ("Batch size", "images in a batch", "µs an image", "batch_size", BATCH_SIZES,
         1e6 / NUM_IMAGES),
        ("Images", "images in an epoch", "s an epoch", "num_images", NUMBERS_OF_IMAGES, 1.0),
        ("Weights", "weights of the network", "µs an update", "hidden_dim", HIDDEN_DIMS,
         1e6 / (NUM_IMAGES // BATCH_SIZE)),
    ):  # fmt: skip
        optimisers = [optimiser(images, **{name: size}) for size in sizes]
        times = best_times([each.do_training_epoch for each in optimisers])
        if name == "hidden_dim":
            sizes = [sum(param.size for param in each.model.params) for each in optimisers]
        lines = (line("", sizes, [factor * seconds for seconds in times]),)
        yield Series(title=title, x_label=x_label, y_label=y_label, lines=lines)
    for title, x_label, sizes, problems in (
        ("Channels", "output channels", CHANNELS, [Problem(100, 1, n, SIDE, 5) for n in CHANNELS]),
        ("Kernel size", "side of the kernel, pixels", KERNEL_SIDES,
         [Problem(100, 1, 1, SIDE, side) for side in KERNEL_SIDES]),
    ):  # fmt: skip
        lines = tuple(method_lines(sizes, problems))
        yield Series(title=title, x_label=x_label, y_label="ms a batch", lines=lines)


def line(name, x, y, chosen=None):
    return Line(name=name, x=tuple(map(float, x)), y=tuple(map(digits, y)), chosen=chosen)


def method_lines(sizes, problems):
    """A line a method of convolution, all three operations, after a check that they agree."""
    methods = [name for name in conv.METHODS if name != "loop"]
    times = []
    for problem in problems:
        calls = [problem.by_method(method) for method in methods]
        for call in calls[1:]:
            for result, expected in zip(call(), calls[0](), strict=True):
                check_agreement(str(problem), result, expected, TOLERANCES[problem.dtype])
        times.append(best_times(calls))
    chosen = [
        conv.choose_method(
            SIDE, (p.num_output_channels, p.num_input_channels, p.kernel_side, p.kernel_side)
        )
        for p in problems
    ]
    for method, seconds in zip(methods, zip(*times, strict=True), strict=True):
        yield line(method, sizes, [1e3 * s for s in seconds], tuple(c == method for c in chosen))
