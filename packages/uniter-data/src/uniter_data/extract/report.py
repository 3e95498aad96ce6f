"""What an extraction did, for people and programs."""

from dataclasses import dataclass
from pathlib import Path

from uniter_data.extract.skipped import SkippedPicture, skipped_file

__all__ = ["ExtractedStore", "ExtractionReport"]

NAMED = 5  # skipped pictures that the text names


@dataclass(frozen=True, kw_only=True)
class ExtractedStore:
    """What became of one region store.

    Attributes:
        path: of it.
        images: in it.
        regions: in it.
        skipped: the pictures that are not in it.
        ignored: files among the pictures that are none by their suffix.
        dropped_texts: texts of the data set left out because they show a skipped picture.
        made: pictures that this run extracted, and in how many seconds.
    """

    path: Path
    images: int
    regions: int
    skipped: tuple[SkippedPicture, ...]
    ignored: int
    dropped_texts: int
    made: tuple[int, float]

    def lines(self) -> list[str]:
        """For people."""
        made, seconds = self.made
        rate = f", {made:,} of them now, {made / seconds:,.1f} pictures/s" if made and seconds else ""
        rows = [f"  {self.path.name}: {self.images:,} images, {self.regions:,} regions{rate}"]
        if self.ignored:
            rows.append(f"    {self.ignored:,} files are no pictures by their suffix")
        if self.skipped:
            texts = f", and {self.dropped_texts:,} texts that show them" if self.dropped_texts else ""
            rows.append(f"    {len(self.skipped):,} pictures skipped{texts}, listed in {skipped_file(self.path)}:")
            rows += [f"      {picture.image}: {picture.reason}" for picture in self.skipped[:NAMED]]
            rows += ["      …"] if len(self.skipped) > NAMED else []
        return rows


@dataclass(frozen=True, kw_only=True)
class ExtractionReport:
    """What an extraction did.

    Attributes:
        source: the data set, or the folder of pictures.
        extractor: how the features were made.
        region_dim: feature width.
        stores: by the name of their folder.
    """

    source: str
    extractor: str
    region_dim: int
    stores: dict[str, ExtractedStore]

    def __str__(self) -> str:
        rows = [f"{self.source}: features {self.region_dim} wide from {self.extractor}"]
        return "\n".join([*rows, *(line for store in self.stores.values() for line in store.lines())])
