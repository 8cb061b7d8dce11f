"""How fast affine networks are trained: against PyTorch, and the arithmetic of the course.

Run as `python benchmarks/training.py`. The network is the report's, 784-100-100-10 with ReLU, batch
50, momentum 0.9, one epoch of 50 000 images. It first checks that all ways to train agree. PyTorch
is left out where it is not installed, and made-up images stand in where MNIST is not there.
"""

import argparse
import itertools
from unittest import mock

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits
from timing import best_times, check_agreement

from mlpcw import compiled, fused, mnist, step_kernels
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.optimisers import Optimiser
from mlpcw.study import chapters
from mlpcw.study.records import arms
from mlpcw.study.runs import set_up as training

try:
    import torch
except ImportError:
    torch = None

BATCH_SIZE, DIMS, NUM_IMAGES = 50, (784, 100, 100, 10), 50_000
LEARNING_RATE, MOM_COEFF, L1, L2 = 0.01, 0.9, 1e-5, 1e-4
STATS_INTERVAL = 5
TOLERANCES = {"float64": 1e-10, "float32": 1e-4}
CHECKED_UPDATES = 50
LIMIT_DIM = 1024

# Of one epoch: forward, the gradient of the weights and, but for the lowest layer, of the inputs.
PRODUCTS = [a * b for a, b in itertools.pairwise(DIMS)]
EPOCH_FLOPS = 2 * NUM_IMAGES * (2 * sum(PRODUCTS) + sum(PRODUCTS[1:]))


# ---- The same work, five ways -----------------------------------------------------------------


class GeneralOptimiser(Optimiser):
    """An optimiser that takes the general path, whatever it trains."""

    def do_training_epoch(self):
        for inputs, targets in self.train_dataset:
            self.general_step(inputs, targets)

    def general_step(self, inputs, targets):
        activations = self.model.fprop(inputs)
        grads = self.error.grad(activations[-1], targets)
        self.learning_rule.update_params(self.model.grads_wrt_params(activations, grads))


class InPlaceBlas(fused._Blas):
    """Products and sums as NumPy makes them, each into an array that is kept, and then added."""

    def __init__(self, dtype, size):
        super().__init__(dtype, size)
        self.products = {}

    def add_product(self, factor, left, right, target):
        left = factor * left  # smaller than the product
        if target.flags.f_contiguous:
            target, left, right = target.T, right, left
        product = self.products.get(target.shape)
        if product is None:
            product = self.products[target.shape] = np.empty_like(target)
        target += np.dot(left.T, right, out=product)

    def add_rows(self, factor, rows, target):
        target += factor * rows.sum(axis=0)


class InPlaceOptimiser(Optimiser):
    """An optimiser whose steps overwrite all arrays they can, in NumPy alone."""

    def do_training_epoch(self):
        not_compiled = mock.patch.object(compiled, "enabled", lambda: False)
        with not_compiled, mock.patch.object(fused, "_Blas", InPlaceBlas):
            super().do_training_epoch()


class NotCompiledOptimiser(Optimiser):
    """An optimiser whose steps leave compiled kernels out."""

    def do_training_epoch(self):
        with mock.patch.object(compiled, "enabled", lambda: False):
            super().do_training_epoch()


def optimiser(images, dtype, penalty=None, kind=Optimiser):
    """An optimiser of the report's network; equal arguments give equal weights and batches."""
    arm = msgspec.structs.replace(
        chapters.find("full", "part1/none"),
        protocol="paired",
        dtype=dtype,
        penalty=penalty,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        mom_coeff=MOM_COEFF,
    )
    made = training.set_up(arm, 0, images)
    datasets = made.train_dataset, made.valid_dataset
    return kind(made.model, made.error, made.learning_rule, *datasets, made.data_monitors)


