"""Slow oracles: each says in the plainest way what a fast function of the library must compute.

They are written for reading, one number or one image at a time, from the formula or over SciPy, and
share no code with the library.
"""

import math

import numpy as np
from scipy import ndimage

# ---- convolution: the sum of its definition, one pixel and one number of a kernel at a time ----


def _taps(kernels, height, width):
    """Output pixel (i, j), the kernel's number (p, q) and the input pixel that it meets there."""
    kernel_height, kernel_width = kernels.shape[2:]
    for i, j, p, q in np.ndindex(height, width, kernel_height, kernel_width):
        yield np.s_[:, :, i, j], np.s_[:, :, -1 - p, -1 - q], np.s_[:, :, i + p, j + q]


def convolve(inputs, kernels):
    """Outputs of the true, 'valid' convolution with stride 1."""
    height, width = (a - b + 1 for a, b in zip(inputs.shape[2:], kernels.shape[2:], strict=True))
    outputs = np.zeros((len(inputs), len(kernels), height, width))
    for output, number, pixel in _taps(kernels, height, width):
        outputs[output] += inputs[pixel] @ kernels[number].T
    return outputs


def convolution_gradients(inputs, kernels, grads):
    """Gradients with respect to inputs and kernels: each product of the sum gives to both."""
    grads_wrt_inputs, grads_wrt_kernels = np.zeros(inputs.shape), np.zeros(kernels.shape)
    for output, number, pixel in _taps(kernels, *grads.shape[2:]):
        grads_wrt_inputs[pixel] += grads[output] @ kernels[number]
        grads_wrt_kernels[number] += grads[output].T @ inputs[pixel]
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
        dx = displacement_field(uniform_noise(rng, images), alpha, sigma)
        dy = displacement_field(uniform_noise(rng, images), alpha, sigma)
        outputs[index] = distort(images[index], dx, dy)
    return outputs


