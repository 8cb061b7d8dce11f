"""How fast networks are trained, against peers, and what the parts of a step earn.

The affine network is the report's, 784-100-100-10 with ReLU, batch 50, momentum 0.9; the
convolutional one has 8 maps of 5 x 5. An epoch has 50 000 images. It is first checked that all that
is timed trains alike: made-up images stand in where MNIST is missing.
"""

import itertools

import numpy as np
import peers
from timing import TOLERANCES, Peer, check_agreement, compare, without_kernels

from mlpcw import mnist, step_kernels
from mlpcw.data_providers import ImageSetDataProvider
from mlpcw.errors import CrossEntropySoftmaxError
from mlpcw.initialisers import GlorotUniformInit, UniformInit
from mlpcw.layers import (
    AffineLayer,
    ConvolutionalLayer,
    MaxPooling2DLayer,
    ReluLayer,
    ReshapeLayer,
)
from mlpcw.learning_rules import MomentumLearningRule
from mlpcw.models import MultipleLayerModel
from mlpcw.optimisers import Optimiser
from mlpcw.penalties import L1L2Penalty
from mlpcw.study.pages.measurements import Work

DIMS, BATCH_SIZE, NUM_IMAGES = (784, 100, 100, 10), 50, 50_000
LEARNING_RATE, MOM_COEFF = 0.01, 0.9
PENALTY = L1L2Penalty(1e-5, 1e-4)
CHECKED_UPDATES = 50
FUSED = 1.15  # a fused step that earns less than this does not stay
LIMIT_DIM = 1024
GEMMS = {"float32": "SGEMM", "float64": "DGEMM"}
SHAPE = f"{'-'.join(map(str, DIMS))}, batch {BATCH_SIZE}, momentum, 50 000 images"

