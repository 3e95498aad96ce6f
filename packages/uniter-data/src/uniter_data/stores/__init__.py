"""The stores: Zarr groups of regions and of texts, and the manifest that makes a data set of them."""

from uniter_data.stores.manifest import Manifest, Split, dataset_splits, read_manifest, write_dataset
from uniter_data.stores.region_store import RegionRecord, RegionStore
from uniter_data.stores.region_writer import RegionWriter
from uniter_data.stores.text_store import TextStore
from uniter_data.stores.text_writer import TextWriter

__all__ = [
    "Manifest",
    "RegionRecord",
    "RegionStore",
    "RegionWriter",
    "Split",
    "TextStore",
    "TextWriter",
    "dataset_splits",
    "read_manifest",
    "write_dataset",
]
