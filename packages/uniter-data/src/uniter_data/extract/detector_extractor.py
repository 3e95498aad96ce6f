"""A torchvision detector as an extractor: regions are what it finds, soft labels what its box head says of them.

The detector's own end, which makes an instance of every class of every proposal and filters each, is left out. A
proposal is one region: its box is the refined one of its likeliest class that is not the background, its features the
vector that the box head made of the proposal, its soft label the whole softmax of the class scores, its confidence the
probability of that likeliest class. Of overlapping regions of one likeliest class the most confident stays (non-maximum
suppression at the detector's threshold). Then the released rule: of n regions above the confidence threshold
min(max_boxes, max(min_boxes, n)) are kept, the most confident first.
"""

# B pictures, N proposals of a picture, R regions of it, C classes, D feature width

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from uniter_data.extract.detector import Detector, load_detector
from uniter_data.extract.pictures import by_size, pixels_of
from uniter_data.extract.protocol import ExtractedRegions
from uniter_data.extract.weights import describe_weights

__all__ = ["DetectorExtractor", "detector_extractor"]

SMALLEST = 1e-2  # pixels a side; below it a box is empty (torchvision's own value)


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectorExtractor:
    """See `detector_extractor`.

    Attributes:
        detector: finds and describes the regions.
        threshold: confidence above which a region counts.
        min_boxes, max_boxes: regions of a picture; fewer only where no more are left after suppression.
    """

    detector: Detector
    threshold: float
    min_boxes: int
    max_boxes: int

    @property
    def region_dim(self) -> int:
        """D."""
        return int(self.detector.net.roi_heads.box_predictor.cls_score.in_features)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the C classes, the background first."""
        return self.detector.class_names

    @property
    def name(self) -> str:
        """For people."""
        made = self.detector.identity
        boxes = f"{self.min_boxes} to {self.max_boxes} boxes over {self.threshold:g}"
        return f"torchvision {made['model']} ({describe_weights(made)}), {boxes}"

    @property
    def attributes(self) -> dict[str, Any]:
        """All that decides the regions."""
        return {
            **self.detector.identity,
            "threshold": self.threshold,
            "min_boxes": self.min_boxes,
            "max_boxes": self.max_boxes,
            "nms": self.detector.net.roi_heads.nms_thresh,
        }

    def __call__(self, pictures: Sequence[Image.Image]) -> list[ExtractedRegions]:
        """The regions that the detector finds; none in a picture so narrow that it would vanish when resized."""
        return self._in_groups(pictures, None)

    def pool(self, pictures: Sequence[Image.Image], boxes: Sequence[NDArray[np.float32]]) -> list[ExtractedRegions]:
        """What the box head says of given boxes, which stay as they are."""
        return self._in_groups(pictures, boxes)

    def _in_groups(
        self, pictures: Sequence[Image.Image], boxes: Sequence[NDArray[np.float32]] | None
    ) -> list[ExtractedRegions]:
        """Pictures of one size go through the network together."""
        found: dict[int, ExtractedRegions] = {}
        for places in by_size(pictures):
            group = [pictures[place] for place in places]
            given = None if boxes is None else [boxes[place] for place in places]
            found.update(zip(places, self._of_one_size(group, given), strict=True))
        return [found[place] for place in range(len(pictures))]

    def _of_one_size(
        self, pictures: Sequence[Image.Image], boxes: Sequence[NDArray[np.float32]] | None
    ) -> list[ExtractedRegions]:
        net, device = self.detector.net, self.detector.device
        if self._vanishes(pictures[0].size):
            return [self._nothing() for _ in pictures]
        images, _ = net.transform([pixels_of(picture).to(device).float() / 255 for picture in pictures])
        maps = net.backbone(images.tensors)
        maps = {"0": maps} if isinstance(maps, Tensor) else maps
        height, width = images.image_sizes[0]
        # from pixels of the pictures to those of the resized ones
        ratio = torch.tensor([width, height] * 2, device=device) / torch.tensor(pictures[0].size * 2, device=device)
        if boxes is None:
            proposals, _ = net.rpn(images, maps)
        else:
            proposals = [torch.from_numpy(corners).to(device) * ratio for corners in boxes]
        heads = net.roi_heads
        pooled = heads.box_head(heads.box_roi_pool(maps, proposals, images.image_sizes))
        scores, moves = heads.box_predictor(pooled)
        refined = heads.box_coder.decode(moves, proposals)
        counts = [len(found) for found in proposals]
        parts = zip(*(torch.split(part, counts) for part in (pooled, scores.softmax(-1), refined)), strict=True)
        if boxes is None:
            return [self._choose(*part, size=(height, width), ratio=ratio) for part in parts]
        return [
            ExtractedRegions(features=features, labels=labels, boxes=corners, confidence=labels[:, 1:].amax(dim=1))
            for (features, labels, _), corners in zip(parts, boxes, strict=True)
        ]

    def _choose(
        self, features: Tensor, labels: Tensor, refined: Tensor, *, size: tuple[int, int], ratio: Tensor
    ) -> ExtractedRegions:
        """The regions that are kept.

        Args:
            features: (N, D).
            labels: (N, C) probabilities.
            refined: (N, C, 4) boxes in pixels of the resized picture.
            size: (height, width) of that.
            ratio: (4,) of its pixels to the picture's.
        """
        from torchvision import ops

        confidence, best = labels[:, 1:].max(dim=1)
        boxes = refined[torch.arange(len(best)), best + 1]
        boxes = ops.clip_boxes_to_image(boxes, size)
        whole = ops.remove_small_boxes(boxes, min_size=SMALLEST)
        nms = self.detector.net.roi_heads.nms_thresh
        # sorted by confidence
        kept = whole[ops.batched_nms(boxes[whole], confidence[whole], best[whole], nms)]
        over = int((confidence[kept] > self.threshold).sum())
        kept = kept[: min(self.max_boxes, max(self.min_boxes, over))]
        return ExtractedRegions(
            features=features[kept], labels=labels[kept], boxes=boxes[kept] / ratio, confidence=confidence[kept]
        )

    def _vanishes(self, size: tuple[int, int]) -> bool:
        """Whether the detector would resize the picture's shorter side to less than a pixel."""
        transform = self.detector.net.transform
        scale = min(transform.min_size[-1] / min(size), transform.max_size / max(size))
        return bool(min(size) * scale < 1)

    def _nothing(self) -> ExtractedRegions:
        return ExtractedRegions(
            features=torch.zeros(0, self.region_dim),
            labels=torch.zeros(0, len(self.class_names)),
            boxes=torch.zeros(0, 4),
            confidence=torch.zeros(0),
        )


def detector_extractor(
    model: str,
    *,
    weights: str = "hub",
    seed: int = 0,
    threshold: float = 0.2,
    min_boxes: int = 10,
    max_boxes: int = 100,
    device: str | torch.device | None = None,
) -> DetectorExtractor:
    """A detector of torchvision; the defaults of the rule are the released ones (10 to 100 boxes over 0.2).

    Args:
        model: its name, such as "fasterrcnn_resnet50_fpn_v2".
        weights: "hub", "random", or a file: see `load_detector`.
        seed: of random weights.
        threshold: confidence above which a region counts.
        min_boxes, max_boxes: regions of a picture.
        device: default: the GPU if there is one.

    Raises:
        RuntimeError: torchvision is not installed.
        ValueError: there is no such detector or device, a number is out of range, or the weights cannot be had.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: expected a probability, got {threshold}")
    if not 1 <= min_boxes <= max_boxes:
        raise ValueError(f"min_boxes, max_boxes: expected 1 <= min <= max, got {min_boxes} and {max_boxes}")
    detector = load_detector(model, weights=weights, seed=seed, device=device)
    return DetectorExtractor(detector=detector, threshold=threshold, min_boxes=min_boxes, max_boxes=max_boxes)