NUM_MAPS, SIDE, KERNEL_SIDE, HIDDEN_DIM, NUM_CLASSES, CONVOLVED = 8, 28, 5, 100, 10, 100
OUTPUT_SIDE = SIDE - KERNEL_SIDE + 1
POOLED_DIM = NUM_MAPS * (OUTPUT_SIDE // 2) ** 2

# Of one epoch: forward, the gradient of the weights and, but for the lowest layer, of the inputs.
PRODUCTS = [a * b for a, b in itertools.pairwise(DIMS)]
EPOCH_FLOPS = 2 * NUM_IMAGES * (2 * sum(PRODUCTS) + sum(PRODUCTS[1:]))
CONVOLUTION_PRODUCTS = NUM_MAPS * (OUTPUT_SIDE * KERNEL_SIDE) ** 2
AFFINE_PRODUCTS = POOLED_DIM * HIDDEN_DIM + HIDDEN_DIM * NUM_CLASSES
CONVOLUTIONAL_FLOPS = 2 * NUM_IMAGES * (2 * CONVOLUTION_PRODUCTS + 3 * AFFINE_PRODUCTS)


# ---- The networks -----------------------------------------------------------------------------


class GeneralOptimiser(Optimiser):
    """An optimiser without the fused step."""

    def do_training_epoch(self):
        for inputs, targets in self.train_dataset:
            activations = self.model.fprop(inputs)
            grads = self.error.grad(activations[-1], targets)
            self.learning_rule.update_params(self.model.grads_wrt_params(activations, grads))


def affine(images, dtype, penalty=None, kind=Optimiser, dims=DIMS, batch_size=BATCH_SIZE):
    """Trains the report's network; equal arguments give equal weights and batches."""
    rng = np.random.default_rng(0)
    init = GlorotUniformInit(0.5, rng)
    layers = []
    for pair in itertools.pairwise(dims):
        layers += [AffineLayer(*pair, init, weights_penalty=penalty), ReluLayer()]
    return optimiser(images, layers[:-1], dtype, batch_size, rng, kind)


def convolutional(images, dtype):
    """Trains the convolutional network; equal arguments give equal weights and batches."""
    rng = np.random.default_rng(0)
    init = GlorotUniformInit(1.0, rng)
    layers = [
        ReshapeLayer((1, SIDE, SIDE)),
        ConvolutionalLayer(
            *(1, NUM_MAPS, SIDE, SIDE, KERNEL_SIDE, KERNEL_SIDE),
            kernels_init=UniformInit(-0.1, 0.1, rng=rng),
        ),
        ReluLayer(),
        MaxPooling2DLayer(2),
        ReshapeLayer(),
        AffineLayer(POOLED_DIM, HIDDEN_DIM, init),
        ReluLayer(),
        AffineLayer(HIDDEN_DIM, NUM_CLASSES, init),
    ]
    return optimiser(images, layers, dtype, CONVOLVED, rng)


def optimiser(images, layers, dtype, batch_size, rng, kind=Optimiser):
    return kind(
        MultipleLayerModel(layers).astype(dtype),
        CrossEntropySoftmaxError(),
        MomentumLearningRule(LEARNING_RATE, MOM_COEFF),
        ImageSetDataProvider(images, "train", batch_size, rng=rng),
    )


def load_images():
    """MNIST, or where it is missing, the embedded digits repeated."""
    try:
        return mnist.load()
    except FileNotFoundError:
        print("MNIST is missing: the embedded digits, repeated")
        repeated = {}
        for which_set, num_images in (("train", NUM_IMAGES), ("valid", 10_000)):
            inputs, labels = mnist.digits().split(which_set)
            indices = np.arange(num_images) % len(inputs)
            repeated[which_set] = inputs[indices], labels[indices]
        return mnist.ImageSet("digits, repeated", "", repeated)


def check(name, optimisers, trained):
    """Trains optimisers and peers on the same batches, and compares their parameters."""
    first = optimisers[0]
    dataset = first.train_dataset
    batches = [next(dataset) for _ in range(CHECKED_UPDATES)]
    for each in optimisers:
        whole, each.train_dataset = each.train_dataset, batches
        each.do_training_epoch()
        each.train_dataset = whole
    for peer in trained:
        for inputs, targets in batches:
            peer.step(inputs, targets)
    expected = first.model.params
    for params in [*(each.model.params for each in optimisers), *(p.params for p in trained)]:
        for result, param in zip(params, expected, strict=True):
            check_agreement(name, result, param, TOLERANCES[param.dtype.name])


# ---- Rows -------------------------------------------------------------------------------------


def rows(images, rates):
    """All rows of the affine network.

    Args:
        images: The images to train on.
        rates: Name of a limit of the machine to the operations, or bytes, a second.
    """
    for dtype in GEMMS:
        yield from affine_rows(images, dtype, rates)
    yield from step_rows("float32")


def affine_rows(images, dtype, rates):
    single, gemm = dtype == "float32", GEMMS[dtype]
    plain, general = (affine(images, dtype, None, kind) for kind in (Optimiser, GeneralOptimiser))
    in_place = peers.InPlace(plain)
    left = np.random.default_rng(1).random((LIMIT_DIM, LIMIT_DIM)).astype(dtype)
    product = np.empty_like(left)
    compared = [
        Peer(
            *(f"{gemm}'s speed", "limits", lambda: np.dot(left, left, out=product)),
            at_least=0.5 if single else None,
            bound="its products are of 50 rows, which BLAS multiplies more slowly than large"
            " matrices, and the momentum and the images of a batch are read and written once;"
            " weights in another order in memory, and blocks of them, were no faster",
            calls=EPOCH_FLOPS / (2 * LIMIT_DIM**3),
        ),
        Peer("in-place NumPy", "plain", in_place.do_training_epoch, FUSED),
        Peer("general path", "plain", general.do_training_epoch, FUSED),
    ]
    if single:
        other = peers.ScikitLearn(plain, images)
        compared.append(Peer("scikit-learn", "libraries", other.do_training_epoch))
    else:
        other = peers.Course(plain)  # which has no float32
        compared.append(Peer("the course", "2016", other.do_training_epoch, 1.8))
    trained = [in_place, other]
    least = EPOCH_FLOPS / rates[gemm]
    targets = {"PyTorch": 2.5} if single else {}
    work = Work(subject="epoch", shape=SHAPE, dtype=dtype, per="epoch")
    yield from epochs(images, work, [plain, general], compared, trained, targets, gemm, least)
    both = affine(images, dtype, PENALTY)
    at_least, targets = (1 / 1.2, {"PyTorch": 3.0}) if single else (None, {})
    compared = [Peer("no penalty", "limits", plain.do_training_epoch, at_least)]
    work = Work(subject="epoch, L1 + L2", shape=SHAPE, dtype=dtype, per="epoch")
    yield from epochs(images, work, [both], compared, [], targets)


def convolutional_rows(images, rates):
    network = convolutional(images, "float32")
    work = Work(
        subject="convolutional epoch",
        shape=f"{NUM_MAPS} maps 5 × 5, ReLU, 2 × 2 max-pooling, affine {HIDDEN_DIM}, ReLU, affine"
        f" {NUM_CLASSES}, batch {CONVOLVED}, 50 000 images",
        dtype="float32",
        per="epoch",
    )
    least = CONVOLUTIONAL_FLOPS / rates["SGEMM"]
    yield from epochs(images, work, [network], [], [], {"PyTorch": 1.2}, "SGEMM", least)


def epochs(images, work, optimisers, compared, trained, targets, *limit):
    """Rows of the first of some optimisers, also without kernels and against libraries.

    Args:
        images, work: The images, and the work.
        optimisers: Optimisers that must train alike.
        compared: Further peers, to time.
        trained: Their trainers, which must train like the optimisers.
        targets: Name of a library to the ratio aimed at.
        limit: As of `compare`.
    """
    first = optimisers[0]
    compared.append(without_kernels(first.do_training_epoch))
    penalty = getattr(first.model.layers[0], "weights_penalty", None)
    for name, (kind, trainer) in peers.LIBRARIES.items():
        trained.append(trainer(first, images, penalty))
        compared.append(Peer(name, kind, trained[-1].do_training_epoch, targets.get(name)))
    check(str(work), optimisers, trained)
    yield from compare(work, first.do_training_epoch, compared, *limit)


def step_rows(dtype):
    """Parts of a step for the lowest layer's weights, each against the plain code it replaces."""
    rng, number = np.random.default_rng(2), np.dtype(dtype).type
    inputs, grads, weights = (
        rng.normal(size=shape).astype(dtype)
        for shape in ((BATCH_SIZE, DIMS[0]), (BATCH_SIZE, DIMS[1]), (DIMS[1], DIMS[0]))
    )
    fortran, outputs = np.asfortranarray(weights), np.zeros_like(grads)
    flat, (flat_mom, values) = weights.ravel(), np.zeros((2, weights.size), dtype)
    subnormal = np.full(weights.size, np.finfo(dtype).smallest_subnormal)
    near_subnormal = np.finfo(dtype).tiny / np.finfo(dtype).eps
    biases, bias_moms = np.zeros((2, DIMS[1]), dtype)
    logits, targets = outputs[:, : DIMS[-1]].copy(), np.eye(DIMS[-1])[np.arange(BATCH_SIZE) % 10]
    logit_grads, error = np.empty_like(logits), CrossEntropySoftmaxError()
    coeff, rate, zero, smallest = map(number, (MOM_COEFF, 1e-9, 0, near_subnormal))

    def penalise():
        np.multiply(flat_mom, coeff, out=flat_mom)
        np.add(np.sign(flat, out=values), flat, out=values)
        np.subtract(flat_mom, np.multiply(values, rate, out=values), out=flat_mom)

    def update_biases():
        np.multiply(bias_moms, coeff, out=bias_moms)
        np.subtract(bias_moms, rate * grads.sum(axis=0), out=bias_moms)
        np.add(biases, bias_moms, out=biases)

    k = step_kernels
    for subject, run, peer, plain in (
        ("product, Fortran order", lambda: np.dot(inputs, fortran.T, out=outputs),
         "C order", lambda: np.dot(inputs, weights.T, out=outputs)),
        ("decay, tiny to 0", lambda: k.decay(flat_mom, flat, coeff, zero, zero, smallest),
         "subnormal numbers", lambda: np.multiply(subnormal, coeff, out=subnormal)),
        ("biases + ReLU", lambda: k.add_biases(outputs, biases, True), "NumPy",
         lambda: np.maximum(np.add(outputs, biases, out=outputs), 0, out=outputs)),
        ("ReLU mask", lambda: k.mask(grads.ravel(), outputs.ravel()),
         "NumPy", lambda: np.multiply(grads, outputs > 0, out=grads)),
        ("softmax gradient", lambda: k.softmax_grads(logits, targets, logit_grads),
         "NumPy", lambda: error.grad(logits, targets)),
        ("decay, L1 + L2", lambda: k.decay(flat_mom, flat, coeff, rate, rate, smallest),
         "NumPy", penalise),
        ("update of biases", lambda: k.update_biases(biases, bias_moms, coeff, rate, grads),
         "NumPy", update_biases),
    ):  # fmt: skip
        shape = f"{DIMS[0]} × {DIMS[1]} weights"
        work = Work(subject=subject, shape=shape, dtype=dtype, per="update")
        yield from compare(work, run, [Peer(peer, "plain", plain)])
