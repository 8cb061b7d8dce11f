"""Batches of any data, in an order that is shuffled for each pass.

A provider is an iterator over `(inputs, targets)` batches; one `for` loop is one pass. Shuffles
compound: each permutes the current order. A provider shuffles when it is built and at the end of
each pass, with one call of `rng.permutation`, so that the draws from a shared `rng` are known.

A shuffle permutes row numbers only; a batch gathers its rows into a new array. Reading `inputs` or
`targets` puts the data themselves into the current order: this copies them once per shuffle, and
later batches contain what is written to these arrays, as in the course.
"""

from collections.abc import Iterator

import numpy as np

from mlpcw import checks


class _Rows:
    """An array and the order of its rows; reading all rows sorts the array into that order."""

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
            self._first = np.argsort(self.order)[self._first]  # the new numbers of those rows
            self.order = self._in_place
        return self.array


class DataProvider:
    """Batches of any data.

    Args:
        inputs: Inputs, `(num_data, ...)`.
        targets: Targets, `(num_data, ...)`.
        batch_size: Number of examples in a batch, at least 1 and at most `num_data`.
        max_num_batches: Greatest number of batches in one pass; -1 for all. A pass leaves out
            examples that do not fill a batch. All data are shuffled, so that the next short pass
            sees other examples.
        shuffle_order: Whether to shuffle before each pass.
        rng: A `RandomState` or a `Generator`; `None` takes fresh entropy.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its range, or inputs and targets differ in number.
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
        """All inputs in the current order, `(num_data, ...)`; may be set to as many others.

        They are the provider's own array, not a copy: later batches contain what is written to it.
        Before the first shuffle it is the array given to the provider, if that is writable.
        """
        return self._inputs.all()

    @inputs.setter
    def inputs(self, value: np.ndarray) -> None:
        self._replace("inputs", self._inputs, np.asarray(value))

    @property
    def targets(self) -> np.ndarray:
        """All targets in the current order, `(num_data, ...)`, as `inputs`."""
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
        """Greatest number of batches in one pass; -1 for all."""
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
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray]:
        return self.next()

    def new_epoch(self) -> None:
        """Starts a new pass, shuffled if `shuffle_order`."""
        self._curr_batch = 0
        if self.shuffle_order:
            self.shuffle()

    def reset(self) -> None:
        """Restores the first order, then starts a new pass as a new provider does."""
        self._inputs.reset()
        self._targets.reset()
        self.new_epoch()

    def shuffle(self) -> None:
        """Permutes the current order, with one draw of `rng.permutation(num_data)`."""
        permutation = self.rng.permutation(self._num_data)
        self._inputs.shuffle(permutation)
        self._targets.shuffle(permutation)

    def next(self) -> tuple[np.ndarray, np.ndarray]:
        """The next batch: inputs `(batch_size, ...)` and targets `(batch_size, ...)`, new arrays.

        Raises:
            StopIteration: At the end of a pass; the next pass has then begun.
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
    """Batches whose targets are classes, as rows with a single 1.

    The given targets are whole numbers from 0, `(num_data,)`; those of a batch are
    `(batch_size, num_classes)`, float64. `num_classes` is one more than the largest target, unless
    a subclass has set it.

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
