"""UNITER pre-training objectives, heads and metrics."""

__version__ = "0.1.0"
