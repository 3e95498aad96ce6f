"""Leak-safe splits: pre-training data without the pictures of evaluation splits, and the proof of it (paper, A.1)."""

from uniter_data.splits.audit import DISTANCE, audit
from uniter_data.splits.cross_ids import CrossIds, read_cross_ids
from uniter_data.splits.findings import Audit, Compared, Leak, Looked, Step
from uniter_data.splits.id_lists import read_id_list
from uniter_data.splits.image_sets import ImageSet, open_dataset
from uniter_data.splits.opening import named_places, open_downstream, open_sources, with_places
from uniter_data.splits.report import as_json, as_markdown, summary, write_report
from uniter_data.splits.views import check_leaks, filter_datasets, record_audit

__all__ = [
    "DISTANCE",
    "Audit",
    "Compared",
    "CrossIds",
    "ImageSet",
    "Leak",
    "Looked",
    "Step",
    "as_json",
    "as_markdown",
    "audit",
    "check_leaks",
    "filter_datasets",
    "named_places",
    "open_dataset",
    "open_downstream",
    "open_sources",
    "read_cross_ids",
    "read_id_list",
    "record_audit",
    "summary",
    "with_places",
    "write_report",
]
