"""The names of `mlpcw.data` in one module: `mnist.load`, `mnist.digits`, `mnist.download`, ..."""

from mlpcw.data.digits import digits
from mlpcw.data.download import download, verify
from mlpcw.data.idx import read_idx
from mlpcw.data.images import FILES, WHICH_SETS, ImageSet, available, data_folder, load

__all__ = [
    "FILES",
    "WHICH_SETS",
    "ImageSet",
    "available",
    "data_folder",
    "digits",
    "download",
    "load",
    "read_idx",
    "verify",
]
