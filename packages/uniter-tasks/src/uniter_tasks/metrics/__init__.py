"""What the official scorers say: numbers in, numbers out, all shares in [0, 1]."""

from uniter_tasks.metrics.breakdown import mean_by, mean_over
from uniter_tasks.metrics.confidence import bootstrap_interval
from uniter_tasks.metrics.nlvr2 import Nlvr2Score, phenomenon_accuracy, score_nlvr2, sentence_of
from uniter_tasks.metrics.nlvr2_subsets import read_phenomena, read_subset
from uniter_tasks.metrics.refexp import RefexpScore, box_iou, score_refexp
from uniter_tasks.metrics.retrieval import RetrievalScore, ScoreMatrix, recall_at, retrieval_ranks, score_retrieval
from uniter_tasks.metrics.snli_ve import SnliVeScore, score_snli_ve
from uniter_tasks.metrics.vcr import VcrScore, score_vcr
from uniter_tasks.metrics.vqa import VqaScore, agreement, answer_accuracy, score_vqa
from uniter_tasks.metrics.vqa_answers import normalise_answer

__all__ = [
    "Nlvr2Score",
    "RefexpScore",
    "RetrievalScore",
    "ScoreMatrix",
    "SnliVeScore",
    "VcrScore",
    "VqaScore",
    "agreement",
    "answer_accuracy",
    "bootstrap_interval",
    "box_iou",
    "mean_by",
    "mean_over",
    "normalise_answer",
    "phenomenon_accuracy",
    "read_phenomena",
    "read_subset",
    "recall_at",
    "retrieval_ranks",
    "score_nlvr2",
    "score_refexp",
    "score_retrieval",
    "score_snli_ve",
    "score_vcr",
    "score_vqa",
    "sentence_of",
]
