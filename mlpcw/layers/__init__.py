"""Layers: the steps of which a network is made.

A layer maps a batch of inputs to a batch of outputs (`fprop`), maps gradients with respect to its
outputs back to gradients with respect to its inputs (`bprop`), and, if it has parameters, returns
the gradients with respect to those too (`grads_wrt_params`). It keeps no activations: the caller of
`bprop` passes the inputs and outputs back in. A dropout mask is the one exception.

Inputs and gradients are arrays whose first axis is the batch. Results have the dtype of the layer's
parameters, or of its inputs if it has none, whatever the dtype of the gradients.

One file a layer, or a few that belong together; `base` holds the contracts.
"""

from mlpcw.layers.activations import ReluLayer, SigmoidLayer, SoftmaxLayer, TanhLayer
from mlpcw.layers.affine import AffineLayer
from mlpcw.layers.base import Initialiser, Layer, LayerWithParameters, StochasticLayer
from mlpcw.layers.convolutional import ConvolutionalLayer
from mlpcw.layers.dropout import DropoutLayer
from mlpcw.layers.pooling import MaxPooling2DLayer, MaxPoolingLayer
from mlpcw.layers.radial_basis import RadialBasisFunctionLayer
from mlpcw.layers.reshape import ReshapeLayer

__all__ = [
    "AffineLayer",
    "ConvolutionalLayer",
    "DropoutLayer",
    "Initialiser",
    "Layer",
    "LayerWithParameters",
    "MaxPooling2DLayer",
    "MaxPoolingLayer",
    "RadialBasisFunctionLayer",
    "ReluLayer",
    "ReshapeLayer",
    "SigmoidLayer",
    "SoftmaxLayer",
    "StochasticLayer",
    "TanhLayer",
]

for _name in set(__all__) - {"Initialiser"}:  # the public path, in messages, pickles and the book
    globals()[_name].__module__ = __name__
