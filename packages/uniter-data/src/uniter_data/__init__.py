"""Zarr stores of region features and text, importers, and batches by real units for UNITER."""

from uniter_data.batches import Batch, UnitBatches
from uniter_data.mixture import Stage, TaskMixture
from uniter_data.pairs import PairDataset
from uniter_data.stores import (
    Manifest,
    RegionRecord,
    RegionStore,
    RegionWriter,
    Split,
    TextStore,
    TextWriter,
    dataset_splits,
    read_manifest,
    write_dataset,
)
from uniter_data.tokenizer import Encoding, Tokenizer

__version__ = "0.1.0"
__all__ = [
    "Batch",
    "Encoding",
    "Manifest",
    "PairDataset",
    "RegionRecord",
    "RegionStore",
    "RegionWriter",
    "Split",
    "Stage",
    "TaskMixture",
    "TextStore",
    "TextWriter",
    "Tokenizer",
    "UnitBatches",
    "dataset_splits",
    "read_manifest",
    "write_dataset",
]
