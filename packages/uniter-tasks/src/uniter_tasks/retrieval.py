"""Zero-shot retrieval by the matching head: scores of every text with every image.

T texts, I images.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from uniter_core import Sample, pack
from uniter_tasks.inference import evaluating, unit_groups
from uniter_tasks.pretraining import PretrainingModel

__all__ = ["score_grid"]


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
