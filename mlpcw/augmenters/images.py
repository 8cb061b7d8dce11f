"""Batches of images: view, precision, and a check of arguments with one entry an image."""

from collections.abc import Callable

import numpy as np


def as_images(inputs: np.ndarray) -> np.ndarray:
    """Returns a view of flat or two-dimensional images as (batch_size, height, width)."""
    if not np.issubdtype(inputs.dtype, np.floating):
        raise TypeError(f"inputs must be floating-point numbers, got dtype {inputs.dtype}")
    if inputs.ndim == 3:
        return inputs
    if inputs.ndim == 2:
        side = round(inputs.shape[1] ** 0.5)
        if side * side == inputs.shape[1]:
            return inputs.reshape(len(inputs), side, side)  # (batch_size, side, side)
    raise ValueError(
        "inputs must have shape (batch_size, side * side) or (batch_size, height, width), "
        f"got {inputs.shape}"
    )


def precision(array: np.ndarray) -> type:
    """Returns the dtype that an array is computed with: float32 for float32, else float64."""
    return np.float32 if array.dtype == np.float32 else np.float64


def changed(
    images: np.ndarray, change: Callable[..., None], name: str, argument: np.ndarray, *axes: int
) -> np.ndarray:
    """Returns a copy of all images, in their precision, changed in place by `change`.

    Raises:
        ValueError: Unless the argument has one entry of shape `axes` for each image.
    """
    if images.ndim != 3:
        raise ValueError(f"images must have shape (num_images, height, width), got {images.shape}")
    expected = (len(images), *axes)
    if np.shape(argument) != expected:
        raise ValueError(
            f"{name} must have shape {expected} for images of shape {images.shape},"
            f" got {np.shape(argument)}"
        )
    outputs = np.array(images, precision(images), order="C")
    change(outputs, np.arange(len(outputs)), np.asarray(argument))
    return outputs
