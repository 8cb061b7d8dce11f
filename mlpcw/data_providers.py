"""Data providers: iterators over `(inputs, targets)` batches, here of images of digits.

`DataProvider` and `OneOfKDataProvider`, for any data, are in `mlpcw.data.batches`.
"""

from collections.abc import Callable

import numpy as np

from mlpcw import checks, mnist
from mlpcw.data.batches import DataProvider, OneOfKDataProvider

__all__ = [
    "AugmentedMNISTDataProvider",
    "DataProvider",
    "DigitsDataProvider",
    "ImageSetDataProvider",
    "MNISTAutoencoderDataProvider",
    "MNISTDataProvider",
    "OneOfKDataProvider",
]

Transformer = Callable[[np.ndarray, checks.Rng], np.ndarray]


class ImageSetDataProvider(OneOfKDataProvider):
    """Batches of one split of an image set; further arguments are those of `DataProvider`.

    Args:
        images: The image set, from `mnist.load` or `mnist.digits`.
        which_set: "train", "valid" or "test".
        transformer: Called as `transformer(inputs, rng)` on the inputs of every batch,
            `(batch_size, 784)`, with the provider's own `rng`; returns an array of the same shape.
            `None` leaves them as they are.
    """

    num_classes = 10

    def __init__(
        self,
        images: mnist.ImageSet,
        which_set: str = "train",
        batch_size: int = 100,
        max_num_batches: int = -1,
        shuffle_order: bool = True,
        rng: checks.Rng | None = None,
        transformer: Transformer | None = None,
    ) -> None:
        inputs, targets = images.split(which_set)
        self.which_set = which_set
        # Private: in the course, a subclass sets a `transformer` of its own and calls it in `next`
        # after `super().next()`, which must not call it too.
        self._transformer = transformer
        super().__init__(inputs, targets, batch_size, max_num_batches, shuffle_order, rng)

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        inputs, targets = super().next()
        if self._transformer is not None:
            inputs = self._transformer(inputs, self.rng)
        return inputs, targets


class MNISTDataProvider(ImageSetDataProvider):
    """Batches of MNIST, in the course's split: 50 000 train, 10 000 valid, 10 000 test.

    Inputs are float32, `(batch_size, 784)`, pixels divided by 256; targets float64,
    `(batch_size, 10)`. `mnist.load` says where the files are looked for, and what it raises.
    """

    def __init__(
        self,
        which_set: str = "train",
        batch_size: int = 100,
        max_num_batches: int = -1,
        shuffle_order: bool = True,
        rng: checks.Rng | None = None,
    ) -> None:
        super().__init__(mnist.load(), which_set, batch_size, max_num_batches, shuffle_order, rng)


class AugmentedMNISTDataProvider(MNISTDataProvider):
    """Batches of MNIST, each transformed by `transformer(inputs, rng)`, which may be replaced."""

    def __init__(
        self,
        which_set: str = "train",
        batch_size: int = 100,
        max_num_batches: int = -1,
        shuffle_order: bool = True,
        rng: checks.Rng | None = None,
        transformer: Transformer | None = None,
    ) -> None:
        super().__init__(which_set, batch_size, max_num_batches, shuffle_order, rng)
        self._transformer = transformer

    @property
    def transformer(self) -> Transformer | None:
        """The transformation of the inputs of every batch; `None` for none."""
        return self._transformer

    @transformer.setter
    def transformer(self, value: Transformer | None) -> None:
        self._transformer = value


class MNISTAutoencoderDataProvider(MNISTDataProvider):
    """Batches of MNIST whose targets are the inputs, for a model that restores them."""

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        inputs, _ = super().next()
        return inputs, inputs


class DigitsDataProvider(ImageSetDataProvider):
    """Batches of the embedded digits (`mnist.digits`), for a machine without MNIST."""

    def __init__(
        self,
        which_set: str = "train",
        batch_size: int = 100,
        max_num_batches: int = -1,
        shuffle_order: bool = True,
        rng: checks.Rng | None = None,
        transformer: Transformer | None = None,
    ) -> None:
        super().__init__(
            mnist.digits(), which_set, batch_size, max_num_batches, shuffle_order, rng, transformer
        )
