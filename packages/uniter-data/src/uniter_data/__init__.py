"""Zarr stores of region features and text, importers, and batches by real units for UNITER."""

from uniter_data.batches import Batch, UnitBatches
from uniter_data.mined_negatives import MinedNegatives
from uniter_data.mining import HardTable, ScoredPairs, candidate_pairs
from uniter_data.mixture import Stage, TaskMixture
from uniter_data.negatives import Negatives, RandomNegatives
from uniter_data.pairs import PairDataset
from uniter_data.stores import (
    DatasetInfo,
    Finding,
    Manifest,
    RegionRecord,
    RegionStore,
    RegionWriter,
    Split,
    SplitInfo,
    TextStore,
    TextWriter,
    dataset_splits,
    info,
    read_manifest,
    repack,
    verify,
    write_dataset,
)
from uniter_data.tokenizer import Encoding, Tokenizer

__version__ = "0.1.0"
__all__ = [
    "Batch",
    "DatasetInfo",
    "Encoding",
    "Finding",
    "HardTable",
    "Manifest",
    "MinedNegatives",
    "Negatives",
    "PairDataset",
    "RandomNegatives",
    "RegionRecord",
    "RegionStore",
    "RegionWriter",
    "ScoredPairs",
    "Split",
    "SplitInfo",
    "Stage",
    "TaskMixture",
    "TextStore",
    "TextWriter",
    "Tokenizer",
    "UnitBatches",
    "candidate_pairs",
    "dataset_splits",
    "info",
    "read_manifest",
    "repack",
    "verify",
    "write_dataset",
]
