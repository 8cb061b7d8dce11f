"""Element-wise loops of the fused step, compiled with Numba; callers have them in NumPy too.

A call of NumPy costs 1 to 2 us before it computes anything, and a step makes about thirty, on
arrays of a few thousand numbers. `benchmarks/training.py` prints what each kernel saves.
"""

import numpy as np

from mlpcw.compiled import kernel


@kernel()
def add_biases(outputs: np.ndarray, biases: np.ndarray, rectify: bool) -> None:
    """`outputs += biases`; with `rectify`, `outputs = max(outputs, 0)`.

    Args:
        outputs: `(batch_size, num_outputs)`, changed in place.
        biases: `(num_outputs,)`, of the same dtype.
        rectify: Whether the layer above is a ReLU.
    """
    zero = biases.dtype.type(0)
    for n in range(outputs.shape[0]):
        for i in range(outputs.shape[1]):
            value = outputs[n, i] + biases[i]
            outputs[n, i] = zero if rectify and value < zero else value


@kernel()
def mask(grads: np.ndarray, outputs: np.ndarray) -> None:
    """Sets `grads` to 0 where the outputs of a ReLU are 0.

    Args:
        grads: `(size,)`, changed in place.
        outputs: `(size,)`.
    """
    zero = grads.dtype.type(0)
    for i in range(grads.size):
        grads[i] = grads[i] if outputs[i] > zero else zero


@kernel(error_model="numpy")
def softmax_grads(outputs: np.ndarray, targets: np.ndarray, grads: np.ndarray) -> None:
    """`grads = (softmax(outputs) - targets) / batch_size`, the gradient of the cross-entropy.

    Args:
        outputs: `(batch_size, num_classes)`.
        targets: `(batch_size, num_classes)`.
        grads: `(batch_size, num_classes)`, overwritten.
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
    """`moms = mom_coeff * moms - (l1 * sign(params) + l2 * params)`; tiny results become 0.

    Args:
        moms: Momenta, `(size,)`, changed in place.
        params: Parameters, `(size,)`.
        mom_coeff, l1, l2: Numbers of their dtype; l1 and l2 contain the learning rate.
        smallest: Magnitudes below this become 0, see `mlpcw.updates.Blas.flush`.
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
    """`moms = mom_coeff * moms - rate * grads_wrt_outputs.sum(axis=0)`; `biases += moms`.

    Args:
        biases: `(num_outputs,)`, changed in place.
        moms: Their momenta, `(num_outputs,)`, changed in place.
        mom_coeff, rate: Numbers of their dtype.
        grads_wrt_outputs: `(batch_size, num_outputs)`.
    """
    for i in range(moms.size):
        moms[i] *= mom_coeff
    for n in range(grads_wrt_outputs.shape[0]):
        for i in range(moms.size):
            moms[i] -= rate * grads_wrt_outputs[n, i]
    for i in range(moms.size):
        biases[i] += moms[i]
