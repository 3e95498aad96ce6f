"""Readers of the annotation files of the downstream tasks, as their owners publish them: a file a format."""

from uniter_data.annotations.detections import Detection, read_detections
from uniter_data.annotations.formats import describe
from uniter_data.annotations.genome import GenomeQuestion, read_genome_questions
from uniter_data.annotations.instances import Instance, Instances, read_instances
from uniter_data.annotations.karpathy import Caption, KarpathyImage, read_karpathy
from uniter_data.annotations.nlvr2 import Nlvr2Record, read_nlvr2
from uniter_data.annotations.plain_pickle import read_plain_pickle
from uniter_data.annotations.records import annotation_records
from uniter_data.annotations.refcoco import Expression, read_refcoco
from uniter_data.annotations.snli_ve import SnliVeRecord, read_snli_ve
from uniter_data.annotations.vcr import VcrMetadata, VcrRecord, read_vcr, read_vcr_metadata
from uniter_data.annotations.vqa import VqaQuestions, VqaRecord, read_vqa, read_vqa_annotations, read_vqa_questions

__all__ = [
    "Caption",
    "Detection",
    "Expression",
    "GenomeQuestion",
    "Instance",
    "Instances",
    "KarpathyImage",
    "Nlvr2Record",
    "SnliVeRecord",
    "VcrMetadata",
    "VcrRecord",
    "VqaQuestions",
    "VqaRecord",
    "annotation_records",
    "describe",
    "read_detections",
    "read_genome_questions",
    "read_instances",
    "read_karpathy",
    "read_nlvr2",
    "read_plain_pickle",
    "read_refcoco",
    "read_snli_ve",
    "read_vcr",
    "read_vcr_metadata",
    "read_vqa",
    "read_vqa_annotations",
    "read_vqa_questions",
]