class Course:
    """The arithmetic of the course's framework of 2016, written plainly, always in float64."""

    def __init__(self, like):
        self.weights = [np.array(param) for param in like.model.params[::2]]
        self.biases = [np.array(param) for param in like.model.params[1::2]]
        self.params = [p for pair in zip(self.weights, self.biases, strict=True) for p in pair]
        self.moms = [np.zeros_like(param) for param in self.params]
        self.train, self.valid = like.train_dataset, like.valid_dataset

    def fprop(self, inputs):
        activations = [inputs]
        for index, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            activations.append(weights.dot(activations[-1].T).T + biases)
            if index < len(self.weights) - 1:
                activations.append(np.maximum(activations[-1], 0.0))
        return activations

    def do_training_epoch(self):
        for inputs, targets in self.train:
            self.step(inputs, targets)

    def step(self, inputs, targets):
        activations = self.fprop(inputs)
        grads, outputs = [], activations.pop()
        probs = np.exp(outputs)
        probs /= probs.sum(-1)[:, None]
        grads_wrt_outputs = (probs - targets) / outputs.shape[0]
        for weights in reversed(self.weights):
            inputs = activations.pop()
            grads = [grads_wrt_outputs.T.dot(inputs), grads_wrt_outputs.sum(axis=0), *grads]
            grads_wrt_outputs = grads_wrt_outputs.dot(weights)  # of the lowest layer too
            if activations:
                grads_wrt_outputs = (inputs > 0) * grads_wrt_outputs
                activations.pop()
        for param, mom, grad in zip(self.params, self.moms, grads, strict=True):
            mom *= MOM_COEFF
            mom -= LEARNING_RATE * grad
            param += mom

    def get_epoch_stats(self):
        stats = []
        for dataset in (self.train, self.valid):
            error = acc = 0.0
            for inputs, targets in dataset:
                outputs = self.fprop(inputs)[-1]
                shifted = outputs - outputs.max(-1)[:, None]
                log_probs = shifted - np.log(np.sum(np.exp(shifted), axis=-1)[:, None])
                error -= np.mean(np.sum(targets * log_probs, axis=1))
                acc += np.mean(outputs.argmax(-1) == targets.argmax(-1))
            stats += [error / dataset.num_batches, acc / dataset.num_batches]
        return stats


