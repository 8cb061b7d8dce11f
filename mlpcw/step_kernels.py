"""Loops of the training step that NumPy cannot vectorise, compiled with Numba."""

import numpy as np

from mlpcw.compiled import kernel

# ---- the training step: what `mlpcw.fused` does besides products of matrices ---------------------
#
# NumPy takes 1 to 2 us to begin whatever is asked of it, and a step asks for some thirty things on
# arrays of a few thousand numbers. benchmarks/training.py prints what each of these earns.


@kernel()
def add_biases(outputs: np.ndarray, biases: np.ndarray, rectify: bool) -> None:
    """`outputs += biases`, and where `rectify` is set, negative sums become 0.

    Args:
        outputs: `(batch_size, num_outputs)`, changed in place.
        biases: `(num_outputs,)`, of the same dtype.
        rectify: Whether a ReLU follows.
    """
    zero = biases.dtype.type(0)
    for n in range(outputs.shape[0]):
        for i in range(outputs.shape[1]):
            value = outputs[n, i] + biases[i]
            outputs[n, i] = zero if rectify and value < zero else value


@kernel()
def mask(grads: np.ndarray, outputs: np.ndarray) -> None:
    """Sets `grads` to 0 where the outputs of a ReLU are.

    Args:
        grads: `(size,)`, changed in place.
        outputs: `(size,)`.
    """
    zero = grads.dtype.type(0)
    for i in range(grads.size):
        grads[i] = grads[i] if outputs[i] > zero else zero


@kernel(error_model="numpy")
def softmax_grads(outputs: np.ndarray, targets: np.ndarray, grads: np.ndarray) -> None:
    """Gradient of the mean cross-entropy of the softmax of `outputs`.

    Args:
        outputs: `(batch_size, num_classes)`.
        targets: `(batch_size, num_classes)`.
        grads: Where the gradient goes, `(batch_size, num_classes)`.
    """
    batch_size = outputs.dtype.type(outputs.shape[0])
    for n in range(outputs.shape[0]):
        highest = outputs[n].max()
        total = outputs.dtype.type(0)
        for i in range(outputs.shape[1]):
            grads[n, i] = np.exp(outputs[n, i] - highest)
            total += grads[n, i]
        for i in range(outputs.shape[1]):
            grads[n, i] = (grads[n, i] / total - targets[n, i]) / batch_size


@kernel()
def decay(
    moms: np.ndarray, params: np.ndarray, mom_coeff: float, l1: float, l2: float, smallest: float
) -> None:
    """`moms = mom_coeff * moms - (l1 * sign(params) + l2 * params)`; what is tiny becomes 0.

    Args:
        moms: Momenta, `(size,)`, changed in place.
        params: Parameters, `(size,)`.
        mom_coeff, l1, l2: Numbers of their dtype; the last two contain the learning rate.
        smallest: Magnitudes below this become 0, see `mlpcw.fused`.
    """
    zero, one = moms.dtype.type(0), moms.dtype.type(1)
    if l1 == zero and l2 == zero:
        for i in range(moms.size):
            mom = mom_coeff * moms[i]
            moms[i] = zero if abs(mom) < smallest else mom
    else:
        for i in range(moms.size):
            param = params[i]
            sign = one if param > zero else (-one if param < zero else zero)
            mom = mom_coeff * moms[i] - (l1 * sign + l2 * param)
            moms[i] = zero if abs(mom) < smallest else mom


@kernel()
def update_biases(
    biases: np.ndarray,
    moms: np.ndarray,
    mom_coeff: float,
    rate: float,
    grads_wrt_outputs: np.ndarray,
) -> None:
    """One update with momentum of biases without a penalty.

    Args:
        biases: `(num_outputs,)`, changed in place.
        moms: Their momenta, `(num_outputs,)`, changed in place.
        mom_coeff, rate: Numbers of their dtype.
        grads_wrt_outputs: `(batch_size, num_outputs)`; the sum over the batch is the gradient.
    """
    for i in range(moms.size):
        moms[i] *= mom_coeff
    for n in range(grads_wrt_outputs.shape[0]):
        for i in range(moms.size):
            moms[i] -= rate * grads_wrt_outputs[n, i]
    for i in range(moms.size):
        biases[i] += moms[i]
