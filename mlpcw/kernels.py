"""Loops that NumPy cannot vectorise, compiled with Numba."""

import math

import numpy as np

from mlpcw.compiled import kernel

# ---- sampling images -------------------------------------------------------------------------


@kernel()
def sample_bilinear(
    images: np.ndarray,
    chosen: np.ndarray,
    offsets: np.ndarray,
    matrices: np.ndarray,
    displacements: np.ndarray,
) -> None:
    """Does in place what `augmenters._sample_bilinear` does, and takes its arguments.

    It keeps one image and its coordinates in the first cache and makes no array a batch long. A
    rotation takes 2.9 in place of NumPy's 35 microseconds an image of 28 x 28 pixels, a distortion
    of float32 images 6 in place of 19, most of them for its fields (`benchmarks/augmentation.py`).
    """
    height, width = images.shape[1:]
    size = height * width
    real = displacements.dtype.type
    zero = real(0)
    below = width + 2  # from a pixel to the one below it
    # Two rows and two columns of zeros more. What is outside is read there, at row `height` or at
    # column `width`, so that no index leaves the array, whatever a coordinate is.
    padded = np.zeros((height + 2) * below, displacements.dtype)
    rows = np.empty(size, displacements.dtype)
    columns = np.empty(size, displacements.dtype)
    for p in range(size):
        rows[p], columns[p] = p // width, p % width
    corners = np.empty((2, size), np.int32)  # of the four neighbours of p the upper left one
    parts = np.empty((2, size), displacements.dtype)  # how far it is from there, 0 to 1
    for k in range(len(chosen)):
        image = images[chosen[k]]
        for y in range(height):
            for x in range(width):
                padded[y * below + x] = image[y, x]
        # Coordinates first, then pixels: the first loop has no look-ups, and is done in vectors.
        for axis in range(2):
            offset = offsets[k % len(offsets), axis]
            matrix = matrices[k % len(matrices), axis]
            along_y, along_x = matrix[0], matrix[1]
            displacement = displacements[k % len(displacements), 1 - axis]
            corner, part = corners[axis], parts[axis]
            extent = np.int32(width if axis else height)
            step = np.int32(1 if axis else below)
            last = real(extent - 1)
            for p in range(size):
                at = offset + rows[p] * along_y + columns[p] * along_x + displacement[p]
                inside = (at >= zero) & (at <= last)  # not for NaN
                at = at if inside else zero
                pixel = np.int32(at)
                part[p] = at - real(pixel)
                corner[p] = (pixel if inside else extent) * step
        pixels = image.reshape(size)
        for p in range(size):
            # unsigned, so that Numba does not ask each index whether it counts from the end
            top = np.uint32(corners[0, p]) + np.uint32(corners[1, p])
            bottom = top + np.uint32(below)
            right = parts[1, p]
            above = padded[top] + (padded[top + np.uint32(1)] - padded[top]) * right
            under = padded[bottom] + (padded[bottom + np.uint32(1)] - padded[bottom]) * right
            pixels[p] = above + (under - above) * parts[0, p]


