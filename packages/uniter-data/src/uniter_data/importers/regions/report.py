"""How region features are imported, and what an import did."""

# D feature width

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uniter_data.extract.skipped import SkippedPicture, skipped_file

__all__ = ["Progress", "RegionImport", "RegionReport"]

Progress = Callable[[str, int, int], None]

NAMED = 5  # skipped records that the report names


@dataclass(frozen=True, kw_only=True)
class RegionImport:
    """How region features are imported.

    Attributes:
        skip_damaged: leave damaged records out, and list them; otherwise the first ends the import.
        class_names: of the soft labels, the background first; empty = `class_0`, …
        layout: see `RegionWriter`, as the following two.
        precision: of the features.
        top_labels: classes of a soft label that are kept; 0 = all.
        threads: that decode; 0 = one a processor, eight at most.
        progress: called with what is done, how much of it, and of how much.
    """

    skip_damaged: bool = False
    class_names: tuple[str, ...] = ()
    layout: str = "mapped"
    precision: str = "float16"
    top_labels: int = 0
    threads: int = 0
    progress: Progress = lambda what, done, total: None


@dataclass(frozen=True, kw_only=True)
class RegionReport:
    """What an import did.

    Attributes:
        path: of the store.
        images: in it.
        regions: in it.
        region_dim: D.
        labels: what is known of the regions' classes, for people.
        skipped: damaged records that are not in it.
    """

    path: Path
    images: int
    regions: int
    region_dim: int
    labels: str
    skipped: tuple[SkippedPicture, ...]

    def __str__(self) -> str:
        rows = [f"{self.path}: {self.images:,} images, {self.regions:,} regions {self.region_dim} wide, {self.labels}"]
        if self.skipped:
            rows.append(f"  {len(self.skipped):,} damaged records skipped, listed in {skipped_file(self.path)}:")
            rows += [f"    {record.reason}" for record in self.skipped[:NAMED]]
            rows += ["    …"] if len(self.skipped) > NAMED else []
        return "\n".join(rows)
