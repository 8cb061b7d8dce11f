"""Slow oracles: each says in the plainest way what a fast function of the library must compute.

They are written for reading, one number or one image at a time, from the formula or over SciPy, and
share no code with the library.
"""

import numpy as np
from scipy import ndimage

# ---- convolution: the sum of its definition, one output at a time ----------------------------


def convolve(inputs, kernels):
    """Outputs of the true, 'valid' convolution with stride 1."""
    batch_size, num_input_channels, height, width = inputs.shape
    num_output_channels, _, kernel_height, kernel_width = kernels.shape
    outputs = np.zeros(
        (batch_size, num_output_channels, height - kernel_height + 1, width - kernel_width + 1)
    )
    for b, o, i, j in np.ndindex(outputs.shape):
        for c, p, q in np.ndindex(num_input_channels, kernel_height, kernel_width):
            kernel_value = kernels[o, c, kernel_height - 1 - p, kernel_width - 1 - q]
            outputs[b, o, i, j] += kernel_value * inputs[b, c, i + p, j + q]
    return outputs


def convolution_gradients(inputs, kernels, grads_wrt_outputs):
    """Gradients with respect to inputs and kernels: each product of the sum gives to both."""
    _, num_input_channels, kernel_height, kernel_width = kernels.shape
    grads_wrt_inputs, grads_wrt_kernels = np.zeros(inputs.shape), np.zeros(kernels.shape)
    for b, o, i, j in np.ndindex(grads_wrt_outputs.shape):
        for c, p, q in np.ndindex(num_input_channels, kernel_height, kernel_width):
            kernel = (o, c, kernel_height - 1 - p, kernel_width - 1 - q)
            pixel = (b, c, i + p, j + q)
            grads_wrt_inputs[pixel] += kernels[kernel] * grads_wrt_outputs[b, o, i, j]
            grads_wrt_kernels[kernel] += inputs[pixel] * grads_wrt_outputs[b, o, i, j]
    return grads_wrt_inputs, grads_wrt_kernels


# ---- augmenters: SciPy, one image at a time, with the draws of 2016 --------------------------


def rotate(image, angle):
    """An image rotated about its centre by an angle in degrees."""
    return ndimage.rotate(image, angle, order=1, reshape=False)


def displacement_field(noise, alpha, sigma):
    """A field of displacements along one axis, in pixels."""
    return ndimage.gaussian_filter(noise, sigma, mode="constant") * alpha


def distort(image, dx, dy):
    """An image read at (y + dy, x + dx)."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return ndimage.map_coordinates(image, (y + dy, x + dx), order=1)


def shift(image, down, right, order=3):
    """An image moved down and right by pixels."""
    return ndimage.shift(image, (down, right), order=order)


def random_rotation(images, rng, max_angle=30.0, fraction=0.25):
    """Images (batch_size, height, width), some of them rotated."""
    outputs = images.copy()
    indices = rng.choice(len(images), int(len(images) * fraction), replace=False)
    angles = rng.uniform(-1, 1, size=len(indices)) * max_angle
    for index, angle in zip(indices, angles, strict=True):
        outputs[index] = rotate(images[index], angle)
    return outputs


def random_distortion(images, rng, alpha=34.0, sigma=4.0, fraction=0.25):
    """Images (batch_size, height, width), some of them distorted."""
    outputs = images.copy()
    for index in rng.choice(len(images), int(len(images) * fraction), replace=False):
        dx = displacement_field(rng.random(images.shape[1:]) * 2 - 1, alpha, sigma)
        dy = displacement_field(rng.random(images.shape[1:]) * 2 - 1, alpha, sigma)
        outputs[index] = distort(images[index], dx, dy)
    return outputs


def random_shift(images, rng, max_shift=4.0, fraction=0.25, order=3):
    """Images (batch_size, height, width), some of them moved."""
    outputs = images.copy()
    for index in rng.choice(len(images), int(len(images) * fraction), replace=False):
        down = rng.uniform(-1, 1) * max_shift
        right = rng.uniform(-1, 1) * max_shift
        outputs[index] = shift(images[index], down, right, order)
    return outputs


def random_noise(images, rng, std=0.1**0.5, fraction=0.25, per_pixel=False):
    """Images (batch_size, height, width), some of them lighter or darker, or noisy."""
    outputs = images.copy()
    for index in rng.choice(len(images), int(len(images) * fraction), replace=False):
        outputs[index] += rng.normal(0.0, std, images.shape[1:] if per_pixel else None)
    return outputs
