"""What every importer of sentences yields: captions that name pictures; how they are imported; what came of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uniter_data.examples.draft import Progress, SplitReport
from uniter_data.examples.image_names import ImageName
from uniter_data.importers.texts.damage import Damages
from uniter_data.stores.manifest import Split
from uniter_data.tokenizer import Tokenizer

__all__ = ["Caption", "CaptionOptions", "CaptionReport", "CaptionSource"]

RELEASED = 60  # word pieces of a sentence
NAMED = 3  # damaged records that a report names


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """A sentence about a picture.

    Attributes:
        id: unique in its split.
        source: file and record, for messages.
        split: to which it belongs.
        sentence: as written.
        image: the picture, as the source names it.
        url: where the picture came from; a picture's first caption says it.
        unwanted: why it is left out whatever comes; empty if it is not.
        pieces: word pieces where the source brings them; else the tokenizer makes them.
    """

    id: str
    source: str
    split: str
    sentence: str
    image: ImageName
    url: str = ""
    unwanted: str = ""
    pieces: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CaptionSource:
    """Where captions come from.

    Attributes:
        name: of the data set.
        source: where they come from, for people.
        licence: of the captions, where it is known.
        files: whose sha256 is kept with the texts.
        captions: all of them from the first, anew at every call, and always in the same order.
        pictures_vanish: a missing picture is left out and counted as a matter of course.
        finish: writes what else belongs to the data set, given the folder it is written in, where it will be, and the
            stores of its splits.
    """

    name: str
    source: str
    licence: str = ""
    files: Sequence[Path]
    captions: Callable[[Damages], Iterator[Caption]]
    pictures_vanish: bool = False
    finish: Callable[[Path, Path, Mapping[str, Split]], None] | None = None


@dataclass(frozen=True, kw_only=True)
class CaptionOptions:
    """How captions are imported.

    Attributes:
        tokenizer: of the sentences; None builds one from all that are kept.
        max_tokens: longest sentence in word pieces, [CLS] and [SEP] not counted; None is 60, as released.
        truncate: keep the head of longer sentences; otherwise they are dropped and counted, as released.
        regions: region stores; each split uses the one that has most of its pictures. Without any, the data set waits
            for the extraction of its pictures.
        pictures: folder of the pictures of each split; under "", that of all others.
        image_name: what the region stores, or the files, call a picture, as a pattern; empty tries what is usual
            (`image_names`).
        skip_missing: leave out, and count, captions whose picture has no regions, or no file; otherwise they are
            refused.
        skip_damaged: leave out, count and list records that are wrong; otherwise the first is refused.
        val_share: of the pictures of "train" that go to "val" with all their captions, chosen by their ids.
        progress: called with what is done, how much of it, and of how much.

    Raises:
        ValueError: `val_share` is not from 0 up to, but not including, 1.
    """

    tokenizer: Tokenizer | None = None
    max_tokens: int | None = None
    truncate: bool = False
    regions: Sequence[str | Path] = ()
    pictures: Mapping[str, str | Path] = field(default_factory=dict)
    image_name: str = ""
    skip_missing: bool = False
    skip_damaged: bool = False
    val_share: float = 0.0
    progress: Progress = lambda what, done, total: None

    def __post_init__(self) -> None:
        if not 0 <= self.val_share < 1:
            raise ValueError(f"val_share: expected a share from 0 to less than 1, got {self.val_share}")

    @property
    def longest(self) -> int:
        """The limit of a sentence in word pieces."""
        return RELEASED if self.max_tokens is None else self.max_tokens


@dataclass(frozen=True, kw_only=True)
class CaptionReport:
    """What an import of captions did.

    Attributes:
        directory: the data set.
        splits: by name.
        damaged: what was wrong with the records that were left out for it.
        waits: whether its regions are still to be extracted.
    """

    directory: Path
    splits: Mapping[str, SplitReport]
    damaged: Sequence[str]
    waits: bool

    def __str__(self) -> str:
        rows = [f"captions in {self.directory}", *(f"  {name:<8} {split}" for name, split in self.splits.items())]
        if self.damaged:
            rows.append(f"  {len(self.damaged):,} damaged records left out, listed in damaged.txt:")
            rows += [f"    {problem}" for problem in self.damaged[:NAMED]]
        return "\n".join(rows)
