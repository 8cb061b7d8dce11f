"""scikit-learn as an oracle: training steps of its `MLPClassifier`, with momentum and L2."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier
from test_optimisers import CLASSES, INPUTS, optimiser, provider

from mlpcw.layers import AffineLayer, ReluLayer, SigmoidLayer, TanhLayer
from mlpcw.learning_rules import MomentumLearningRule, NesterovMomentumLearningRule
from mlpcw.models import MultipleLayerModel
from mlpcw.penalties import L2Penalty

ACTIVATIONS = {"relu": ReluLayer, "tanh": TanhLayer, "logistic": SigmoidLayer}
NUM_STEPS = 6


@pytest.mark.trust_row(library="scikit-learn", what="training by momentum, with an L2 penalty")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("alpha", [0.0, 1.2])
@pytest.mark.parametrize("mom_coeff, nesterov", [(0.0, False), (0.9, False), (0.9, True)])
def test_training_by_scikit_learn(mom_coeff, nesterov, alpha, activation, counts):
    """Ours continues after two steps of theirs, with their momenta.

    Their penalty is `alpha / 2 / batch_size` times the sum of squares, their weights are
    (input_dim, output_dim).
    """
    theirs = MLPClassifier(
        (5,),
        activation,
        solver="sgd",
        alpha=alpha,
        batch_size=12,
        learning_rate_init=0.1,
        momentum=mom_coeff,
        nesterovs_momentum=nesterov,
        random_state=104,
    )

    def step():
        theirs.partial_fit(INPUTS, CLASSES, classes=[0, 1, 2])
        return ours_of(theirs.coefs_, theirs.intercepts_)

    step()
    step()
    penalty = L2Penalty(alpha / 12)
    model = MultipleLayerModel(
        [
            AffineLayer(4, 5, None, None, penalty),
            ACTIVATIONS[activation](),
            AffineLayer(5, 3, None, None, penalty),
        ]
    )
    model.params = ours_of(theirs.coefs_, theirs.intercepts_)
    rule = (NesterovMomentumLearningRule if nesterov else MomentumLearningRule)(0.1, mom_coeff)
    ours = optimiser(model, rule, provider(batch_size=12), valid=None)
    velocities = theirs._optimizer.velocities
    rule.moms = ours_of(velocities[:2], velocities[2:])
    for _ in range(NUM_STEPS):
        ours.do_training_epoch()
        for found, expected in zip(model.params, step(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        counts["steps"] += 1


def ours_of(weights, biases):
    """Copies of their parameters, or momenta, in the order and the shapes of ours."""
    pairs = zip(weights, biases, strict=True)
    return [array.copy() for pair in pairs for array in (pair[0].T, pair[1])]