@kernel()
def shift_cubic(
    images: np.ndarray, chosen: np.ndarray, offsets: np.ndarray, coefficients: np.ndarray
) -> None:
    """Moves the chosen images in place, each by its own offsets, reading them with cubic splines.

    A shift is the same for all pixels, so each axis has four weights an image: 3.2 microseconds an
    image of 28 x 28 pixels, float32, in place of 22 for a product with a matrix of weights from
    each side (`benchmarks/augmentation.py`).

    Args:
        images: Shape (num_images, height, width).
        chosen: Indices of images, shape (num_chosen,).
        offsets: Pixels down, then right, shape (num_chosen, 2).
        coefficients: Of the splines through the chosen images, two more on each side: shape
            (num_chosen, height + 4, width + 4).
    """
    height, width = images.shape[1:]
    stride = width + 4  # from a coefficient to the one below it
    weights = np.empty((2, 4), coefficients.dtype)
    first = np.empty(2, np.int64)  # coefficient that output 0 begins with
    low, high = np.empty(2, np.int64), np.empty(2, np.int64)  # outputs that are inside the image
    # What is read from the columns of the coefficients, with a row more above and below, and then
    # from its rows. It is read across their ends, where it has no meaning, since a loop over a
    # single row is too short to be done in vectors.
    padded = np.zeros((height + 2) * stride, coefficients.dtype)
    between = padded[stride:]
    values = np.empty(height * stride, coefficients.dtype)
    for k in range(len(chosen)):
        image = images[chosen[k]]
        down, right = offsets[k]
        if not (abs(down) < height and abs(right) < width):
            image[:] = 0  # nothing of it is left; nor is it if an offset is NaN
            continue
        for axis in range(2):
            offset, extent = offsets[k, axis], image.shape[axis]
            low[axis], high[axis] = 0, extent
            while low[axis] - offset < 0:
                low[axis] += 1
            while high[axis] - 1 - offset > extent - 1:
                high[axis] -= 1
            first[axis] = math.floor(-offset) + 1
            t = -offset - math.floor(-offset)
            weights[axis, 0] = (1 - t) ** 3 / 6
            weights[axis, 1] = (4 - 6 * t**2 + 3 * t**3) / 6
            weights[axis, 2] = (1 + 3 * t + 3 * t**2 - 3 * t**3) / 6
            weights[axis, 3] = t**3 / 6
        if down == math.floor(down) and right == math.floor(right):
            # A spline passes through its pixels, and this copies them exactly.
            before = image.copy()
            image[:] = 0
            for y in range(low[0], high[0]):
                for x in range(low[1], high[1]):
                    image[y, x] = before[y - int(down), x - int(right)]
            continue
        count = (high[0] - low[0]) * stride
        # Slices, all read at p: of an index p + 1 Numba would ask whether it counts from the end.
        column = coefficients[k].reshape(-1)[(low[0] + first[0]) * stride :]
        one, two = column, column[stride:]
        three, four = column[2 * stride :], column[3 * stride :]
        a, b, c, d = weights[0]
        for p in range(count):
            between[p] = a * one[p] + b * two[p] + c * three[p] + d * four[p]
        a, b, c, d = weights[1]
        row = padded[stride + first[1] :]
        one, two, three, four = row, row[1:], row[2:], row[3:]
        for p in range(count):
            values[p] = a * one[p] + b * two[p] + c * three[p] + d * four[p]
        image[:] = 0
        for y in range(low[0], high[0]):
            for x in range(low[1], high[1]):
                image[y, x] = values[(y - low[0]) * stride + x]


# ---- convolution -----------------------------------------------------------------------------

# Sums may be added up in any order, so that they are computed many at a time.
_ANY_ORDER = {"reassoc", "contract"}


