"""scikit-learn as an oracle: training steps of its `MLPClassifier`, with momentum and L2."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier
from test_optimisers import CLASSES, INPUTS, optimiser, provider

from mlpcw.layers import AffineLayer, ReluLayer, SigmoidLayer, TanhLayer
from mlpcw.learning_rules import MomentumLearningRule
from mlpcw.models import MultipleLayerModel
from mlpcw.penalties import L2Penalty

ACTIVATIONS = {"relu": ReluLayer, "tanh": TanhLayer, "logistic": SigmoidLayer}
NUM_STEPS = 6


@pytest.mark.trust_row(library="scikit-learn", what="training by momentum, with an L2 penalty")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("alpha", [0.0, 1.2])
@pytest.mark.parametrize("mom_coeff", [0.0, 0.9])
def test_training_by_scikit_learn(mom_coeff, alpha, activation, counts):
    """Ours go on from where scikit-learn is after two steps of its own.

    The momentum then is the difference between the parameters after its first two. Its penalty is
    `alpha / 2 / batch_size` times the sum of squares.
    """
    theirs = MLPClassifier(
        (5,),
        activation,
        solver="sgd",
        alpha=alpha,
        batch_size=12,
        learning_rate_init=0.1,
        momentum=mom_coeff,
        nesterovs_momentum=False,
        random_state=104,
    )
    trace = []
    for _ in range(2 + NUM_STEPS):
        theirs.partial_fit(INPUTS, CLASSES, classes=[0, 1, 2])
        # Its weights are (input_dim, output_dim).
        pairs = zip(theirs.coefs_, theirs.intercepts_, strict=True)
        trace.append([array.copy() for weights, biases in pairs for array in (weights.T, biases)])

    penalty = L2Penalty(alpha / 12)
    model = MultipleLayerModel(
        [
            AffineLayer(4, 5, None, None, penalty),
            ACTIVATIONS[activation](),
            AffineLayer(5, 3, None, None, penalty),
        ]
    )
    model.params = [param.copy() for param in trace[1]]
    rule = MomentumLearningRule(0.1, mom_coeff)
    ours = optimiser(model, rule, provider(batch_size=12), valid=None)
    rule.moms = [after - before for before, after in zip(trace[0], trace[1], strict=True)]
    for expected in trace[2:]:
        ours.do_training_epoch()
        for found, param in zip(model.params, expected, strict=True):
            np.testing.assert_allclose(found, param, rtol=1e-9, atol=1e-12)
        counts["steps"] += 1
