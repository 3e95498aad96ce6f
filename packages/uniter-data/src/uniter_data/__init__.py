"""Zarr stores of region features and text, importers, and batches by real units for UNITER."""

__version__ = "0.1.0"
