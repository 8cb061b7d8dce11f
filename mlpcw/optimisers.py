"""The training loop.

An optimiser connects a model, an error, a learning rule and the data. One epoch is one pass over
the training data; each batch goes forward, then its error's gradient backward, then the parameters
are updated (`Optimiser.do_training_epoch`). Statistics take another pass over the data, before the
first epoch and after every few epochs.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mlpcw import checks, fused
from mlpcw.data_providers import DataProvider
from mlpcw.errors import Error
from mlpcw.layers import Layer, LayerWithParameters
from mlpcw.learning_rules import GradientDescentLearningRule
from mlpcw.models import MultipleLayerModel

logger = logging.getLogger(__name__)

Monitor = Callable[[np.ndarray, np.ndarray], float]


class Optimiser:
    """Trains a model by gradient descent on batches.

    Args:
        model: The model to train.
        error: Error to minimise; the penalties of the layers are added to its gradient.
        learning_rule: Rule for the updates; it takes the model's parameters here. If the model has
            other arrays later, the rule takes those before the next epoch and loses its state.
        train_dataset: Batches to train on.
        valid_dataset: Batches for statistics, or `None`.
        data_monitors: Statistics by name, `monitor(outputs, targets)`, in addition to "error".
        schedulers: Schedulers that run before each epoch.
        use_stochastic_eval: Whether stochastic layers draw during statistics.

    Raises:
        TypeError: If an argument or a layer lacks a method that training calls.
    """

    def __init__(
        self,
        model: MultipleLayerModel,
        error: Error,
        learning_rule: GradientDescentLearningRule,
        train_dataset: DataProvider,
        valid_dataset: DataProvider | None = None,
        data_monitors: Mapping[str, Monitor] | None = None,
        schedulers: Sequence | None = None,
        use_stochastic_eval: bool = False,
    ) -> None:
        allowed = "a model such as MultipleLayerModel([...])"
        checks.able("model", model, ("fprop", "grads_wrt_params", "params_penalty"), allowed)
        _check_layers(getattr(model, "layers", []))
        self.model = model
        self.data_monitors: dict[str, Monitor] = {}
        self.error = error
        self.learning_rule = learning_rule
        self.train_dataset = train_dataset
        self.valid_dataset = valid_dataset
        if data_monitors is not None:
            allowed = "a dictionary of functions by name"
            self.data_monitors |= checks.able("data_monitors", data_monitors, ("keys",), allowed)
        self.schedulers = []
        if schedulers is not None:
            allowed = "a list of schedulers such as ConstantLearningRateScheduler(0.1)"
            for scheduler in checks.able("schedulers", schedulers, ("__iter__",), allowed):
                checks.able("schedulers", scheduler, ("update_learning_rule",), allowed)
                self.schedulers.append(scheduler)
        self.use_stochastic_eval = use_stochastic_eval

    @property
    def error(self) -> Error:
        """Error to minimise; also the statistic "error"."""
        return self._error

    @error.setter
    def error(self, value: Error) -> None:
        allowed = "an error such as CrossEntropySoftmaxError()"
        self._error = checks.able("error", value, ("__call__", "grad"), allowed)
        self.data_monitors["error"] = value

    @property
    def learning_rule(self) -> GradientDescentLearningRule:
        """Rule for the updates; it takes the model's parameters when it is set."""
        return self._learning_rule

    @learning_rule.setter
    def learning_rule(self, value: GradientDescentLearningRule) -> None:
        allowed = "a learning rule such as MomentumLearningRule(0.1)"
        methods = ("initialise", "update_params")
        self._learning_rule = checks.able("learning_rule", value, methods, allowed)
        value.initialise(self.model.params)

    def do_training_epoch(self) -> None:
        """One pass over the training data, one update per batch.

        The loop below is the plain step. `mlpcw.fused` does the same updates faster, for models and
        rules whose formulas it knows.
        """
        if _has_other_arrays(self.learning_rule, self.model.params):
            self.learning_rule.initialise(self.model.params)
        step = fused.make_step(self.model, self.error, self.learning_rule)
        if step is not None:
            step.train(self.train_dataset)
            return
        for inputs, targets in self.train_dataset:
            activations = self.model.fprop(inputs)
            grads_wrt_outputs = self.error.grad(activations[-1], targets)
            grads_wrt_params = self.model.grads_wrt_params(activations, grads_wrt_outputs)
            self.learning_rule.update_params(grads_wrt_params)

    def eval_monitors(self, dataset: DataProvider, label: str) -> dict[str, float]:
        """Statistics from one pass over `dataset`.

        Args:
            dataset: Batches to evaluate.
            label: Appended to the names of the statistics, such as "(train)".

        Returns:
            Mean over batches of each monitor.
        """
        totals = dict.fromkeys(self.data_monitors, 0.0)
        forward = fused.make_forward(self.model)
        for inputs, targets in dataset:
            if forward is not None:
                outputs = forward(inputs)[-1].copy()  # a monitor may keep it
            else:
                outputs = self.model.fprop(inputs, stochastic=self.use_stochastic_eval)[-1]
            for key, monitor in self.data_monitors.items():
                totals[key] += monitor(outputs, targets)
        return {key + label: total / dataset.num_batches for key, total in totals.items()}

    def get_epoch_stats(self) -> dict[str, float]:
        """Statistics of the current model.

        Returns:
            "error(train)" and the other monitors, the same with "(valid)" if there are validation
            data, and "params_penalty".
        """
        stats = self.eval_monitors(self.train_dataset, "(train)")
        if self.valid_dataset is not None:
            stats.update(self.eval_monitors(self.valid_dataset, "(valid)"))
        stats["params_penalty"] = self.model.params_penalty()
        return stats

    def log_stats(self, epoch: int, epoch_time: float, stats: Mapping[str, float]) -> None:
        """Logs the statistics of one epoch and its time in seconds."""
        values = ", ".join(f"{key}={value:.2e}" for key, value in stats.items())
        logger.info("Epoch %d: %.1fs to complete\n    %s", epoch, epoch_time, values)

    def train(
        self, num_epochs: int, stats_interval: int = 5
    ) -> tuple[np.ndarray, dict[str, int], float]:
        """Trains the model.

        Args:
            num_epochs: Number of passes over the training data, at least 0.
            stats_interval: Epochs between statistics, at least 1; -1, as in the course's notebooks,
                is 1.

        Returns:
            The statistics, one row before the first epoch and one per interval,
            `(1 + num_epochs // stats_interval, num_stats)`; their columns by name; and the seconds
            of the whole training.

        Raises:
            ValueError: If an argument is out of its range.
        """
        checks.whole_number("num_epochs", num_epochs, low=0)
        if stats_interval == -1:
            stats_interval = 1
        checks.whole_number("stats_interval", stats_interval, low=1)
        start = time.perf_counter()
        stats = self.get_epoch_stats()
        self.log_stats(0, time.perf_counter() - start, stats)
        run_stats = [list(stats.values())]
        for epoch in range(1, num_epochs + 1):
            epoch_start = time.perf_counter()
            for scheduler in self.schedulers:
                scheduler.update_learning_rule(self.learning_rule, epoch - 1)
            self.do_training_epoch()
            epoch_time = time.perf_counter() - epoch_start
            if epoch % stats_interval == 0:
                stats = self.get_epoch_stats()
                self.log_stats(epoch, epoch_time, stats)
                run_stats.append(list(stats.values()))
        keys = {key: column for column, key in enumerate(stats)}
        return np.array(run_stats), keys, time.perf_counter() - start


def _check_layers(layers: Sequence[Layer]) -> None:
    """Refuses a layer that lacks a method of the two passes."""
    lowest = len(layers)
    for index, layer in enumerate(layers):
        needed = [(Layer, "fprop"), *([(Layer, "bprop")] if index > lowest else [])]
        if isinstance(layer, LayerWithParameters):
            needed.append((LayerWithParameters, "grads_wrt_params"))
            lowest = min(lowest, index)
        for kind, name in needed:
            # The method of the base class itself: neither a subclass nor an attribute replaces it.
            if getattr(getattr(layer, name), "__func__", None) is getattr(kind, name):
                raise TypeError(f"layer {index} of the model must have a {name}, got {layer}")


def _has_other_arrays(rule: GradientDescentLearningRule, params: Sequence[np.ndarray]) -> bool:
    """Whether a rule of the library, or of a subclass, updates other arrays than these."""
    if not isinstance(rule, GradientDescentLearningRule) or not hasattr(rule, "params"):
        return False
    # Not by identity: a user's own layer may return new views of the same memory.
    updated, current = (
        [param.__array_interface__ for param in arrays] for arrays in (rule.params, params)
    )
    return updated != current
