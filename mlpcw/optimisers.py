"""The training loop.

An optimiser ties a model, an error, a learning rule and the data together. One epoch is one pass
over the training data: forward, gradient of the error, backward, update, for each batch. Statistics
are taken before the first epoch and after every few, each by one more pass over the data.
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
        learning_rule: Rule for the updates; it takes the model's parameters here. Where the model
            has other arrays later (set, of another dtype, of another layer), it takes those before
            the next epoch, and begins anew.
        train_dataset: Batches to train on.
        valid_dataset: Batches for statistics, or `None`.
        data_monitors: Further statistics by name, each `monitor(outputs, targets)`, beside
            "error".
        schedulers: Schedulers that run before each epoch.
        use_stochastic_eval: Whether stochastic layers draw while statistics are taken.

    Raises:
        TypeError: If an argument has not the methods that training calls, or a layer has not.
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
            for each in checks.able("schedulers", schedulers, ("__iter__",), allowed):
                checks.able("schedulers", each, ("update_learning_rule",), allowed)
                self.schedulers.append(each)
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
        """One pass over the training data, one update a batch."""
        if _has_other_arrays(self.learning_rule, self.model.params):
            self.learning_rule.initialise(self.model.params)
        step = fused.make_step(self.model, self.error, self.learning_rule)
        if step is not None:  # the same updates, faster
            step.train(self.train_dataset)
            return
        for inputs, targets in self.train_dataset:
            activations = self.model.fprop(inputs)
            grads_wrt_outputs = self.error.grad(activations[-1], targets)
            grads_wrt_params = self.model.grads_wrt_params(activations, grads_wrt_outputs)
            self.learning_rule.update_params(grads_wrt_params)

    def eval_monitors(self, dataset: DataProvider, label: str) -> dict[str, float]:
        """One pass over `dataset` that takes statistics.

        Args:
            dataset: Batches to evaluate on.
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
        """Statistics of the model as it stands.

        Returns:
            "error(train)" and further monitors, the same with "(valid)" where there are
            validation data, and "params_penalty".
        """
        stats = self.eval_monitors(self.train_dataset, "(train)")
        if self.valid_dataset is not None:
            stats.update(self.eval_monitors(self.valid_dataset, "(valid)"))
        stats["params_penalty"] = self.model.params_penalty()
        return stats

    def log_stats(self, epoch: int, epoch_time: float, stats: Mapping[str, float]) -> None:
        """Logs the statistics of one epoch, its time in seconds."""
        values = ", ".join(f"{key}={value:.2e}" for key, value in stats.items())
        logger.info("Epoch %d: %.1fs to complete\n    %s", epoch, epoch_time, values)

    def train(
        self, num_epochs: int, stats_interval: int = 5
    ) -> tuple[np.ndarray, dict[str, int], float]:
        """Trains the model.

        Args:
            num_epochs: Number of passes over the training data, at least 0.
            stats_interval: Epochs between statistics, at least 1; -1, which the course's notebooks
                use, is the same as 1.

        Returns:
            The statistics, one row before the first epoch and one each interval,
            `(1 + num_epochs // stats_interval, num_stats)`; the column of each by name; and the
            seconds it all took.

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
    """Refuses a layer that lacks what the two passes will call."""
    lowest = len(layers)
    for index, layer in enumerate(layers):
        needed = [(Layer, "fprop"), *([(Layer, "bprop")] if index > lowest else [])]
        if isinstance(layer, LayerWithParameters):
            needed.append((LayerWithParameters, "grads_wrt_params"))
            lowest = min(lowest, index)
        for kind, name in needed:
            # A bound method of the contract, which no subclass and no attribute has replaced.
            if getattr(getattr(layer, name), "__func__", None) is getattr(kind, name):
                raise TypeError(f"layer {index} of the model must have a {name}, got {layer}")


def _has_other_arrays(rule: GradientDescentLearningRule, params: Sequence[np.ndarray]) -> bool:
    """Whether a rule of the library, or derived from one, changes other arrays than these."""
    if not isinstance(rule, GradientDescentLearningRule) or not hasattr(rule, "params"):
        return False
    # Not by identity: a layer of somebody's own may hand out new views of the same memory.
    places = [[param.__array_interface__ for param in each] for each in (rule.params, params)]
    return places[0] != places[1]
