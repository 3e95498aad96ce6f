"""The stores: Zarr groups of regions and of texts, and the manifest that makes a data set of them."""

from uniter_data.stores.info import DatasetInfo, SplitInfo, info
from uniter_data.stores.manifest import Manifest, Split, dataset_splits, read_manifest, write_dataset
from uniter_data.stores.region_store import RegionRecord, RegionStore
from uniter_data.stores.region_writer import RegionWriter
from uniter_data.stores.repacking import repack
from uniter_data.stores.text_store import TextStore
from uniter_data.stores.text_writer import TextWriter
from uniter_data.stores.verify import Finding, verify

__all__ = [
    "DatasetInfo",
    "Finding",
    "Manifest",
    "RegionRecord",
    "RegionStore",
    "RegionWriter",
    "Split",
    "SplitInfo",
    "TextStore",
    "TextWriter",
    "dataset_splits",
    "info",
    "read_manifest",
    "repack",
    "verify",
    "write_dataset",
]
