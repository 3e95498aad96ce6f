"""The captions that become texts: those whose picture is there and whose sentence has words; the others are counted."""

from collections.abc import Iterator, Mapping

from uniter_data.importers.texts.captions import Caption, CaptionOptions, CaptionSource
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.places import Place, find_images
from uniter_data.importers.texts.survey import blocks_of

__all__ = ["EMPTY", "Reading"]

EMPTY = "the sentence is empty"


class Reading:
    """The captions of a source, read as often as they are asked for.

    Args:
        source: of the captions.
        chosen: where the pictures of each split are.
        options: see `CaptionOptions`.

    Attributes:
        damages: of the last reading.
        left_out: captions of each split that the last reading left out, by reason.
    """

    def __init__(self, source: CaptionSource, chosen: Mapping[str, Place], options: CaptionOptions) -> None:
        self.chosen = chosen
        self.options = options
        self.damages = Damages(skip=options.skip_damaged)
        self.left_out: dict[str, dict[str, int]] = {}
        self._source = source

    def kept(self) -> Iterator[tuple[Caption, str]]:
        """The captions from the first, each with what its place calls its picture; the counts begin anew."""
        self.damages = Damages(skip=self.options.skip_damaged)
        self.left_out = {split: {} for split in self.chosen}
        for block in blocks_of(self._source, self.damages, self.options):
            for caption, name in zip(block, self._names(block), strict=True):
                empty = "" if caption.pieces or caption.sentence.strip() else EMPTY
                reason = caption.unwanted or empty or ("" if name else self.chosen[caption.split].lacks)
                if reason:
                    self.count(caption.split, reason)
                else:
                    yield caption, name

    def count(self, split: str, reason: str) -> None:
        """Note that a caption is left out."""
        self.left_out[split][reason] = self.left_out[split].get(reason, 0) + 1

    def _names(self, block: list[Caption]) -> list[str]:
        """What the places call the pictures of some captions; empty where they lack one, or nobody asks."""
        names = [""] * len(block)
        for split, place in self.chosen.items():
            here = [number for number, caption in enumerate(block) if caption.split == split and not caption.unwanted]
            found = find_images(place, [block[number].image for number in here], self.options.image_name)
            for number, name in zip(here, found, strict=True):
                names[number] = name
        return names
