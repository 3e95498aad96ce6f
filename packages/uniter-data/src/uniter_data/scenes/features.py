"""Region features and soft labels of scenes: a frozen random convolution, PCA, and a ridge regression.

R regions, M = 2304 responses, D = 256 features, C = 14 classes. The convolution is random and never trained; what is
fitted (standardisation, PCA, regression) is fitted on training pictures only. One thread computes everything here, so
that the numbers do not depend on how many there are.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from uniter_core import key_of
from uniter_data.scenes.world import CANVAS, CLASS_NAMES

__all__ = ["FEATURE_DIM", "FIT_REGIONS", "FittedFeatures", "crops_of", "fit_features", "responses_of"]

FEATURE_DIM = 256
FIT_REGIONS = 2000  # more changes nothing that a probe can see

CROP = 32
MARGIN = 0.08
CHANNELS = (48, 96)
GRID = 4
LABEL_DIMS = 96
RIDGE = 1.0
SHARPNESS = 10.0


def crops_of(picture: Image.Image, boxes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(R, 32, 32, 3): the regions, 8 % larger than their boxes (R, 4) in pixels, scaled to one size."""
    half = (boxes[:, 2:] - boxes[:, :2]) * (MARGIN / 2)
    grown = np.clip(np.concatenate([boxes[:, :2] - half, boxes[:, 2:] + half], axis=1), 0, CANVAS)
    crops = [picture.resize((CROP, CROP), Image.Resampling.BILINEAR, box=tuple(box)) for box in grown.tolist()]
    return np.stack([np.asarray(crop) for crop in crops])


def responses_of(crops: NDArray[np.uint8], *, seed: int) -> NDArray[np.float16]:
    """(R, M): what two layers of a frozen random convolution, drawn from `seed`, answer to crops (R, 32, 32, 3).

    5 x 5 x 48, pooled, normalised over each crop, 3 x 3 x 96; both maps are pooled to 4 x 4.
    """
    generator = torch.Generator().manual_seed(key_of(seed, "convolution"))
    first = torch.randn(CHANNELS[0], 3, 5, 5, generator=generator) / math.sqrt(3 * 25)
    second = torch.randn(CHANNELS[1], CHANNELS[0], 3, 3, generator=generator) / math.sqrt(CHANNELS[0] * 9)
    pixels = rearrange(torch.from_numpy(crops), "r h w c -> r c h w").float() / 127.5 - 1
    with torch.no_grad(), _one_thread():
        colour = functional.max_pool2d(functional.relu(functional.conv2d(pixels, first, padding=2, stride=2)), 2)
        deviation, mean = torch.std_mean(colour, dim=(1, 2, 3), keepdim=True)
        form = functional.relu(functional.conv2d((colour - mean) / (deviation + 1e-5), second, padding=1))
        pooled = [
            rearrange(functional.adaptive_avg_pool2d(map_, GRID), "r c h w -> r (c h w)") for map_ in (colour, form)
        ]
        answer: NDArray[np.float16] = torch.cat(pooled, dim=1).half().numpy()
    return answer


@dataclass(frozen=True, kw_only=True)
class FittedFeatures:
    """Turns responses into features and soft labels.

    Attributes:
        mean, axes: (M,) and (M, D) float32: features are (responses - mean) @ axes.
        weight, bias: (LABEL_DIMS, C) and (C,) float32: the regression from the first features to the classes.
    """

    mean: Tensor
    axes: Tensor
    weight: Tensor
    bias: Tensor

    def __call__(self, responses: NDArray[np.float16]) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Features (R, D) and soft labels (R, C), which sum to 1, of responses (R, M)."""
        with _one_thread():
            features = (torch.from_numpy(responses.astype(np.float32)) - self.mean) @ self.axes
            logits = features[:, :LABEL_DIMS] @ self.weight + self.bias
            labels = torch.softmax(SHARPNESS * logits, dim=1)
        return features.half().numpy(), labels.half().numpy()


def fit_features(responses: NDArray[np.float16], classes: NDArray[np.int64]) -> FittedFeatures:
    """Standardisation, PCA and ridge regression on training regions: responses (R, M), rows of `CLASS_NAMES` (R,).

    The features' mean square is 1 over these regions (one factor for all: PCA's own proportions stay). In double
    precision, so that libraries that round differently still agree in float16.
    """
    with _one_thread():
        rows = torch.from_numpy(responses).double()
        deviation, mean = torch.std_mean(rows, dim=0, correction=0)
        deviation += 1e-3
        rows = (rows - mean) / deviation
        axes = _principal_axes(rows, FEATURE_DIM)
        features = rows @ axes
        scale = features.square().mean().sqrt()
        weight, bias = _ridge(features[:, :LABEL_DIMS] / scale, torch.from_numpy(classes))
    return FittedFeatures(
        mean=mean.float(), axes=(axes / deviation[:, None] / scale).float(), weight=weight.float(), bias=bias.float()
    )


# ---------------------------------------------------------------------------------------------------------------------


def _principal_axes(rows: Tensor, number: int) -> Tensor:
    """(M, number): orthonormal directions of most variance of centred rows (R, M), zeros where there are no more.

    Found from the smaller of the two Gram matrices; an axis points to where its largest entry is positive.
    """
    if len(rows) < rows.shape[1]:
        values, left = torch.linalg.eigh(rows @ rows.T)
        kept = values > 1e-9 * values[-1]
        axes = rows.T @ left[:, kept] / values[kept].sqrt()
    else:
        _, axes = torch.linalg.eigh(rows.T @ rows)
    axes = axes.flip(1)[:, :number]
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return functional.pad(axes * largest.sign(), (0, number - axes.shape[1]))


def _ridge(features: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (LABEL_DIMS, C) and bias (C,) of the regression from centred features to one-hot classes."""
    target = functional.one_hot(classes, len(CLASS_NAMES)).double()
    gram = features.T @ features + RIDGE * torch.eye(features.shape[1], dtype=features.dtype)
    return torch.linalg.solve(gram, features.T @ (target - target.mean(dim=0))), target.mean(dim=0)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
