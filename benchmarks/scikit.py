"""How fast affine networks are trained: against scikit-learn's MLPClassifier.

Run as `python benchmarks/scikit.py`. The network, the batches and the images are those of
`training.py`. It first checks that both train alike.
"""

import numpy as np
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits
from timing import best_times, check_agreement
from training import (
    BATCH_SIZE,
    CHECKED_UPDATES,
    DIMS,
    LEARNING_RATE,
    MOM_COEFF,
    TOLERANCES,
    load_images,
    optimiser,
)

from mlpcw.data_providers import ImageSetDataProvider


def classifier(like, inputs, labels, shuffle=True):
    """scikit-learn's, of the same weights; a call of its `partial_fit` trains one epoch."""
    other = MLPClassifier(
        DIMS[1:-1],
        solver="sgd",
        alpha=0.0,
        batch_size=BATCH_SIZE,
        learning_rate_init=LEARNING_RATE,
        momentum=MOM_COEFF,
        nesterovs_momentum=False,
        shuffle=shuffle,
    )
    # The first call makes the arrays; what they hold is then replaced.
    other.partial_fit(inputs[:BATCH_SIZE], labels[:BATCH_SIZE], classes=np.arange(DIMS[-1]))
    for own, param in zip(params_of(other), like.model.params, strict=True):
        own[...] = param
    for velocity in other._optimizer.velocities:
        velocity[...] = 0
    return other


def params_of(other):
    """Its parameters as ours lie, weights `(output_dim, input_dim)` and biases in turn."""
    pairs = zip(other.coefs_, other.intercepts_, strict=True)
    return [param for weights, biases in pairs for param in (weights.T, biases)]


def check(images, dtype):
    """Trains both from the same weights on the same batches, and compares the weights."""
    inputs, labels = images.split("train")
    num_images = CHECKED_UPDATES * BATCH_SIZE
    ours = optimiser(images, dtype)
    other = classifier(ours, inputs[:num_images].astype(dtype), labels[:num_images], shuffle=False)
    other.partial_fit(inputs[:num_images].astype(dtype), labels[:num_images])
    ours.train_dataset = ImageSetDataProvider(
        images, "train", BATCH_SIZE, CHECKED_UPDATES, shuffle_order=False
    )
    ours.do_training_epoch()
    for param, expected in zip(params_of(other), ours.model.params, strict=True):
        check_agreement(f"scikit-learn, {dtype}", param, expected, TOLERANCES[dtype])


def measure(images, dtype="float32"):
    """CPU seconds of an epoch, by name; it first checks that both ways agree."""
    check(images, dtype)
    inputs, labels = images.split("train")
    inputs = inputs.astype(dtype)
    ours = optimiser(images, dtype)
    other = classifier(ours, inputs, labels)
    return best_times(
        {
            "mlpcw": ours.do_training_epoch,
            "scikit-learn": lambda: other.partial_fit(inputs, labels),
        }
    )


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        times = measure(load_images())
    print(f"{'-'.join(map(str, DIMS))}, batch {BATCH_SIZE}, float32: CPU s per epoch")
    for name, seconds in times.items():
        print(f"    {name:14}{seconds:7.3f}{seconds / times['mlpcw']:8.2f} x")