@kernel(fastmath=_ANY_ORDER)
def correlate(
    images: np.ndarray, starts: np.ndarray, weights: np.ndarray, sums: np.ndarray
) -> None:
    """Adds up shifted copies of images: what each row of weights makes of the pixels around.

    Eight taps (a weight and a shift) in each pass over a row of the output take half the time of
    one tap a pass: there is less to load and store. One channel to one, 5 x 5 to 15 x 15, this is
    2.5 to 3 times as fast as what NumPy does best (`benchmarks/convolution.py`).

    Args:
        images: Shape (num_input_channels, height, width * batch_size): for each pixel its value in
            all images.
        starts: Where each tap begins in the flat images, for the first row of the output. Shape
            (num_taps,); no tap may reach beyond the last row of its channel.
        weights: Shape (num_output_channels, num_taps).
        sums: Shape (num_output_channels, output_height, output_width * batch_size), to be filled.
    """
    num_output_channels, output_height, length = sums.shape
    num_taps, row = len(starts), images.shape[2]
    pixels = images.ravel()
    for i in range(output_height):
        for o in range(num_output_channels):
            total, w = sums[o, i], weights[o]
            total[:] = 0
            for t in range(0, num_taps - 7, 8):
                a = pixels[starts[t] + i * row :][:length]
                b = pixels[starts[t + 1] + i * row :][:length]
                c = pixels[starts[t + 2] + i * row :][:length]
                d = pixels[starts[t + 3] + i * row :][:length]
                e = pixels[starts[t + 4] + i * row :][:length]
                f = pixels[starts[t + 5] + i * row :][:length]
                g = pixels[starts[t + 6] + i * row :][:length]
                h = pixels[starts[t + 7] + i * row :][:length]
                wa, wb, wc, wd = w[t], w[t + 1], w[t + 2], w[t + 3]
                we, wf, wg, wh = w[t + 4], w[t + 5], w[t + 6], w[t + 7]
                for n in range(length):
                    total[n] += (wa * a[n] + wb * b[n] + wc * c[n] + wd * d[n]) + (
                        we * e[n] + wf * f[n] + wg * g[n] + wh * h[n]
                    )
            for t in range(num_taps - num_taps % 8, num_taps):
                a, wa = pixels[starts[t] + i * row :][:length], w[t]
                for n in range(length):
                    total[n] += wa * a[n]


@kernel(fastmath=_ANY_ORDER)
def correlate_grads(
    images: np.ndarray, starts: np.ndarray, grads: np.ndarray, grads_wrt_weights: np.ndarray
) -> None:
    """Adds to the gradients with respect to the weights of `correlate`, eight taps at a time.

    Args:
        images: As of `correlate`.
        starts: As of `correlate`.
        grads: Gradients with respect to `sums`, of their shape.
        grads_wrt_weights: Shape (num_output_channels, num_taps), to be added to.
    """
    num_output_channels, output_height, length = grads.shape
    num_taps, row = len(starts), images.shape[2]
    pixels = images.ravel()
    for i in range(output_height):
        for o in range(num_output_channels):
            grad, total = grads[o, i], grads_wrt_weights[o]
            for t in range(0, num_taps - 7, 8):
                a = pixels[starts[t] + i * row :][:length]
                b = pixels[starts[t + 1] + i * row :][:length]
                c = pixels[starts[t + 2] + i * row :][:length]
                d = pixels[starts[t + 3] + i * row :][:length]
                e = pixels[starts[t + 4] + i * row :][:length]
                f = pixels[starts[t + 5] + i * row :][:length]
                g = pixels[starts[t + 6] + i * row :][:length]
                h = pixels[starts[t + 7] + i * row :][:length]
                sa = sb = sc = sd = se = sf = sg = sh = grads.dtype.type(0)
                for n in range(length):
                    sa += grad[n] * a[n]
                    sb += grad[n] * b[n]
                    sc += grad[n] * c[n]
                    sd += grad[n] * d[n]
                    se += grad[n] * e[n]
                    sf += grad[n] * f[n]
                    sg += grad[n] * g[n]
                    sh += grad[n] * h[n]
                total[t] += sa
                total[t + 1] += sb
                total[t + 2] += sc
                total[t + 3] += sd
                total[t + 4] += se
                total[t + 5] += sf
                total[t + 6] += sg
                total[t + 7] += sh
            for t in range(num_taps - num_taps % 8, num_taps):
                a = pixels[starts[t] + i * row :][:length]
                sa = grads.dtype.type(0)
                for n in range(length):
                    sa += grad[n] * a[n]
                total[t] += sa


