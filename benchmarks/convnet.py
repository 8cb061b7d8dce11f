"""How fast a small convolutional network is trained: against PyTorch.

Run as `python benchmarks/convnet.py`. The network has 8 maps of 5 x 5, ReLU, 2 x 2 max-pooling and
two affine layers; batch 100, momentum 0.9, one epoch of 50 000 images. It first checks that both
ways to train agree.
"""

import numpy as np
from threadpoolctl import threadpool_limits
from timing import best_times, check_agreement
from training import LEARNING_RATE, MOM_COEFF, TOLERANCES, load_images, torch

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

BATCH_SIZE, NUM_IMAGES = 100, 50_000
NUM_MAPS, SIDE, KERNEL_SIDE, HIDDEN_DIM, NUM_CLASSES = 8, 28, 5, 100, 10
OUTPUT_SIDE = SIDE - KERNEL_SIDE + 1
POOLED_DIM = NUM_MAPS * (OUTPUT_SIDE // 2) ** 2
CHECKED_UPDATES = 30

# Of one epoch: forward, the gradient of the weights and, but for the lowest layer, of the inputs.
CONVOLUTION_PRODUCTS = NUM_MAPS * (OUTPUT_SIDE * KERNEL_SIDE) ** 2
AFFINE_PRODUCTS = POOLED_DIM * HIDDEN_DIM + HIDDEN_DIM * NUM_CLASSES
EPOCH_FLOPS = 2 * NUM_IMAGES * (2 * CONVOLUTION_PRODUCTS + 3 * AFFINE_PRODUCTS)


def optimiser(images, dtype):
    """Ours; equal arguments give equal weights."""
    rng = np.random.default_rng(0)
    init = GlorotUniformInit(1.0, rng)
    model = MultipleLayerModel(
        [
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
    ).astype(dtype)
    train = ImageSetDataProvider(images, "train", BATCH_SIZE, rng=rng)
    rule = MomentumLearningRule(LEARNING_RATE, MOM_COEFF)
    return Optimiser(model, CrossEntropySoftmaxError(), rule, train)


class Torch:
    """The same training in PyTorch, as its tutorials write it."""

    def __init__(self, like, images):
        dtype = torch.from_numpy(like.model.params[0]).dtype
        inputs, targets = images.split("train")
        self.inputs = torch.from_numpy(np.array(inputs)).to(dtype).reshape(-1, 1, SIDE, SIDE)
        self.targets = torch.from_numpy(np.array(targets, dtype=np.int64))
        self.model = torch.nn.Sequential(
            torch.nn.Conv2d(1, NUM_MAPS, KERNEL_SIDE, dtype=dtype),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(POOLED_DIM, HIDDEN_DIM, dtype=dtype),
            torch.nn.ReLU(),
            torch.nn.Linear(HIDDEN_DIM, NUM_CLASSES, dtype=dtype),
        )
        self.params = list(self.model.parameters())
        with torch.no_grad():
            for param, value in zip(self.params, like.model.params, strict=True):
                param.copy_(torch.from_numpy(self.as_correlation(value).copy()))
        self.loss = torch.nn.CrossEntropyLoss()
        self.rule = torch.optim.SGD(self.params, lr=LEARNING_RATE, momentum=MOM_COEFF)

    @staticmethod
    def as_correlation(param):
        """PyTorch does not flip its kernels, and ours are."""
        return param[:, :, ::-1, ::-1] if param.ndim == 4 else param

    def do_training_epoch(self):
        order = torch.randperm(len(self.inputs))
        for start in range(0, len(order), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            self.step(self.inputs[batch], self.targets[batch])

    def step(self, inputs, targets):
        self.rule.zero_grad()
        self.loss(self.model(inputs), targets).backward()
        self.rule.step()


def check(images, dtype):
    """Trains both ways from the same weights on the same batches, and compares the weights."""
    ours = optimiser(images, dtype)
    other = Torch(ours, images)
    batches = [next(ours.train_dataset) for _ in range(CHECKED_UPDATES)]
    for inputs, targets in batches:
        inputs = torch.from_numpy(inputs).to(other.inputs.dtype).reshape(-1, 1, SIDE, SIDE)
        other.step(inputs, torch.from_numpy(targets.argmax(1)))
    ours.train_dataset = batches
    ours.do_training_epoch()
    for param, expected in zip(other.params, ours.model.params, strict=True):
        values = Torch.as_correlation(param.detach().numpy())
        check_agreement(f"convolutional network, {dtype}", values, expected, TOLERANCES[dtype])


def measure(images, dtype="float32"):
    """CPU seconds of an epoch, by name; it first checks that both ways agree."""
    ours = optimiser(images, dtype)
    functions = {"mlpcw": ours.do_training_epoch}
    if torch is not None:
        check(images, dtype)
        functions["PyTorch"] = Torch(ours, images).do_training_epoch
    return best_times(functions)


if __name__ == "__main__":
    if torch is not None:
        torch.set_num_threads(1)
    with threadpool_limits(limits=1):
        times = measure(load_images())
    print(f"8 maps 5 x 5, batch {BATCH_SIZE}, {NUM_IMAGES} images, float32: CPU s per epoch")
    for name, seconds in times.items():
        print(f"    {name:10}{seconds:7.3f}{seconds / times['mlpcw']:8.2f} x")
