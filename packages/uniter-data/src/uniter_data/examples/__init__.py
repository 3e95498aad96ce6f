"""The data sets of the downstream tasks: importers, and examples of texts, images' regions and an annotation."""

from uniter_data.examples.check import describe_examples, holds_examples, stored_annotations, verify_examples
from uniter_data.examples.counted import CountedExamples
from uniter_data.examples.dataset import ExampleDataset
from uniter_data.examples.draft import ImportOptions, ImportReport, SplitReport
from uniter_data.examples.import_karpathy import import_karpathy
from uniter_data.examples.import_nlvr2 import import_nlvr2
from uniter_data.examples.import_refcoco import import_refcoco
from uniter_data.examples.import_snli_ve import import_snli_ve
from uniter_data.examples.import_vcr import import_vcr
from uniter_data.examples.import_vqa import import_vqa
from uniter_data.examples.manifest import TaskManifest, TaskSplit, read_task_manifest, task_splits
from uniter_data.examples.overlap import box_overlaps

__all__ = [
    "CountedExamples",
    "ExampleDataset",
    "ImportOptions",
    "ImportReport",
    "SplitReport",
    "TaskManifest",
    "TaskSplit",
    "box_overlaps",
    "describe_examples",
    "holds_examples",
    "import_karpathy",
    "import_nlvr2",
    "import_refcoco",
    "import_snli_ve",
    "import_vcr",
    "import_vqa",
    "read_task_manifest",
    "stored_annotations",
    "task_splits",
    "verify_examples",
]
