"""Error functions: the distance of a model's outputs from their targets.

An error is called with outputs and targets, both `(batch_size, output_dim)`, and returns the mean
over the batch. Its `grad` returns the gradient of that mean with respect to the outputs,
`(batch_size, output_dim)`. Both have the dtype of the outputs, whatever that of the targets.
"""

import numpy as np


class Error:
    """The contract of all errors; a subclass defines `_value` and `_grad`."""

    def __call__(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        """Mean error of a batch.

        Args:
            outputs: Outputs of the model, `(batch_size, output_dim)`.
            targets: Targets, of the same shape.

        Returns:
            The mean over the batch, a scalar of the outputs' dtype.

        Raises:
            ValueError: If the shapes differ.
        """
        return self._value(*_fitting(outputs, targets))

    def grad(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Gradient of the mean error with respect to the outputs, `(batch_size, output_dim)`.

        Raises:
            ValueError: If the shapes differ.
        """
        return self._grad(*_fitting(outputs, targets))

    def _value(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        raise NotImplementedError

    def _grad(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def __repr__(self) -> str:
        return type(self).__name__


class SumOfSquaredDiffsError(Error):
    """Half the sum over outputs of `(y - t) ** 2`."""

    def _value(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        return 0.5 * np.mean(np.sum((outputs - targets) ** 2, axis=1))

    def _grad(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return (outputs - targets) / len(outputs)


class BinaryCrossEntropyError(Error):
    """Sum over outputs of `-(t log y + (1 - t) log(1 - y))`, outputs in (0, 1)."""

    def _value(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        log_likelihood = targets * np.log(outputs) + (1 - targets) * np.log(1 - outputs)
        return -np.mean(np.sum(log_likelihood, axis=1))

    def _grad(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return ((1 - targets) / (1 - outputs) - targets / outputs) / len(outputs)


class BinaryCrossEntropySigmoidError(Error):
    """Binary cross-entropy of the logistic sigmoid of the outputs, which are real numbers."""

    def _value(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        # -log sigmoid(y) = log(1 + exp(-y)), written so that no exponential overflows.
        log_partition = np.logaddexp(0, outputs)
        return np.mean(np.sum(log_partition - targets * outputs, axis=1))

    def _grad(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return (sigmoid(outputs) - targets) / len(outputs)


class CrossEntropyError(Error):
    """Sum over outputs of `-t log y`, where the outputs are probabilities above 0."""

    def _value(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        return -np.mean(np.sum(targets * np.log(outputs), axis=1))

    def _grad(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return -(targets / outputs) / len(outputs)


class CrossEntropySoftmaxError(Error):
    """Cross-entropy of the softmax of the outputs, which are real numbers (logits)."""

    def _value(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        log_partition = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return -np.mean(np.sum(targets * (shifted - log_partition), axis=1))

    def _grad(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        grads = softmax(outputs)
        grads -= targets
        grads /= len(outputs)
        return grads


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Logistic sigmoid, `1 / (1 + exp(-x))`, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * values))


def softmax(values: np.ndarray) -> np.ndarray:
    """Softmax over the last axis: positive numbers whose sum is 1."""
    values = as_floats(values)
    probabilities = np.exp(values - values.max(axis=-1, keepdims=True))
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    return probabilities


def as_floats(values: np.ndarray) -> np.ndarray:
    """The array itself, or integers as float64."""
    values = np.asarray(values)
    return values if values.dtype.kind == "f" else values.astype(float)


def _fitting(outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outputs as floats and the targets in their dtype, after a check of the shapes."""
    if np.shape(targets) != np.shape(outputs):
        raise ValueError(
            f"targets of shape {np.shape(targets)} do not fit outputs of shape {np.shape(outputs)}:"
            " they must be equal"
        )
    outputs = as_floats(outputs)
    return outputs, np.asarray(targets, dtype=outputs.dtype)
