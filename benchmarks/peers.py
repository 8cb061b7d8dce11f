"""Peers that train the networks of `training.py`: each starts from the weights of an optimiser.

A peer has `params` (arrays as mlpcw orders them), `step(inputs, targets)` for one update, and
`do_training_epoch()`. To compare with another library is to add a class, and a row of
`LIBRARIES`. PyTorch is optional.
"""

import numpy as np
from sklearn.neural_network import MLPClassifier

from mlpcw import layers

try:
    import torch
except ImportError:
    torch = None
else:
    torch.set_num_threads(1)


class Course:
    """The arithmetic of the course's framework of 2016, written plainly, always in float64."""

    def __init__(self, like):
        self.params = [np.array(param) for param in like.model.params]
        self.weights, self.biases = self.params[::2], self.params[1::2]
        self.moms = [np.zeros_like(param) for param in self.params]
        self.rule, self.train = like.learning_rule, like.train_dataset

    def do_training_epoch(self):
        for inputs, targets in self.train:
            self.step(inputs, targets)

    def step(self, inputs, targets):
        activations = [inputs]
        for index, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            activations.append(weights.dot(activations[-1].T).T + biases)
            if index < len(self.weights) - 1:
                activations.append(np.maximum(activations[-1], 0.0))
        grads, outputs = [], activations.pop()
        probs = np.exp(outputs)
        probs /= probs.sum(-1)[:, None]
        grads_wrt_outputs = (probs - targets) / outputs.shape[0]
        for weights in reversed(self.weights):
            inputs = activations.pop()
            grads = [grads_wrt_outputs.T.dot(inputs), grads_wrt_outputs.sum(axis=0), *grads]
            grads_wrt_outputs = grads_wrt_outputs.dot(weights)  # of the lowest layer too
            if activations:
                grads_wrt_outputs = (inputs > 0) * grads_wrt_outputs
                activations.pop()
        for param, mom, grad in zip(self.params, self.moms, grads, strict=True):
            mom *= self.rule.mom_coeff
            mom -= self.rule.learning_rate * grad
            param += mom


class InPlace(Course):
    """The same in the network's dtype, with NumPy alone, into arrays kept from batch to batch."""

    def __init__(self, like):
        super().__init__(like)
        batch_size, dtype = self.train.batch_size, self.weights[0].dtype
        # Transposed, as the weights lie in memory.
        self.products = [np.empty(weights.shape[::-1], dtype) for weights in self.weights]
        self.outputs = [np.empty((batch_size, biases.size), dtype) for biases in self.biases]
        self.grads = [np.empty_like(outputs) for outputs in self.outputs]

    def step(self, inputs, targets):
        below = [inputs.astype(self.weights[0].dtype, copy=False), *self.outputs]
        last = len(self.weights) - 1
        for index, outputs in enumerate(self.outputs):
            np.dot(below[index], self.weights[index].T, out=outputs)
            outputs += self.biases[index]
            if index < last:
                np.maximum(outputs, 0, out=outputs)
        probs = self.outputs[last]
        probs -= probs.max(axis=1, keepdims=True)
        np.exp(probs, out=probs)
        probs /= probs.sum(axis=1, keepdims=True)
        np.subtract(probs, targets, out=self.grads[last])
        self.grads[last] /= len(inputs)
        for index in range(last, 0, -1):
            grads = np.dot(self.grads[index], self.weights[index], out=self.grads[index - 1])
            grads *= self.outputs[index - 1] > 0
        for mom in self.moms:
            mom *= self.rule.mom_coeff
        for index, (grads, product) in enumerate(zip(self.grads, self.products, strict=True)):
            grads *= self.rule.learning_rate  # smaller than the product
            self.moms[2 * index] -= np.dot(below[index].T, grads, out=product).T
            self.moms[2 * index + 1] -= grads.sum(axis=0)
        for param, mom in zip(self.params, self.moms, strict=True):
            param += mom


