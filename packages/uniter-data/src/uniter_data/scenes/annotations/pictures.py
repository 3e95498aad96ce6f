"""The pictures that annotations speak of: the in-domain ones, with the worlds that they were drawn from."""

from dataclasses import dataclass

from uniter_data.scenes.generate import Sizes
from uniter_data.scenes.regions import Regions
from uniter_data.scenes.rendering import content_of, image_id
from uniter_data.scenes.world import Scene

__all__ = ["SOURCE", "SPLITS", "Picture", "pictures_of"]

SOURCE = "in-domain"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """One picture.

    Attributes:
        split, number: which one it is.
        scene: what is in it.
        regions: what a detector found.
    """

    split: str
    number: int
    scene: Scene
    regions: Regions

    @property
    def image_id(self) -> str:
        """Its name in the region store."""
        return image_id(SOURCE, self.split, self.number)

    @property
    def unique_number(self) -> int:
        """A number for formats that know pictures by one number in all splits."""
        return (SPLITS.index(self.split) + 1) * 100_000 + self.number


def pictures_of(sizes: Sizes, *, seed: int) -> dict[str, tuple[Picture, ...]]:
    """The pictures of every split. No picture is in two splits."""
    found = {}
    for split in SPLITS:
        contents = [content_of(seed, SOURCE, split, number) for number in range(sizes.pictures[SOURCE, split])]
        found[split] = tuple(
            Picture(split=split, number=number, scene=scene, regions=regions)
            for number, (scene, regions) in enumerate(contents)
        )
    return found
