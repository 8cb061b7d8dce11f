"""Statistics of the first layer's weights, from the histograms in the records."""

import numpy as np

from mlpcw.study.records.results import Results

NEAR_ZERO = 0.01
"""Weights of at most this magnitude are called near zero."""


def share_near_zero(results: Results, key: str) -> float:
    """Share of first-layer weights of magnitude at most `NEAR_ZERO`."""
    edges, counts = results.weight_counts(key)
    centres = (edges[:-1] + edges[1:]) / 2
    return float(counts[np.abs(centres) < NEAR_ZERO].sum() / counts.sum())


def magnitude_quantile(results: Results, key: str, share: float) -> float:
    """Magnitude that a share of the first-layer weights does not exceed, to a bin's width."""
    edges, counts = results.weight_counts(key)
    magnitudes = np.maximum(np.abs(edges[:-1]), np.abs(edges[1:]))
    order = magnitudes.argsort()
    passed = np.cumsum(counts[order]) / counts.sum()
    return float(magnitudes[order][np.searchsorted(passed, share)])


def density(results: Results, key: str, num_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Density of the weights, `num_bins` of the record's bins merged into one.

    Returns:
        Densities, `(num_groups,)`, and edges, `(num_groups + 1,)`, which are multiples of the
        merged bins' width.
    """
    edges, counts = results.weight_counts(key)
    width = num_bins * (edges[1] - edges[0])
    groups = np.floor((edges[:-1] + edges[1:]) / 2 / width).astype(int)
    sums = np.bincount(groups - groups[0], counts)
    group_edges = np.arange(groups[0], groups[-1] + 2) * width
    return sums / (counts.sum() * width), group_edges
