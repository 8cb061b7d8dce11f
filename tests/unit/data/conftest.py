"""A small MNIST, and no network beyond this machine."""

import gzip
import hashlib
import socket
import struct

import numpy as np
import pytest

from mlpcw.data import images


def idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file that holds a uint8 array."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch):
    """Any connection to another machine fails at once."""
    connect = socket.socket.connect

    def guarded(self, address):
        if address[0] != "127.0.0.1":
            pytest.fail(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def little_mnist(monkeypatch):
    """MNIST of 60 + 10 images of 3 x 2 pixels, name to bytes; the library takes it for MNIST."""
    rng = np.random.RandomState(2)
    contents = {
        "train-images-idx3-ubyte": rng.randint(0, 256, (60, 3, 2)),
        "train-labels-idx1-ubyte": rng.randint(0, 10, 60),
        "t10k-images-idx3-ubyte": rng.randint(0, 256, (10, 3, 2)),
        "t10k-labels-idx1-ubyte": rng.randint(0, 10, 10),
    }
    shapes = {name: array.shape for name, array in contents.items()}
    contents = {name: idx(array.astype(np.uint8)) for name, array in contents.items()}
    digests = {name: hashlib.sha256(file).hexdigest() for name, file in contents.items()}
    monkeypatch.setattr(images, "SHAPES", shapes)
    monkeypatch.setattr(images, "FILES", digests)
    monkeypatch.setattr(images, "NUM_TRAIN", 50)
    return contents


@pytest.fixture
def little_folder(little_mnist, tmp_path):
    """A folder that holds `little_mnist`, two files plain and two gzipped."""
    for number, (name, content) in enumerate(little_mnist.items()):
        if number % 2:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (tmp_path / name).write_bytes(content)
    return tmp_path
