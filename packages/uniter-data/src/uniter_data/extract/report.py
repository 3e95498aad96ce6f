"""What an extraction did, for people and programs."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ExtractedStore", "ExtractionReport"]

NAMED = 5  # skipped pictures that the text names


@dataclass(frozen=True, kw_only=True)
class ExtractedStore:
    """What became of one region store.

    Attributes:
        images: in it.
        regions: in it.
        skipped: id of each picture that could not be read, and why.
        dropped_texts: texts left out because they show one of these pictures.
    """

    images: int
    regions: int
    skipped: tuple[tuple[str, str], ...]
    dropped_texts: int


@dataclass(frozen=True, kw_only=True)
class ExtractionReport:
    """What an extraction did.

    Attributes:
        directory: the data set.
        extractor: how the features were made.
        region_dim: feature width.
        stores: by the name of their folder.
    """

    directory: Path
    extractor: str
    region_dim: int
    stores: dict[str, ExtractedStore]

    def __str__(self) -> str:
        rows = [f"{self.directory}: features {self.region_dim} wide from {self.extractor}"]
        for name, store in self.stores.items():
            rows.append(f"  {name}: {store.images:,} images, {store.regions:,} regions")
            if store.skipped:
                rows.append(
                    f"    {len(store.skipped):,} pictures skipped, and {store.dropped_texts:,} texts that show them:"
                )
                rows += [f"      {image}: {reason}" for image, reason in store.skipped[:NAMED]]
                rows += ["      …"] if len(store.skipped) > NAMED else []
        return "\n".join(rows)
