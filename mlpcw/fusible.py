"""Which models and rules the fused step takes; why others take the plain step, logged once.

The fused step knows the formulas of the classes below, not those of their subclasses, nor a method
that an object has replaced. The logger is `mlpcw.fused`, the level INFO.
"""

import itertools
import logging
from collections.abc import Collection
from typing import Any

import numpy as np

from mlpcw.errors import CrossEntropySoftmaxError, Error
from mlpcw.learning_rules import GradientDescentLearningRule, MomentumLearningRule
from mlpcw.models import MultipleLayerModel, SingleLayerModel
from mlpcw.updates import slopes

logger = logging.getLogger("mlpcw.fused")

MAX_WEIGHTS = 2**20
"""Most weights of a layer. Larger products gain from the threads of BLAS; a fused step has one."""

MODELS = (MultipleLayerModel, SingleLayerModel)
RULES = (GradientDescentLearningRule, MomentumLearningRule)
ERRORS = (CrossEntropySoftmaxError,)
FLOATS = (np.dtype("f4"), np.dtype("f8"))

_logged: set[str] = set()


def is_model(model: Any, layers: Collection[type]) -> bool:
    """Whether a model and its layers, of the classes `layers`, have a fused forward pass."""
    reason = obstacle(model, MODELS)
    reason = reason or next(filter(None, (obstacle(layer, layers) for layer in model.layers)), "")
    if not reason and {param.dtype for param in model.params} not in [{each} for each in FLOATS]:
        reason = f"parameters of {type(model).__name__} are not all float32 or all float64"
    return _log_once(reason, "plain step and plain statistics")


def is_rule(rule: Any, model: MultipleLayerModel) -> bool:
    """Whether a rule has a fused update of the arrays of a model that is known."""
    reason = obstacle(rule, RULES) or _obstacle_in_arrays(rule, model)
    return _log_once(reason, "plain step")


def log_own_gradients(model: MultipleLayerModel, error: Error) -> None:
    """Logs which error and which penalties the fused step asks for their own gradients."""
    _log_once(obstacle(error, ERRORS), "its gradient is not compiled")
    for layer in model.layers:
        for name in ("weights_penalty", "biases_penalty"):
            penalty = getattr(layer, name, None)
            if slopes(penalty) is None:
                reason = f"{type(penalty).__name__} has no fused form"
                _log_once(reason, "its gradient is a new array")


def obstacle(thing: Any, kinds: Collection[type]) -> str:
    """Why something is not what one of these classes makes; "" if it is."""
    kind = type(thing)
    if kind not in kinds:
        return f"{kind.__name__} has no fused form"
    if replaced := sorted(vars(thing).keys() & set(dir(kind))):
        return f"{kind.__name__} with its own {', '.join(replaced)} has no fused form"
    return ""


def _obstacle_in_arrays(rule: GradientDescentLearningRule, model: MultipleLayerModel) -> str:
    name, params, ruled = type(model).__name__, model.params, getattr(rule, "params", [])
    if len(ruled) != len(params) or any(a is not b for a, b in zip(ruled, params, strict=True)):
        return f"{type(rule).__name__} has other arrays than {name}"
    if max(param.size for param in params) > MAX_WEIGHTS:
        return f"{name} has a layer of more than {MAX_WEIGHTS} weights"
    moms = rule.moms if isinstance(rule, MomentumLearningRule) else []
    for param, mom in zip(params, moms or params, strict=True):
        # BLAS and the loops over memory need both alike, aligned, without gaps and writable.
        if not (
            (param.shape, param.strides, param.dtype) == (mom.shape, mom.strides, mom.dtype)
            and (param.flags.c_contiguous or param.flags.f_contiguous)
            and param.flags.behaved
            and mom.flags.behaved
        ):
            return f"an array of {name} or its momentum is read-only or lies in memory otherwise"
    # One update follows another, and none may change what the next one reads.
    if any(np.may_share_memory(a, b) for a, b in itertools.combinations([*params, *moms], 2)):
        return f"arrays of {name} share memory"
    return ""


def _log_once(reason: str, consequence: str) -> bool:
    """Logs a reason, if there is one, once in a process; returns whether there is none."""
    if reason and reason not in _logged and logger.isEnabledFor(logging.INFO):
        _logged.add(reason)
        logger.info("%s: %s", reason, consequence)
    return not reason
