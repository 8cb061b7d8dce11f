"""Distortion and rotation: images read between their pixels, bilinearly."""

import math

import numpy as np

from mlpcw import compiled
from mlpcw.augmenters.images import changed, precision
from mlpcw.compiled import kernel


def distort(images: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Reads each image at displaced pixels: output (y, x) is the image at (y + dy, x + dx).

    Equals `scipy.ndimage.map_coordinates(image, (y + dy, x + dx), order=1)` for each image.

    Args:
        images: Shape (num_images, height, width).
        displacements: Fields dx, then dy, in pixels: shape (num_images, 2, height, width).

    Returns:
        Distorted images, shape (num_images, height, width); float32 if `images` are, else float64.
    """
    return changed(images, distort_in_place, "displacements", displacements, 2, *images.shape[1:])


def distort_in_place(images: np.ndarray, chosen: np.ndarray, displacements: np.ndarray) -> None:
    """Distorts the chosen images, in the wider of the precisions of images and displacements."""
    dtype = np.result_type(images, precision(displacements))
    # (num_chosen, 2, height, width) -> (num_chosen, 2, height * width)
    displacements = displacements.reshape(*displacements.shape[:2], math.prod(images.shape[1:]))
    sample(
        *(images, chosen),
        offsets=np.zeros((1, 2), dtype),
        matrices=np.eye(2, dtype=dtype)[None],  # (1, 2, 2)
        displacements=displacements.astype(dtype, order="C", copy=False),
    )


def rotate(images: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotates each image about its centre by its own angle.

    Equals `scipy.ndimage.rotate(image, angle, order=1, reshape=False)` for each image.

    Args:
        images: Shape (num_images, height, width).
        angles: Degrees, counter-clockwise as the image is shown, shape (num_images,).

    Returns:
        Rotated images, shape (num_images, height, width); float32 if `images` are, else float64.
    """
    return changed(images, rotate_in_place, "angles", angles)


def rotate_in_place(images: np.ndarray, chosen: np.ndarray, angles: np.ndarray) -> None:
    """Rotates the chosen images; in float32 the coordinates would lose about 1e-6 of a pixel."""
    from scipy import special  # here, since importing it takes a tenth of a second

    height, width = images.shape[1:]
    angles = angles.astype(np.float64)
    # cosdg and sindg take degrees and are exact at multiples of 90
    cosines, sines = special.cosdg(angles), special.sindg(angles)
    rotations = np.stack([cosines, sines, -sines, cosines], axis=-1)
    rotations = rotations.reshape(-1, 2, 2)  # (num_chosen, 4) -> (num_chosen, 2, 2)
    centre = (np.array([height, width]) - 1) / 2
    offsets = centre - rotations @ centre  # (num_chosen, 2)
    sample(images, chosen, offsets, rotations, np.zeros((1, 2, height * width)))


def sample(
    images: np.ndarray,
    chosen: np.ndarray,
    offsets: np.ndarray,
    matrices: np.ndarray,
    displacements: np.ndarray,
) -> None:
    """Sets pixel (y, x) of the chosen images to their value at offset + matrix @ (y, x) + field.

    As in SciPy's mode "constant", a point beyond the centres of the border pixels is outside, where
    images are 0: nothing is interpolated between the border and 0.

    Args:
        images: Shape (num_images, height, width), float32 or float64; changed in place.
        chosen: Indices of images, each at most once, shape (num_chosen,).
        offsets: Pixels along y, then x, shape (num_chosen, 2); (1, 2) is one for all images.
        matrices: Shape (num_chosen or 1, 2, 2).
        displacements: Pixels along x, then y, shape (num_chosen or 1, 2, height * width). The
            arithmetic is done in their dtype, which is that of `offsets` and `matrices` too.
    """
    if compiled.enabled():
        sample_bilinear(images, chosen, offsets, matrices, displacements)
        return
    height, width = images.shape[1:]
    dtype = displacements.dtype
    rows, columns = np.divmod(np.arange(height * width), width)
    rows, columns = rows.astype(dtype), columns.astype(dtype)  # both (height * width,)
    # Added up in SciPy's order, so that a point exactly on the border is on it in both.
    # y and x are (num_chosen, height * width).
    y, x = (
        offsets[:, axis, None]
        + rows * matrices[:, axis, 0, None]
        + columns * matrices[:, axis, 1, None]
        + displacements[:, 1 - axis]
        for axis in (0, 1)
    )
    inside = (y >= 0) & (y <= height - 1) & (x >= 0) & (x <= width - 1)
    y, x = np.where(inside, y, 0), np.where(inside, x, 0)
    top, left = np.floor(y), np.floor(x)
    down, right = y - top, x - left

    # one more row and column of zeros, so that pixels of the far border have neighbours too
    padded = np.zeros((len(chosen), height + 1, width + 1), dtype)
    padded[:, :height, :width] = images[chosen]
    pixels = padded.ravel()  # (num_chosen * (height + 1) * (width + 1),)
    below = width + 1  # from a pixel to the one below it
    image = np.arange(len(chosen))[:, None]
    corner = (image * (height + 1) + top.astype(np.intp)) * below + left.astype(np.intp)

    above, under = pixels.take(corner), pixels.take(corner + below)
    above += (pixels.take(corner + 1) - above) * right
    under += (pixels.take(corner + below + 1) - under) * right
    values = np.where(inside, above + (under - above) * down, 0)
    images[chosen] = values.reshape(len(chosen), height, width)


@kernel()
def sample_bilinear(
    images: np.ndarray,
    chosen: np.ndarray,
    offsets: np.ndarray,
    matrices: np.ndarray,
    displacements: np.ndarray,
) -> None:
    """`sample`, one image at a time, so that it and its coordinates stay in the first cache.

    A rotation takes 2.9 microseconds an image of 28 x 28 pixels, with NumPy 35; a distortion of
    float32 images 6, most of them for its fields, with NumPy 19 (`benchmarks/augmentation.py`).
    """
    height, width = images.shape[1:]
    size = height * width
    real = displacements.dtype.type
    zero = real(0)
    below = width + 2  # from a pixel to the one below it
    # Two more rows and columns of zeros. A point outside is read there, at row `height` or column
    # `width`, so that no index leaves the array, whatever the coordinates.
    padded = np.zeros((height + 2) * below, displacements.dtype)
    rows = np.empty(size, displacements.dtype)
    columns = np.empty(size, displacements.dtype)
    for p in range(size):
        rows[p], columns[p] = p // width, p % width
    corners = np.empty((2, size), np.int32)  # the upper left of the four neighbours of p
    parts = np.empty((2, size), displacements.dtype)  # distance from it, 0 to 1
    for k in range(len(chosen)):
        image = images[chosen[k]]
        for y in range(height):
            for x in range(width):
                padded[y * below + x] = image[y, x]
        # Coordinates first, then pixels: without look-ups the first loop is vectorised.
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
            # unsigned, so that Numba need not check for negative indices
            top = np.uint32(corners[0, p]) + np.uint32(corners[1, p])
            bottom = top + np.uint32(below)
            right = parts[1, p]
            above = padded[top] + (padded[top + np.uint32(1)] - padded[top]) * right
            under = padded[bottom] + (padded[bottom + np.uint32(1)] - padded[bottom]) * right
            pixels[p] = above + (under - above) * parts[0, p]
