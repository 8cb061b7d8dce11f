"""A small neural-network library and the study that re-runs a coursework report with it."""

__version__ = "0.1.0"
