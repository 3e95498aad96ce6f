"""Predictions: kept with their probabilities, exported to the official files, scored without a model, averaged."""

from uniter_tasks.predictions.archive import load_archive, save_archive
from uniter_tasks.predictions.constant import constant_predictions
from uniter_tasks.predictions.ensemble import ensemble
from uniter_tasks.predictions.format import PredictionFormat, ScoreOptions
from uniter_tasks.predictions.formats import (
    FORMATS,
    decode_predictions,
    prediction_format,
    read_official,
    save_predictions,
    score,
    score_predictions,
)
from uniter_tasks.predictions.predictions import Predictions
from uniter_tasks.predictions.refexp import ChosenRegion
from uniter_tasks.predictions.retrieval import gold_columns

__all__ = [
    "FORMATS",
    "ChosenRegion",
    "PredictionFormat",
    "Predictions",
    "ScoreOptions",
    "constant_predictions",
    "decode_predictions",
    "ensemble",
    "gold_columns",
    "load_archive",
    "prediction_format",
    "read_official",
    "save_archive",
    "save_predictions",
    "score",
    "score_predictions",
]