@kernel()
def unfold(rows: np.ndarray, num_channels: int, patches: np.ndarray) -> None:
    """Copies the patch under each output pixel; with `fold`, 0.6 of the time of 16 -> 32 channels.

    Args:
        rows: Shape (batch_size, height, width * num_channels): images with channels last.
        num_channels: At least 1.
        patches: Shape (batch_size, output_height, output_width, kernel_height,
            kernel_width * num_channels), to be filled.
    """
    batch_size, output_height, output_width, kernel_height, run = patches.shape
    for image in range(batch_size):
        for i in range(output_height):
            for j in range(output_width):
                for p in range(kernel_height):
                    source = rows[image, i + p, j * num_channels : j * num_channels + run]
                    target = patches[image, i, j, p]
                    for n in range(run):
                        target[n] = source[n]


@kernel()
def fold(patches: np.ndarray, num_channels: int, rows: np.ndarray) -> None:
    """Adds patches up where `unfold` copies them from.

    Args:
        patches: As of `unfold`.
        num_channels: As of `unfold`.
        rows: As of `unfold`, to be added to.
    """
    batch_size, output_height, output_width, kernel_height, run = patches.shape
    for image in range(batch_size):
        for i in range(output_height):
            for j in range(output_width):
                for p in range(kernel_height):
                    target = rows[image, i + p, j * num_channels : j * num_channels + run]
                    source = patches[image, i, j, p]
                    for n in range(run):
                        target[n] += source[n]


@kernel()
def fold_rows(patches: np.ndarray, images: np.ndarray) -> None:
    """Adds patches, with pixels last, up where they come from.

    Args:
        patches: Shape (batch_size, num_channels, kernel_width, kernel_height, output_height,
            output_width).
        images: Shape (batch_size, num_channels, height, width), to be added to.
    """
    batch_size, num_channels, kernel_width, kernel_height, output_height, run = patches.shape
    for image in range(batch_size):
        for c in range(num_channels):
            for q in range(kernel_width):
                for p in range(kernel_height):
                    for i in range(output_height):
                        target = images[image, c, i + p, q : q + run]
                        source = patches[image, c, q, p, i]
                        for n in range(run):
                            target[n] += source[n]


# ---- max-pooling -----------------------------------------------------------------------------


@kernel()
def unpool(
    inputs: np.ndarray, outputs: np.ndarray, grads_wrt_outputs: np.ndarray, grads: np.ndarray
) -> None:
    """Hands gradients of windows of 2 x 2 pixels to the first maximum of each, in reading order.

    Written out for this one size, for compilers to work on many windows at once: a third of the
    time of loops over a window of any size, a twentieth of that of NumPy's `argmax`
    (`benchmarks/convolution.py`). NaN counts as the maximum.

    Args:
        inputs: Shape (batch_size, num_channels, 2 * height, 2 * width).
        outputs: Maximum of each window, shape (batch_size, num_channels, height, width).
        grads_wrt_outputs: Of the shape of `outputs`.
        grads: Of the shape of `inputs`, to be filled.
    """
    batch_size, num_channels, height, width = outputs.shape
    zero = grads.dtype.type(0)
    for image in range(batch_size):
        for c in range(num_channels):
            for i in range(height):
                maximum, grad = outputs[image, c, i], grads_wrt_outputs[image, c, i]
                top, bottom = inputs[image, c, 2 * i], inputs[image, c, 2 * i + 1]
                to_top, to_bottom = grads[image, c, 2 * i], grads[image, c, 2 * i + 1]
                for j in range(width):
                    left = grad[j]  # what has not been handed out yet
                    hit = (top[2 * j] == maximum[j]) | (top[2 * j] != top[2 * j])
                    to_top[2 * j] = left if hit else zero
                    left = zero if hit else left
                    hit = (top[2 * j + 1] == maximum[j]) | (top[2 * j + 1] != top[2 * j + 1])
                    to_top[2 * j + 1] = left if hit else zero
                    left = zero if hit else left
                    hit = (bottom[2 * j] == maximum[j]) | (bottom[2 * j] != bottom[2 * j])
                    to_bottom[2 * j] = left if hit else zero
                    to_bottom[2 * j + 1] = zero if hit else left
