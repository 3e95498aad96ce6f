"""Finds the regions of an image that annotations name, in every layer of region stores."""

from collections.abc import Sequence
from pathlib import Path

from uniter_data.examples.image_names import ImageName
from uniter_data.examples.union import RegionUnion, refuse_difference

__all__ = ["Join"]


class Join:
    """The layers of region stores of a data set; see `TaskSplit`.

    Args:
        layers: of region stores.
        image_name: pattern of an image's name there; empty tries what is usual.

    Raises:
        ValueError: a store cannot be opened, or two differ in feature width or classes.
    """

    def __init__(self, layers: Sequence[Sequence[str | Path]], image_name: str = "") -> None:
        self.layers = [RegionUnion(layer) for layer in layers]
        for layer in self.layers[1:]:
            refuse_difference(self.layers[0].stores[0], layer.stores[0])
        self._pattern = image_name
        self._found: dict[ImageName, tuple[str, ...]] = {}

    @property
    def location(self) -> str:
        """For messages."""
        return ", ".join(layer.location for layer in self.layers)

    def names(self, image: ImageName) -> tuple[str, ...]:
        """What each layer calls the image; nothing where one lacks it, or no layer has a region of it."""
        found = self._found.get(image)
        if found is None:
            found = self._found[image] = self._look_up(image)
        return found

    def _look_up(self, image: ImageName) -> tuple[str, ...]:
        names = []
        regions = 0
        for layer in self.layers:
            name = next((name for name in image.candidates(self._pattern) if name in layer.rows), None)
            if name is None:
                return ()
            names.append(name)
            regions += int(layer.region_lengths[layer.rows[name]])
        return tuple(names) if regions else ()
