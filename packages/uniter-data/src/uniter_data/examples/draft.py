"""What the importers of all tasks share: an example before its regions are found, options, and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uniter_data.examples.image_names import ImageName
from uniter_data.tokenizer import Tokenizer

__all__ = ["Draft", "ImportOptions", "ImportReport", "Progress", "SplitReport"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """An example as its annotations give it.

    Attributes:
        id: unique in its split.
        source: file and record, for messages.
        texts: as written.
        images: as the annotations name them.
        annotation: the task's own record, plain JSON values.
        unwanted: why it is left out whatever comes; empty if it is not.
        pieces: the texts' word pieces where the source brings them; else the tokenizer makes them.
    """

    id: str
    source: str
    texts: tuple[str, ...]
    images: tuple[ImageName, ...]
    annotation: dict[str, Any]
    unwanted: str = ""
    pieces: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How annotations are imported.

    Attributes:
        tokenizer: of the texts; None builds one from the texts of all splits.
        max_tokens: longest text in word pieces, [CLS] and [SEP] not counted.
        drop_long: leave examples with a longer text out; otherwise its head is kept, so that every record of an
            evaluation split gets its prediction.
        skip_missing: leave out, and count, examples whose image has no regions, or whose record lacks what the task
            needs; otherwise they are refused.
        image_name: what the region stores call an image, as a pattern; empty tries what is usual (`image_names`).
        pictures: folders of the pictures, for previews; they stay where they are.
        progress: called with what is done, how much of it, and of how much.
    """

    tokenizer: Tokenizer | None = None
    max_tokens: int = 60
    drop_long: bool = False
    skip_missing: bool = False
    image_name: str = ""
    pictures: Sequence[str | Path] = ()
    progress: Progress = lambda what, done, total: None


@dataclass(kw_only=True)
class SplitReport:
    """What became of a split's records.

    Attributes:
        examples: that are in the data set.
        images: they name.
        left_out: records that are not, by reason.
        truncated: texts that were cut.
    """

    examples: int = 0
    images: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    truncated: int = 0

    def __str__(self) -> str:
        parts = [f"{self.examples:,} examples", f"{self.images:,} images"]
        parts += [f"{count:,} left out: {reason}" for reason, count in self.left_out.items()]
        parts += [f"{self.truncated:,} texts cut"] if self.truncated else []
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import did.

    Attributes:
        directory: the data set.
        task: to which it belongs.
        splits: by name.
    """

    directory: Path
    task: str
    splits: Mapping[str, SplitReport]

    def __str__(self) -> str:
        return "\n".join(
            [f"{self.task} in {self.directory}", *(f"  {name:<8} {split}" for name, split in self.splits.items())]
        )
