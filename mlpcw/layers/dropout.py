"""Dropout, which keeps its latest mask for `bprop`."""

import numpy as np

from mlpcw import checks
from mlpcw.layers.base import StochasticLayer, like


class DropoutLayer(StochasticLayer):
    """Sets each input to 0 with probability `1 - incl_prob` (Srivastava and others 2014).

    Not stochastic, it multiplies the inputs with `incl_prob`, their expected share.

    Args:
        rng: A `RandomState` or a `Generator`; `None` takes fresh entropy.
        incl_prob: Probability that an input is kept, in (0, 1].
        share_across_batch: Whether one mask serves the whole batch.

    Raises:
        ValueError: If `incl_prob` is out of its range.
    """

    incl_prob = checks.number_attribute("incl_prob", low=0, high=1)

    def __init__(
        self,
        rng: checks.Rng | None = None,
        incl_prob: float = 0.5,
        share_across_batch: bool = True,
    ) -> None:
        super().__init__(rng)
        self.incl_prob = checks.number("incl_prob", incl_prob, low=0, high=1, strict=True)
        self.share_across_batch = share_across_batch
        self._mask = None

    def fprop(self, inputs: np.ndarray, stochastic: bool = True) -> np.ndarray:
        if not stochastic:
            self._mask = None
            return inputs * self.incl_prob
        num_masks = 1 if self.share_across_batch else len(inputs)
        self._mask = self.rng.uniform(size=(num_masks, *inputs.shape[1:])) < self.incl_prob
        return inputs * self._mask

    def bprop(self, inputs, outputs, grads_wrt_outputs):
        factor = self.incl_prob if self._mask is None else self._mask
        return like(inputs, grads_wrt_outputs) * factor

    def __repr__(self) -> str:
        return f"{type(self).__name__}(incl_prob={self.incl_prob})"
