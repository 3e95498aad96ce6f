"""Retrieval predicts a score a pair, a matrix on disk; here its ids become what the metric needs.

T texts, I images.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from uniter_tasks.predictions.ids import match_ids, refuse_doubled

__all__ = ["gold_columns"]


def gold_columns(
    text_ids: Sequence[str], image_ids: Sequence[str], image_of: Mapping[str, str], *, where: str = "scores"
) -> NDArray[np.int64]:
    """The column of the image that each text describes: `text_images` of `score_retrieval`.

    Args:
        text_ids: T ids of the rows.
        image_ids: I ids of the columns.
        image_of: text id → image id, of every text of the split.
        where: names the matrix in messages.

    Raises:
        ValueError: an id is missing, doubled or unknown.

    >>> gold_columns(["t1", "t0"], ["a", "b"], {"t0": "a", "t1": "b"}).tolist()
    [1, 0]
    """
    refuse_doubled(text_ids, f"{where}, texts")
    refuse_doubled(image_ids, f"{where}, images")
    match_ids(text_ids, image_of.keys(), f"{where}, texts")
    match_ids(image_ids, set(image_of.values()), f"{where}, images")
    columns = {name: column for column, name in enumerate(image_ids)}
    return np.array([columns[image_of[name]] for name in text_ids], dtype=np.int64)
