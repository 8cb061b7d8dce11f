"""Data providers: data sets as batches, in an order that is shuffled anew for each pass.

A provider is an iterator over `(inputs, targets)` batches that can be iterated again and again.
Shuffles compound: each permutes the order as it stands. A provider shuffles when it is built and
whenever a pass over it is exhausted, one `rng.permutation` each, so that whoever shares its `rng`
can say exactly which numbers are drawn when.

A shuffle permutes an order; a batch is gathered by it, as a new array. The data themselves are put
into the order as it stands when somebody reads all of them, `inputs` or `targets`, and stay there:
that copies them once after a shuffle, not at each reading, and what is then written to them is in
the batches that follow, as in the course.
"""

from collections.abc import Callable, Iterator

import numpy as np

from mlpcw import checks, mnist

Transformer = Callable[[np.ndarray, checks.Rng], np.ndarray]


class _Rows:
    """An array and the order of its rows, which is put into effect when they are all read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self._in_place = self._first = self.order = np.arange(len(array))

    def shuffle(self, permutation: np.ndarray) -> None:
        self.order = self.order[permutation]

    def reset(self) -> None:
        self.order = self._first

    def all(self) -> np.ndarray:
        if self.order is not self._in_place or not self.array.flags.writeable:
            self.array = self.array[self.order]
            self._first = np.argsort(self.order)[self._first]  # where those rows are now
            self.order = self._in_place
        return self.array


class DataProvider:
    """Batches of any data.

    Args:
        inputs: Inputs, `(num_data, ...)`.
        targets: Targets, `(num_data, ...)`.
        batch_size: Number of examples in a batch, at least 1 and at most `num_data`.
        max_num_batches: Most batches in one pass; -1 for all. Examples that do not fill a batch
            are left out of the pass. The shuffle is of all data, so that the next pass over fewer
            batches sees other examples.
        shuffle_order: Whether to shuffle before each pass.
        rng: A `RandomState` or a `Generator`; `None` takes fresh entropy.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of its range, or inputs and targets differ in number.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        batch_size: int,
        max_num_batches: int = -1,
        shuffle_order: bool = True,
        rng: checks.Rng | None = None,
    ) -> None:
        if len(inputs) != len(targets):
            raise ValueError(
                f"inputs and targets must have the same length, got shapes {np.shape(inputs)} and"
                f" {np.shape(targets)}"
            )
        self._inputs = _Rows(np.asarray(inputs))
        self._targets = _Rows(self._as_targets(targets))
        self._num_data = len(inputs)
        self.batch_size = batch_size
        self.max_num_batches = max_num_batches
        self.shuffle_order = shuffle_order
        self.rng = checks.as_rng(rng)
        self.new_epoch()

    @property
    def inputs(self) -> np.ndarray:
        """All inputs in the order as it stands, `(num_data, ...)`; may be set to as many others.

        They are the provider's own array, not a copy: what is written to it is handed out. Before
        the first shuffle it is the array that the provider was given, if that may be written to.
        """
        return self._inputs.all()

    @inputs.setter
    def inputs(self, value: np.ndarray) -> None:
        self._replace("inputs", self._inputs, np.asarray(value))

    @property
    def targets(self) -> np.ndarray:
        """All targets in the order as it stands, `(num_data, ...)`, as `inputs`."""
        return self._targets.all()

    @targets.setter
    def targets(self, value: np.ndarray) -> None:
        self._replace("targets", self._targets, self._as_targets(value))

    def _replace(self, name: str, rows: _Rows, value: np.ndarray) -> None:
        if np.shape(value)[:1] != (self._num_data,):
            raise ValueError(
                f"{name} must be {self._num_data} examples, as many as before, got shape"
                f" {np.shape(value)}"
            )
        rows.all()
        rows.array = value

    def _as_targets(self, targets: np.ndarray) -> np.ndarray:
        """Targets as they are kept."""
        return np.asarray(targets)

    @property
    def batch_size(self) -> int:
        """Number of examples in a batch."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, value: int) -> None:
        if checks.whole_number("batch_size", value, low=1) > self._num_data:
            raise ValueError(
                f"batch_size must be at most the number of examples, {self._num_data}, got {value}"
            )
        self._batch_size = int(value)

    @property
    def max_num_batches(self) -> int:
        """Most batches in one pass; -1 for all."""
        return self._max_num_batches

    @max_num_batches.setter
    def max_num_batches(self, value: int) -> None:
        if checks.whole_number("max_num_batches", value, low=-1) == 0:
            raise ValueError("max_num_batches must be -1 (all) or at least 1, got 0")
        self._max_num_batches = int(value)

    @property
    def num_batches(self) -> int:
        """Number of batches in one pass."""
        possible = self._num_data // self.batch_size
        return possible if self.max_num_batches == -1 else min(self.max_num_batches, possible)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The provider itself: one `for` loop is one pass."""
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray]:
        return self.next()

    def new_epoch(self) -> None:
        """Starts a new pass, shuffled where `shuffle_order`."""
        self._curr_batch = 0
        if self.shuffle_order:
            self.shuffle()

    def reset(self) -> None:
        """Goes back to the first order, then starts a new pass as a new provider does."""
        self._inputs.reset()
        self._targets.reset()
        self.new_epoch()

    def shuffle(self) -> None:
        """Permutes the order as it stands, with one draw of `rng.permutation(num_data)`."""
        permutation = self.rng.permutation(self._num_data)
        self._inputs.shuffle(permutation)
        self._targets.shuffle(permutation)

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        """The next batch: inputs `(batch_size, ...)` and targets `(batch_size, ...)`, new arrays.

        Raises:
            StopIteration: At the end of a pass; a new pass has then been started.
        """
        if self._curr_batch >= self.num_batches:
            self.new_epoch()
            raise StopIteration
        start = self._curr_batch * self.batch_size
        batch = slice(start, start + self.batch_size)
        self._curr_batch += 1
        inputs, targets = self._inputs, self._targets
        return inputs.array[inputs.order[batch]], targets.array[targets.order[batch]]


