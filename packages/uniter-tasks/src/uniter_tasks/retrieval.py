"""Zero-shot retrieval by the matching head: scores of every text with every image, and recall.

T texts, I images, Q queries, C candidates.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from uniter_core import Sample, pack
from uniter_tasks.inference import evaluating, unit_groups
from uniter_tasks.pretraining import PretrainingModel

__all__ = ["recall_at", "score_grid"]


def score_grid(
    model: PretrainingModel,
    images: Sequence[Sample],
    texts: Sequence[Sample],
    *,
    units: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float32]:
    """How well every text fits every image.

    The score is the log-odds of a match, logit 1 − logit 0: it ranks as the probability does, without saturating.

    Args:
        model: its encoder and `itm` head; evaluation mode is set and taken back.
        images: I samples of which only the regions are used.
        texts: T samples of which only the words are used.
        units: words and regions of a batch at most.
        progress: called with batches done and their number.

    Returns:
        (T, I) float32: row = text, column = image. Rows rank images for a text (image retrieval), the transpose ranks
        texts for an image (text retrieval).
    """
    sizes = np.add.outer([text.num_words for text in texts], [image.num_regions for image in images])
    order = np.argsort(sizes, axis=None, kind="stable")  # pairs of like size together
    groups = unit_groups(sizes.ravel()[order].tolist(), units)
    scores = np.empty(sizes.size, dtype=np.float32)
    with evaluating(model) as device:
        for done, group in enumerate(groups, start=1):
            pairs = [_pair(texts[pair // len(images)], images[pair % len(images)]) for pair in order[group].tolist()]
            packed = pack(pairs).to(device)
            logits = model.heads["itm"](model.encoder.pool(model.encoder(packed), packed)).float()
            scores[order[group]] = (logits[:, 1] - logits[:, 0]).cpu().numpy()
            progress(done, len(groups))
    return scores.reshape(sizes.shape)


def recall_at(scores: NDArray[np.floating], truth: NDArray[np.bool_], k: int) -> float:
    """Share of the queries that find a true candidate among their k best. A wrong candidate with the same score stands
    before the true one, so a model that gives everything one score finds nothing.

    Args:
        scores: (Q, C), higher is better.
        truth: (Q, C) bool, at least one true candidate a row.
        k: candidates looked at.

    Raises:
        ValueError: shapes differ, a score is not finite, k < 1, or a query has no true candidate.

    >>> scores = np.array([[0.9, 0.1, 0.3], [0.5, 0.5, 0.2]])
    >>> truth = np.array([[True, False, False], [True, False, False]])
    >>> recall_at(scores, truth, 1), recall_at(scores, truth, 2)
    (0.5, 1.0)
    """
    scores, truth = np.asarray(scores), np.asarray(truth, dtype=bool)
    if scores.ndim != 2 or scores.shape != truth.shape:
        raise ValueError(f"truth: expected the (Q, C) shape of scores {scores.shape}, got {truth.shape}")
    if k < 1:
        raise ValueError(f"k: expected at least 1, got {k}")
    if not np.isfinite(scores).all():
        raise ValueError("scores: expected finite numbers only")
    if not truth.any(axis=1).all():
        raise ValueError(f"truth: query {int(np.argmin(truth.any(axis=1)))} has no true candidate")
    best = np.where(truth, scores, -np.inf).max(axis=1, keepdims=True)
    before = ((scores >= best) & ~truth).sum(axis=1)
    return float((before < k).mean())


# ---------------------------------------------------------------------------------------------------------------------


def _pair(text: Sample, image: Sample) -> Sample:
    """The words of one sample with the regions of another."""
    return replace(
        text,
        region_features=image.region_features,
        region_boxes=image.region_boxes,
        region_types=image.region_types,
        region_labels=None,
        gold_regions=None,
    )
