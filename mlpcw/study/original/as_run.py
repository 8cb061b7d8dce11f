"""What was run in 2016 differently from the report's text.

The library holds the methods as the text has them. Here are the transforms and the convolutional
layer of the published code, and the states that its one shared random generator was in when each
run began.
"""

import functools

import numpy as np

from mlpcw import checks, conv
from mlpcw.layers import ConvolutionalLayer
from mlpcw.study.original.published import NUM_EPOCHS
from mlpcw.study.records.arms import SEED_2016

KERNEL_SEED_2016 = 123456
NUM_TRAIN, NUM_VALID, NUM_PIXELS = 50_000, 10_000, 784
BATCH_SIZE, NUM_CHOSEN, STATS_INTERVAL = 100, 25, 5


def noise_2016(
    inputs: np.ndarray, rng: checks.Rng, unseeded: checks.Rng, fraction: float = 0.25
) -> np.ndarray:
    """Adds one number, N(0, variance 0.1), to all pixels of each chosen image.

    As in the report's text, except that the numbers come from a second generator, which was not
    seeded.

    Args:
        inputs: Images, `(batch_size, 784)`.
        rng: Chooses the images.
        unseeded: Draws the numbers.
        fraction: Share of the batch that is changed.

    Returns:
        New images, `(batch_size, 784)`.
    """
    outputs = inputs.copy()
    chosen = _choose(len(inputs), rng, fraction)
    outputs[chosen] += unseeded.normal(0.0, 0.1**0.5, size=(len(chosen), 1)).astype(inputs.dtype)
    return outputs


def shift_2016(
    inputs: np.ndarray, rng: checks.Rng, unseeded: checks.Rng, fraction: float = 0.25
) -> np.ndarray:
    """Moves the chosen images down and right by one whole number of pixels, 1 to 4.

    One number serves the whole batch and both axes; arguments are those of `noise_2016`. A cubic
    spline at whole pixels is the pixels themselves, so a shift by a whole number is a copy.
    """
    outputs = inputs.copy()
    chosen = _choose(len(inputs), rng, fraction)
    pixels = 1 + int(unseeded.permutation(4)[0])
    images = inputs[chosen].reshape(-1, 28, 28)
    moved = np.zeros_like(images)
    moved[:, pixels:, pixels:] = images[:, :-pixels, :-pixels]
    outputs[chosen] = moved.reshape(-1, NUM_PIXELS)
    return outputs


def _choose(batch_size: int, rng: checks.Rng, fraction: float) -> np.ndarray:
    return rng.choice(batch_size, int(batch_size * fraction), replace=False)


class FirstImageConvolutionalLayer(ConvolutionalLayer):
    """A convolutional layer whose kernel gradient sums over the first images of a batch only.

    The published loop runs over the number of output channels where the report's text has the
    batch: with one channel only the first image of each batch trains the kernel.
    """

    def _grads_wrt_kernels(self, inputs: np.ndarray, grads_wrt_outputs: np.ndarray) -> np.ndarray:
        first = slice(self.num_output_channels)
        return conv.grad_kernels(inputs[first], grads_wrt_outputs[first])


def start_rng(start: str) -> np.random.RandomState:
    """The shared generator as it was when a run's train provider was built.

    The state after a run follows from its draws alone, so they are drawn here without training: up
    to ten seconds the first time, then it is cached.

    Args:
        start: "fresh" or "reseeded" (just seeded); or the run that came before: "plain" (no
            augmentation), "rotation", "shift" or "distortion".

    Returns:
        A new generator in that state.
    """
    rng = np.random.RandomState(SEED_2016)
    if start not in ("fresh", "reseeded"):
        rng.set_state(_state_after(start))
    return rng


@functools.lru_cache
def _state_after(kind: str) -> tuple:
    """State of the generator after a whole run: its draws, in their order."""
    num_draws = {"plain": 0, "shift": 0, "rotation": NUM_CHOSEN}
    num_draws["distortion"] = NUM_CHOSEN * 2 * NUM_PIXELS
    rng = np.random.RandomState(SEED_2016)

    def train_pass() -> None:
        if kind != "plain":
            for _ in range(NUM_TRAIN // BATCH_SIZE):
                rng.choice(BATCH_SIZE, NUM_CHOSEN, replace=False)
                rng.random(num_draws[kind])
        rng.permutation(NUM_TRAIN)

    def stats_passes() -> None:
        train_pass()
        rng.permutation(NUM_VALID)

    rng.permutation(NUM_TRAIN)
    rng.permutation(NUM_VALID)
    stats_passes()
    for epoch in range(1, NUM_EPOCHS + 1):
        train_pass()
        if epoch % STATS_INTERVAL == 0:
            stats_passes()
    return rng.get_state()


def kernel_rng(num_draws: int) -> np.random.RandomState:
    """The generator of the kernels of 2016, after `num_draws` numbers."""
    rng = np.random.RandomState(KERNEL_SEED_2016)
    rng.uniform(size=num_draws)
    return rng