def uniform_noise(rng, images):
    """Noise for one image: of 16 bits a pixel, low bits first, for float32 from a `Generator`."""
    shape = images.shape[1:]
    if images.dtype != np.float32 or isinstance(rng, np.random.RandomState):
        return rng.random(shape) * 2 - 1
    words = rng.integers(0, 2**64, size=math.prod(shape) // 4, dtype=np.uint64)
    parts = [int(word) >> bits & 0xFFFF for word in words for bits in (0, 16, 32, 48)]
    signed = [part - 0x10000 if part >= 0x8000 else part for part in parts]
    return np.reshape(signed, shape) / 0x8000


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


# ---- layers, one number at a time -------------------------------------------------------------
#
# Each takes what `fprop` and then `bprop` of the layer take, and returns outputs, gradients with
# respect to the inputs and, where there are any, with respect to each parameter.


def affine(inputs, grads, weights, biases):
    outputs, grads_in = np.zeros_like(grads), np.zeros_like(inputs)
    grads_w, grads_b = np.zeros_like(weights), np.zeros_like(biases)
    for b in range(len(inputs)):
        for k in range(len(weights)):
            outputs[b, k] = biases[k]
            grads_b[k] += grads[b, k]
            for d in range(weights.shape[1]):
                outputs[b, k] += weights[k, d] * inputs[b, d]
                grads_in[b, d] += grads[b, k] * weights[k, d]
                grads_w[k, d] += grads[b, k] * inputs[b, d]
    return outputs, grads_in, grads_w, grads_b


def convolutional(inputs, grads, kernels, biases):
    outputs = convolve(inputs, kernels) + biases[:, None, None]
    grads_in, grads_k = convolution_gradients(inputs, kernels, grads)
    grads_b = [sum(grads[:, o].flat) for o in range(len(biases))]
    return outputs, grads_in, grads_k, np.array(grads_b)


def _elementwise(function, derivative, inputs, grads):
    outputs = [function(x) for x in inputs.flat]
    grads_in = [g * derivative(x) for x, g in zip(inputs.flat, grads.flat, strict=True)]
    return np.reshape(outputs, inputs.shape), np.reshape(grads_in, inputs.shape)


def sigmoid(inputs, grads):
    return _elementwise(
        lambda x: 1 / (1 + math.exp(-x)), lambda x: 0.25 / math.cosh(x / 2) ** 2, inputs, grads
    )


def relu(inputs, grads):
    return _elementwise(
        lambda x: x if x > 0 else 0.0, lambda x: 1.0 if x > 0 else 0.0, inputs, grads
    )


def tanh(inputs, grads):
    return _elementwise(math.tanh, lambda x: 1 / math.cosh(x) ** 2, inputs, grads)


def softmax(inputs, grads):
    """The whole Jacobian, `dy_i / dx_j = y_i (delta_ij - y_j)`."""
    outputs, grads_in = np.zeros_like(inputs), np.zeros_like(inputs)
    for b, row in enumerate(inputs):
        total = sum(math.exp(x) for x in row)
        y = [math.exp(x) / total for x in row]
        outputs[b] = y
        for i in range(len(y)):
            for j in range(len(y)):
                grads_in[b, j] += grads[b, i] * y[i] * ((i == j) - y[j])
    return outputs, grads_in


def reshape(inputs, grads):
    outputs, grads_in = np.zeros_like(grads), np.zeros_like(inputs)
    outputs.flat = list(inputs.flat)
    grads_in.flat = list(grads.flat)
    return outputs, grads_in


def radial_basis_functions(inputs, grads, grid_dim, intervals):
    """The outputs of dimension 0 first; the points of the grid as `numpy.meshgrid` lists them."""
    num_dims, num_points = len(intervals), grid_dim ** len(intervals)
    grid = np.stack(
        [g.ravel() for g in np.meshgrid(*[np.linspace(*i, grid_dim) for i in intervals])]
    )
    outputs, grads_in = np.zeros_like(grads), np.zeros_like(inputs)
    for b in range(len(inputs)):
        for d, (low, high) in enumerate(intervals):
            scale = (high - low) / grid_dim
            for n in range(num_points):
                distance = inputs[b, d] - grid[d, n]
                value = math.exp(-(distance**2) / scale**2)
                outputs[b, d * num_points + n] = value
                slope = -2 * distance / scale**2 * value
                grads_in[b, d] += grads[b, d * num_points + n] * slope
    assert outputs.shape[1] == num_dims * num_points
    return outputs, grads_in


def _first_maximum(inputs, indices):
    """Of some indices into an array, that of the largest value, the first where there are two."""
    best = indices[0]
    for index in indices[1:]:
        if inputs[index] > inputs[best]:
            best = index
    return best


def max_pooling(inputs, grads, pool_size):
    """Pools along the last axis of a matrix."""
    outputs, grads_in = np.zeros_like(grads), np.zeros_like(inputs)
    for b, k in np.ndindex(grads.shape):
        best = _first_maximum(inputs, [(b, k * pool_size + n) for n in range(pool_size)])
        outputs[b, k] = inputs[best]
        grads_in[best] += grads[b, k]
    return outputs, grads_in


def max_pooling_2d(inputs, grads, pool_size):
    """Square windows over the last two of four axes."""
    outputs, grads_in = np.zeros_like(grads), np.zeros_like(inputs)
    for b, c, i, j in np.ndindex(grads.shape):
        window = [
            (b, c, i * pool_size + y, j * pool_size + x)
            for y in range(pool_size)
            for x in range(pool_size)
        ]
        best = _first_maximum(inputs, window)
        outputs[b, c, i, j] = inputs[best]
        grads_in[best] += grads[b, c, i, j]
    return outputs, grads_in


def dropout(inputs, grads, incl_prob, rng, share_across_batch):
    """One uniform number an input (an input of the first example, where the mask is shared)."""
    outputs, grads_in = np.zeros_like(inputs), np.zeros_like(inputs)
    shape = inputs.shape[1:] if share_across_batch else inputs.shape
    drawn = [rng.uniform() for _ in range(math.prod(shape))]
    drawn = np.broadcast_to(np.reshape(drawn, shape), inputs.shape)
    for index in np.ndindex(inputs.shape):
        if drawn[index] < incl_prob:
            outputs[index] = inputs[index]
            grads_in[index] = grads[index]
    return outputs, grads_in


# ---- penalties and errors, one number at a time ------------------------------------------------
#
# Each returns the value and its gradient with respect to the first argument.


def l1_penalty(parameter, coefficient):
    value = coefficient * sum(math.fabs(w) for w in parameter.flat)
    grads = [math.copysign(coefficient, w) for w in parameter.flat]
    return value, np.reshape(grads, parameter.shape)


def l2_penalty(parameter, coefficient):
    value = coefficient / 2 * sum(w * w for w in parameter.flat)
    return value, np.reshape([coefficient * w for w in parameter.flat], parameter.shape)


def l1_l2_penalty(parameter, l1_coefficient, l2_coefficient):
    l1, l1_grads = l1_penalty(parameter, l1_coefficient)
    l2, l2_grads = l2_penalty(parameter, l2_coefficient)
    return (l1 + l2) / 2, (l1_grads + l2_grads) / 2


def _mean_over_batch(value, slope, outputs, targets):
    """`value(y, t)` summed over all outputs, and `slope(y, t)` of each, both over the batch."""
    total, grads = 0.0, np.zeros_like(outputs)
    for index in np.ndindex(outputs.shape):
        total += value(outputs[index], targets[index])
        grads[index] = slope(outputs[index], targets[index]) / len(outputs)
    return total / len(outputs), grads


def sum_of_squared_diffs(outputs, targets):
    return _mean_over_batch(lambda y, t: (y - t) ** 2 / 2, lambda y, t: y - t, outputs, targets)


def binary_cross_entropy(outputs, targets):
    return _mean_over_batch(
        lambda y, t: -t * math.log(y) - (1 - t) * math.log(1 - y),
        lambda y, t: (y - t) / (y * (1 - y)),
        outputs,
        targets,
    )


def binary_cross_entropy_sigmoid(outputs, targets):
    return _mean_over_batch(
        lambda y, t: t * math.log(1 + math.exp(-y)) + (1 - t) * math.log(1 + math.exp(y)),
        lambda y, t: (1 - t) / (1 + math.exp(-y)) - t / (1 + math.exp(y)),
        outputs,
        targets,
    )


def cross_entropy(outputs, targets):
    return _mean_over_batch(lambda y, t: -t * math.log(y), lambda y, t: -t / y, outputs, targets)


def cross_entropy_softmax(outputs, targets):
    """Of two plain steps: the softmax layer, then the error of its probabilities."""
    probabilities, _ = softmax(outputs, np.zeros_like(outputs))
    value, grads_wrt_probabilities = cross_entropy(probabilities, targets)
    return value, softmax(outputs, grads_wrt_probabilities)[1]