class OneOfKDataProvider(DataProvider):
    """Batches whose targets are classes, handed out as rows with a single 1.

    The targets given are whole numbers from 0, `(num_data,)`; those of a batch are
    `(batch_size, num_classes)`, float64. `num_classes` is one more than the largest target, unless
    a subclass has set it before.

    Raises:
        ValueError: If the targets are not whole numbers in [0, num_classes).
    """

    def _as_targets(self, targets: np.ndarray) -> np.ndarray:
        targets = np.asarray(targets)
        if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer):
            raise ValueError(
                "targets must be whole numbers, (num_data,), got shape"
                f" {targets.shape} and dtype {targets.dtype}"
            )
        if not hasattr(self, "num_classes"):
            self.num_classes = int(targets.max(initial=0)) + 1
        if not np.all((targets >= 0) & (targets < self.num_classes)):
            raise ValueError(
                f"targets must be whole numbers in [0, {self.num_classes}), got {targets.min()} to"
                f" {targets.max()}"
            )
        self._rows = np.eye(self.num_classes)
        return targets

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        inputs, int_targets = super().next()
        return inputs, self.to_one_of_k(int_targets)

    def to_one_of_k(self, int_targets: np.ndarray) -> np.ndarray:
        """Classes as rows with a single 1.

        Args:
            int_targets: Whole numbers in [0, num_classes), `(num_targets,)`.

        Returns:
            `(num_targets, num_classes)`, float64.
        """
        return self._rows[int_targets]


class ImageSetDataProvider(OneOfKDataProvider):
    """Batches of one split of an image set.

    Args:
        images: The image set, from `mnist.load` or `mnist.digits`.
        which_set: "train", "valid" or "test".
        batch_size: Number of images in a batch.
        max_num_batches: Most batches in one pass; -1 for all.
        shuffle_order: Whether to shuffle before each pass.
        rng: A `RandomState` or a `Generator`; `None` takes fresh entropy.
        transformer: Called as `transformer(inputs, rng)` on the inputs of every batch,
            `(batch_size, 784)`; returns an array of the same shape. `None` leaves them as they are.

    Raises:
        ValueError: If `which_set` is unknown, or an argument is out of its range.
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
        # Private: the course's way to augment is a subclass that keeps a `transformer` of its own
        # and calls it in `next`, after `super().next()`; it must not be called there too.
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
    `(batch_size, 10)`. The files are searched where `mnist.load` says.

    Raises:
        FileNotFoundError: If MNIST is not there.
        ValueError: If a file is damaged, or an argument is wrong.
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
    """Batches of MNIST, each handed through `transformer(inputs, rng)`.

    As `MNISTDataProvider`; the transformer draws from the provider's own `rng`.
    """

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
        """What the inputs of every batch are handed through; `None` for nothing."""
        return self._transformer

    @transformer.setter
    def transformer(self, value: Transformer | None) -> None:
        self._transformer = value


class MNISTAutoencoderDataProvider(MNISTDataProvider):
    """Batches of MNIST whose targets are the inputs themselves, for a model that restores them."""

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        inputs, _ = super().next()
        return inputs, inputs


class DigitsDataProvider(ImageSetDataProvider):
    """Batches of the embedded digits, for a machine without MNIST; the same interface.

    1000 train, 397 valid and 400 test images of scikit-learn's digits, resampled to 28 x 28.
    """

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
