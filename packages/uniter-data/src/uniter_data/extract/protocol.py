"""What an extractor is: pictures in, regions with features out. Any object that has these names is one.

A bottom-up-attention port, say, is plugged in by a class with a name, a width, class names and a call; `uniter data
extract --extractor package.module:factory` calls the factory with the device and takes what it returns.
"""

# B pictures, R regions of a picture, D feature width, C classes

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

__all__ = [
    "BoxExtractor",
    "ExtractedRegions",
    "RegionExtractor",
    "attributes_of",
    "check_extractor",
    "choose_device",
    "load_extractor",
]

NAMES = ("name", "region_dim", "class_names")


@dataclass(frozen=True, kw_only=True, eq=False)
class ExtractedRegions:
    """The regions of one picture. Arrays of numpy, or tensors on any device; stored in half precision.

    Attributes:
        features: (R, D), finite; R may be 0: the picture is then skipped and told.
        boxes: (R, 4) x1, y1, x2, y2 in pixels of the picture that the extractor was given.
        labels: (R, C) probabilities of the classes, the background first; None where there are no classes.
        confidence: (R,) of what was found; None counts as 1.
    """

    features: Any
    boxes: Any
    labels: Any = None
    confidence: Any = None


class RegionExtractor(Protocol):
    """Finds regions in pictures.

    A member `attributes`, a mapping of what JSON can hold, is kept with the store if there is one: weights, thresholds.
    """

    @property
    def name(self) -> str:
        """What made the features, with all that decides them: two extractors of one name count as the same."""

    @property
    def region_dim(self) -> int:
        """D."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the C classes of the soft labels, the background first; empty for none."""

    def __call__(self, pictures: Sequence[Image.Image]) -> Sequence[ExtractedRegions]:
        """The regions of each picture.

        Args:
            pictures: B of them, upright, in RGB, of any sizes. A picture's regions must not depend on the others.
        """


@runtime_checkable
class BoxExtractor(RegionExtractor, Protocol):
    """An extractor that can also describe regions whose boxes are given."""

    def pool(self, pictures: Sequence[Image.Image], boxes: Sequence[NDArray[np.float32]]) -> list[ExtractedRegions]:
        """The given regions of each picture, in their order.

        Args:
            pictures: as above.
            boxes: B of (R, 4) x1, y1, x2, y2 in pixels.
        """


def attributes_of(extractor: RegionExtractor) -> dict[str, Any]:
    """What is kept with a store beside the extractor's name."""
    return dict(getattr(extractor, "attributes", {}))


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device asked for; by default the GPU if there is one.

    Raises:
        ValueError: there is no such device.
    """
    try:
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=chosen)
    # a torch without CUDA asserts, one without a driver raises an error of its own
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device: {device!s} cannot be used ({str(error).splitlines()[0]}): give cpu") from error
    return chosen


def load_extractor(place: str, *, device: str | torch.device | None = None) -> RegionExtractor:
    """An extractor of one's own. The module is imported, and so its code is run.

    Args:
        place: `package.module:factory`; modules of the working directory are found too. The factory is called with the
            device, a `torch.device`, and returns the extractor.
        device: default: the GPU if there is one.

    Raises:
        ValueError: there is no such module or factory, or what it returns is no extractor.
    """
    module, _, factory = place.partition(":")
    if not module or not factory:
        raise ValueError(f"extractor: expected package.module:factory, got {place!r}")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"extractor: {module} cannot be imported ({error}): correct the name, or install it"
        ) from error
    make = getattr(found, factory, None)
    if not callable(make):
        raise ValueError(f"extractor: {module} has no function or class {factory!r}")
    return check_extractor(make(choose_device(device)), place)


def check_extractor(extractor: Any, what: str = "extractor") -> RegionExtractor:
    """The object, if it has what an extractor must have.

    Raises:
        ValueError: it has not; the message names what is missing or wrong.
    """
    missing = [name for name in NAMES if not hasattr(extractor, name)]
    if missing or not callable(extractor):
        lacks = ", ".join(missing) or "a call"
        raise ValueError(f"{what}: a {type(extractor).__name__} is no extractor: it lacks {lacks}")
    names = extractor.class_names
    if not isinstance(extractor.name, str) or not extractor.name:
        raise ValueError(f"{what}: name: expected text, got {extractor.name!r}")
    if not isinstance(extractor.region_dim, int) or extractor.region_dim < 1:
        raise ValueError(f"{what}: region_dim: expected a number from 1, got {extractor.region_dim!r}")
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{what}: class_names: expected a tuple of names, got {names!r:.60}")
    return extractor  # type: ignore[no-any-return]