class ScikitLearn:
    """scikit-learn's MLPClassifier, of affine and ReLU layers; an epoch is a `partial_fit`."""

    def __init__(self, like, images):
        inputs, self.labels = images.split("train")
        *hidden_dims, num_classes = [biases.size for biases in like.model.params[1::2]]
        self.inputs = inputs.astype(like.model.params[0].dtype)
        self.model = MLPClassifier(
            hidden_dims,
            solver="sgd",
            alpha=0.0,
            batch_size=like.train_dataset.batch_size,
            learning_rate_init=like.learning_rule.learning_rate,
            momentum=like.learning_rule.mom_coeff,
            nesterovs_momentum=False,
        )
        # The first call makes the arrays; their values are then replaced.
        num_images = like.train_dataset.batch_size
        self.model.partial_fit(
            self.inputs[:num_images], self.labels[:num_images], classes=np.arange(num_classes)
        )
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        self.params = [param for weights, biases in pairs for param in (weights.T, biases)]
        for param, value in zip(self.params, like.model.params, strict=True):
            param[...] = value
        for velocity in self.model._optimizer.velocities:
            velocity[...] = 0

    def step(self, inputs, targets):
        self.model.partial_fit(inputs.astype(self.inputs.dtype), targets.argmax(axis=1))

    def do_training_epoch(self):
        self.model.partial_fit(self.inputs, self.labels)


class Torch:
    """The same training in PyTorch, as its tutorials write it."""

    def __init__(self, like, images, penalty=None):
        self.dtype = torch.from_numpy(like.model.params[0]).dtype
        inputs, targets = images.split("train")
        self.inputs = torch.from_numpy(np.array(inputs)).to(self.dtype)
        self.targets = torch.from_numpy(np.array(targets, dtype=np.int64))
        self.batch_size = like.train_dataset.batch_size
        self.model = as_torch(like.model, self.dtype)
        self.loss = torch.nn.CrossEntropyLoss()
        self.penalty = penalty
        rule = like.learning_rule
        self.rule = torch.optim.SGD(
            self.model.parameters(), lr=rule.learning_rate, momentum=rule.mom_coeff
        )

    @property
    def params(self):
        return [flipped(param.detach().numpy()) for param in self.model.parameters()]

    def do_training_epoch(self):
        order = torch.randperm(len(self.inputs))
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            self.update(self.inputs[batch], self.targets[batch])

    def step(self, inputs, targets):
        inputs = torch.from_numpy(inputs).to(self.dtype)
        self.update(inputs, torch.from_numpy(targets.argmax(axis=1)))

    def update(self, inputs, targets):
        self.rule.zero_grad()
        loss = self.loss(self.model(inputs), targets)
        if self.penalty is not None:  # L1L2Penalty: each acts with half its strength
            for weights in list(self.model.parameters())[::2]:
                loss = loss + 0.5 * self.penalty.l1_coefficient * weights.abs().sum()
                loss = loss + 0.25 * self.penalty.l2_coefficient * (weights**2).sum()
        loss.backward()
        self.rule.step()


def as_torch(model, dtype):
    """A model of mlpcw as a `torch.nn.Sequential` with the same parameters."""
    modules = []
    for layer in model.layers:
        if isinstance(layer, layers.AffineLayer):
            modules.append(torch.nn.Linear(*reversed(layer.weights.shape), dtype=dtype))
        elif isinstance(layer, layers.ConvolutionalLayer):
            num_outputs, num_inputs, *sides = layer.kernels.shape
            modules.append(torch.nn.Conv2d(num_inputs, num_outputs, tuple(sides), dtype=dtype))
        elif isinstance(layer, layers.ReluLayer):
            modules.append(torch.nn.ReLU())
        elif isinstance(layer, layers.MaxPooling2DLayer):
            modules.append(torch.nn.MaxPool2d(2))
        elif isinstance(layer, layers.ReshapeLayer):
            to_images = len(layer.output_shape) > 1
            modules.append(
                torch.nn.Unflatten(1, layer.output_shape) if to_images else torch.nn.Flatten()
            )
        else:
            raise TypeError(f"no PyTorch module for {layer!r}")
    found = torch.nn.Sequential(*modules)
    with torch.no_grad():
        for param, value in zip(found.parameters(), model.params, strict=True):
            param.copy_(torch.from_numpy(flipped(value).copy()))
    return found


def flipped(param):
    """Kernels flipped along both axes, since PyTorch correlates; any other parameter as it is."""
    return param[:, :, ::-1, ::-1] if param.ndim == 4 else param


LIBRARIES = {"PyTorch": ("pytorch", Torch)} if torch else {}
"""Name of a library that is installed to its kind, and to what trains with it: made from an
optimiser, images, and the penalty of all weights or `None`."""
