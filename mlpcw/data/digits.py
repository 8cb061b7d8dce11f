"""The embedded digits: 1797 small images of scikit-learn, enlarged to MNIST's 28 x 28 pixels.

They replace MNIST on a machine that has neither its files nor a network.
"""

from functools import lru_cache

import numpy as np

from mlpcw.data.images import WHICH_SETS, ImageSet, image_set

DIGITS_SEED = 1797
"""Seed of the order and the split of `digits`; another seed would be another data set."""


@lru_cache(maxsize=1)
def digits() -> ImageSet:
    """scikit-learn's 1797 digits at MNIST's size: 1000 in `train`, 397 in `valid`, 400 in `test`.

    Each split holds the ten classes in the proportions of the whole. As in MNIST, a digit is bright
    on black in a box of 20 x 20 pixels with a margin of 4 black pixels. All arithmetic is in
    integers, so that every machine gets the same pixels.

    Returns:
        The image set "digits".
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = _enlarge(bunch.images.astype(np.int64))
    labels = bunch.target.astype(np.uint8)

    num_images = len(labels)
    order = np.random.RandomState(DIGITS_SEED).permutation(num_images)
    by_class = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(num_images, dtype=np.int64)  # 0 train, 1 valid, 2 test
    for code, count in ((2, 400), (1, 397)):
        # The images of `by_class` that are still free, at equal steps: a fair share per class.
        free = by_class[chosen[by_class] == 0]
        chosen[free[np.arange(count) * len(free) // count]] = code
    members = {name: order[chosen[order] == code] for code, name in enumerate(WHICH_SETS)}
    return image_set("digits", {name: (images[i], labels[i]) for name, i in members.items()})


def _enlarge(images: np.ndarray) -> np.ndarray:
    """8 x 8 counts of ink to 28 x 28 pixels, by cubic convolution (Keys 1981) along each axis.

    Enlarging blurs, so the contrast is raised: at most 5 of 16 becomes black, at least 12 white.
    Strokes are then about as sharp as in MNIST, and the blur does not reach into the margin.

    Args:
        images: Whole numbers 0..16, int64, `(num_images, 8, 8)`.

    Returns:
        Pixels 0..255, uint8, `(num_images, 28, 28)`.
    """
    # Pixel i of 28 lies at (i - 4 + 1/2) * 8/20 - 1/2 = (4i - 19) / 10 on the grid of 8: between
    # `left` and its right neighbour, t = k/10 from the left. The weights of the four nearest are
    # whole multiples of 1/2000.
    weights = np.zeros((28, 8), dtype=np.int64)
    for i in range(28):
        left, k = divmod(4 * i - 19, 10)
        keys = (
            -(k**3) + 20 * k**2 - 100 * k,
            3 * k**3 - 50 * k**2 + 2000,
            -3 * k**3 + 40 * k**2 + 100 * k,
            k**3 - 10 * k**2,
        )
        for j, weight in zip(range(left - 1, left + 3), keys, strict=True):
            if 0 <= j < 8:  # outside the small image there is no ink
                weights[i, j] = weight
    ink = weights @ images @ weights.T  # (num_images, 28, 28), in units of 1 / unit
    unit = 2000**2
    black, white = 5 * unit, 12 * unit
    ink = np.clip(ink, black, white) - black
    span = white - black
    return ((2 * 255 * ink + span) // (2 * span)).astype(np.uint8)  # rounded to the nearest
