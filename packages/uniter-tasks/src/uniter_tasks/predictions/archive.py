"""Predictions with their probabilities as a file: NumPy arrays and plain text in a zip, nothing that is executed."""

import zipfile
from pathlib import Path

import numpy as np

from uniter_tasks.predictions.files import replacing
from uniter_tasks.predictions.predictions import Predictions

__all__ = ["load_archive", "save_archive"]

FORMAT = "uniter-predictions-1"


def save_archive(predictions: Predictions, path: Path) -> None:
    """Write the `.npz`, beside its place and then renamed."""
    arrays = {
        "format": np.array(FORMAT),
        "task": np.array(predictions.task),
        "setting": np.array(predictions.setting),
        "ids": np.array(predictions.ids, dtype=np.str_),
        "answers": np.array(predictions.answers, dtype=np.str_),
        "lengths": predictions.lengths,
        "flat": predictions.flat,
    }
    if predictions.boxes is not None:
        arrays["boxes"] = predictions.boxes
    with replacing(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_archive(path: Path) -> Predictions:
    """Read what `save_archive` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, or one of another version, or what it holds does not fit together.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a file of predictions (.npz): name one that `uniter predict` wrote") from error
    if str(held.get("format", "")) != FORMAT or not {"task", "setting", "ids", "answers", "lengths", "flat"} <= set(
        held
    ):
        raise ValueError(f"{path}: expected predictions of format {FORMAT}, got {held.get('format', 'another file')!s}")
    try:
        return Predictions(
            task=str(held["task"]),
            setting=str(held["setting"]),
            ids=tuple(held["ids"].tolist()),
            answers=tuple(held["answers"].tolist()),
            lengths=held["lengths"],
            flat=held["flat"],
            boxes=held.get("boxes"),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