class Torch:
    """The same training in PyTorch, as its tutorials write it."""

    def __init__(self, like, images, penalty=None):
        dtype = torch.from_numpy(like.model.params[0]).dtype
        inputs, targets = images.split("train")
        self.inputs = torch.from_numpy(np.array(inputs)).to(dtype)
        self.targets = torch.from_numpy(np.array(targets, dtype=np.int64))
        modules = []
        for num_inputs, num_outputs in itertools.pairwise(DIMS):
            modules += [torch.nn.Linear(num_inputs, num_outputs, dtype=dtype), torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*modules[:-1])
        self.params = list(self.model.parameters())
        with torch.no_grad():
            for param, value in zip(self.params, like.model.params, strict=True):
                param.copy_(torch.from_numpy(value))
        self.loss = torch.nn.CrossEntropyLoss()
        self.penalty = penalty
        self.rule = torch.optim.SGD(self.params, lr=LEARNING_RATE, momentum=MOM_COEFF)

    def do_training_epoch(self):
        order = torch.randperm(len(self.inputs))
        for start in range(0, len(order), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            self.step(self.inputs[batch], self.targets[batch])

    def step(self, inputs, targets):
        self.rule.zero_grad()
        loss = self.loss(self.model(inputs), targets)
        if self.penalty is not None:
            for weights in self.params[::2]:
                loss = loss + 0.5 * self.penalty.l1 * weights.abs().sum()
                loss = loss + 0.25 * self.penalty.l2 * (weights**2).sum()
        loss.backward()
        self.rule.step()


# ---- Agreement ----------------------------------------------------------------------------------


def check(images, dtype, penalty=None):
    """Trains all ways from the same weights on the same batches, and compares the weights."""
    fused, general = (
        optimiser(images, dtype, penalty, kind) for kind in (Optimiser, GeneralOptimiser)
    )
    others = {"general path": general.general_step}
    params = {"general path": general.model.params}
    if dtype == "float64" and penalty is None:
        course = Course(fused)
        others["course"], params["course"] = course.step, course.params
    if torch is not None:
        other = Torch(fused, images, penalty)
        params["PyTorch"] = other.params
        others["PyTorch"] = lambda inputs, targets: other.step(
            torch.from_numpy(inputs).to(other.inputs.dtype), torch.from_numpy(targets.argmax(1))
        )
    in_place = optimiser(images, dtype, penalty, InPlaceOptimiser)
    params["in place"] = in_place.model.params
    batches = [next(fused.train_dataset) for _ in range(CHECKED_UPDATES)]
    for each in (fused, in_place):
        each.train_dataset = batches
        each.do_training_epoch()
    for inputs, targets in batches:
        for take in others.values():
            take(inputs, targets)
    for name, found in params.items():
        for param, expected in zip(found, fused.model.params, strict=True):
            values = param if name != "PyTorch" else param.detach().numpy()
            check_agreement(f"{name}, {dtype}", values, expected, TOLERANCES[dtype])


# ---- Times --------------------------------------------------------------------------------------


def load_images():
    """MNIST; where it is not there, the embedded digits over and over."""
    try:
        return mnist.load()
    except FileNotFoundError:
        print("MNIST is not there: the embedded digits, repeated")
        repeated = {}
        for which_set, num_images in (("train", NUM_IMAGES), ("valid", 10_000)):
            inputs, labels = mnist.digits().split(which_set)
            indices = np.arange(num_images) % len(inputs)
            repeated[which_set] = inputs[indices], labels[indices]
        return mnist.ImageSet("digits, repeated", "", repeated)


def limit(dtype):
    """A product of large matrices, to be timed, and how many times its operations an epoch has."""
    left = np.random.default_rng(1).random((LIMIT_DIM, LIMIT_DIM)).astype(dtype)
    product = np.empty_like(left)
    return lambda: np.dot(left, left, out=product), EPOCH_FLOPS / (2 * LIMIT_DIM**3)


def measure(images, dtype):
    """CPU seconds of each way to train, by name; it first checks that they agree."""
    penalty = arms.Penalty(l1=L1, l2=L2)
    for each in (None, penalty):
        check(images, dtype, each)
    fused, penalised = optimiser(images, dtype), optimiser(images, dtype, penalty)
    product, num_products = limit(dtype)
    functions = {
        "mlpcw": fused.do_training_epoch,
        "mlpcw, L1 + L2": penalised.do_training_epoch,
        "general path": optimiser(images, dtype, None, GeneralOptimiser).do_training_epoch,
        "not compiled": optimiser(images, dtype, None, NotCompiledOptimiser).do_training_epoch,
        "not compiled, L1 + L2": optimiser(
            images, dtype, penalty, NotCompiledOptimiser
        ).do_training_epoch,
        "in place": optimiser(images, dtype, None, InPlaceOptimiser).do_training_epoch,
        "statistics": fused.get_epoch_stats,
        "limit": product,
    }
    if torch is not None:
        functions["PyTorch"] = Torch(fused, images).do_training_epoch
        functions["PyTorch, L1 + L2"] = Torch(fused, images, penalty).do_training_epoch
    if dtype == "float64":
        course = Course(optimiser(images, dtype))
        functions["course"] = course.do_training_epoch
        functions["course, statistics"] = course.get_epoch_stats
    times = best_times(functions)
    times["limit"] *= num_products
    for name, statistics in (("mlpcw", "statistics"), ("course", "course, statistics")):
        if name in times:
            # Statistics are taken after every fifth epoch.
            times[f"{name}, faithful"] = times[name] + times[statistics] / STATS_INTERVAL
    return times


def print_rows(times, dtype):
    print(
        f"{'-'.join(map(str, DIMS))}, batch {BATCH_SIZE}, momentum, {NUM_IMAGES} images,"
        f" {dtype}: CPU s per epoch, {'and S' if dtype == 'float32' else 'and D'}GEMM's limit"
    )
    for name, other, to_reach in (
        ("mlpcw", "general path", ""),
        ("mlpcw", "not compiled", ""),
        ("mlpcw, L1 + L2", "not compiled, L1 + L2", ""),
        ("mlpcw", "in place", ""),
        ("mlpcw", "PyTorch", "2.5 x" if dtype == "float32" else ""),
        ("mlpcw", "limit", "0.50 x" if dtype == "float32" else ""),
        ("mlpcw, L1 + L2", "PyTorch, L1 + L2", "3 x" if dtype == "float32" else ""),
        ("mlpcw, L1 + L2", "mlpcw", "0.83 x" if dtype == "float32" else ""),
        ("mlpcw, faithful", "course, faithful", "1.8 x"),
    ):
        if name in times and other in times:
            print(
                f"    {name:18}{times[name]:7.3f}    {other:18}{times[other]:7.3f}"
                f"{times[other] / times[name]:8.2f} x"
                + (f"  (to reach: {to_reach})" if to_reach else "")
            )
    if torch is None:
        print("    PyTorch            is not installed")


def time_tricks(dtype):
    """What the comments of `fused.py` and `layers.py` claim, for the lowest layer's weights.

    Returns:
        CPU seconds by name, in pairs of what is done and what it is done instead of, or reverse.
    """
    rng = np.random.default_rng(2)
    inputs, grads, weights = (
        rng.normal(size=shape).astype(dtype)
        for shape in ((BATCH_SIZE, DIMS[0]), (BATCH_SIZE, DIMS[1]), (DIMS[1], DIMS[0]))
    )
    outputs, mom = np.zeros_like(grads), np.zeros_like(weights, order="F")
    fortran, flat, flat_mom = np.asfortranarray(weights), weights.ravel(), mom.ravel("K")
    subnormal = np.full(weights.size, np.finfo(dtype).smallest_subnormal)
    blas = fused._Blas(np.dtype(dtype), weights.size)

    number = np.dtype(dtype).type
    coeff, rate, l1, l2, smallest = map(number, (0.9, 1e-9, 1e-9, 1e-9, blas.near_subnormal))
    biases, bias_moms = np.zeros((2, DIMS[1]), dtype)
    logits, targets = outputs[:, : DIMS[-1]].copy(), np.eye(DIMS[-1])[np.arange(BATCH_SIZE) % 10]
    error = CrossEntropySoftmaxError()

    def decay_and_add():
        np.multiply(flat_mom, MOM_COEFF, out=flat_mom)
        blas.add_product(-LEARNING_RATE, grads, inputs, mom)

    def add_and_rectify():
        np.add(outputs, biases, out=outputs)
        np.maximum(outputs, 0, out=outputs)

    def decay_with_penalty():
        np.multiply(flat_mom, MOM_COEFF, out=flat_mom)
        blas.axpy(flat, flat_mom, a=-1e-9)
        blas.axpy(blas.signs(flat), flat_mom, a=-1e-9)

    def update_biases():
        np.multiply(bias_moms, MOM_COEFF, out=bias_moms)
        blas.add_rows(-1e-9, grads, bias_moms)
        np.add(biases, bias_moms, out=biases)

    return best_times(
        {
            "forward, C order": lambda: np.dot(inputs, weights.T, out=outputs),
            "forward, Fortran's": lambda: np.dot(inputs, fortran.T, out=outputs),
            "decay by beta": lambda: blas._gemm(
                -LEARNING_RATE, grads.T, inputs.T, MOM_COEFF, mom, 0, 1, 1
            ),
            "decay, then beta 1": decay_and_add,
            "numpy.sign": lambda: np.sign(flat, out=blas._values),
            "signs": lambda: blas.signs(flat),
            "subnormal decay": lambda: np.multiply(subnormal, MOM_COEFF, out=subnormal),
            "decay": lambda: np.multiply(flat_mom, MOM_COEFF, out=flat_mom),
            "biases, ReLU": add_and_rectify,
            "biases, ReLU, kernel": lambda: step_kernels.add_biases(outputs, biases, True),
            "mask": lambda: np.multiply(grads, outputs > 0, out=grads),
            "mask, kernel": lambda: step_kernels.mask(grads.ravel(), outputs.ravel()),
            "error": lambda: error.grad(logits, targets),
            "error, kernel": lambda: step_kernels.softmax_grads(
                logits, targets, np.empty_like(logits)
            ),
            "decay, L1 + L2": decay_with_penalty,
            "decay, L1 + L2, kernel": lambda: step_kernels.decay(
                flat_mom, flat, coeff, l1, l2, smallest
            ),
            "update of biases": update_biases,
            "of biases, kernel": lambda: step_kernels.update_biases(
                biases, bias_moms, coeff, rate, grads
            ),
        }
    )


def print_tricks(dtype):
    times = time_tricks(dtype)
    print(f"Parts of a step, {DIMS[0]} x {DIMS[1]} weights, {dtype}: CPU us")
    for name, other in zip([*times][::2], [*times][1::2], strict=True):
        print(f"    {name:22}{times[name] * 1e6:7.1f}    {other:22}{times[other] * 1e6:7.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=TOLERANCES, nargs="+", default=list(TOLERANCES))
    if torch is not None:
        torch.set_num_threads(1)
    with threadpool_limits(limits=1):
        images = load_images()
        for dtype in parser.parse_args().dtype:
            print_rows(measure(images, dtype), dtype)
            print_tricks(dtype)
