"""The list of skipped pictures beside a region store: JSON lines, one a picture, with the reason.

`regions.zarr` has `regions.skipped.jsonl`, which is absent where nothing was skipped:

    {"image": "cat-1", "picture": "0/cat-1.png", "reason": "the file is empty"}
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from uniter_data.stores.manifest import write_text

__all__ = ["SkippedPicture", "read_skipped", "skipped_file", "write_skipped"]


@dataclass(frozen=True, kw_only=True)
class SkippedPicture:
    """A picture that is not in the store.

    Attributes:
        image: its id.
        picture: its file below the folder of pictures; empty where there is none.
        reason: why it was skipped.
    """

    image: str
    picture: str
    reason: str


def skipped_file(regions: Path) -> Path:
    """The list of a region store.

    >>> skipped_file(Path("nlvr/regions-dev.zarr")).name
    'regions-dev.skipped.jsonl'
    """
    return regions.with_suffix(".skipped.jsonl")


def write_skipped(regions: Path, skipped: Sequence[SkippedPicture]) -> None:
    """Write the list of a store, or remove that of an earlier run where there is nothing to list."""
    if skipped:
        lines = (json.dumps(asdict(picture), ensure_ascii=False) + "\n" for picture in skipped)
        write_text(skipped_file(regions), "".join(lines))
    else:
        skipped_file(regions).unlink(missing_ok=True)


def read_skipped(regions: Path) -> tuple[SkippedPicture, ...]:
    """The list of a store; empty where there is none.

    Raises:
        ValueError: a line is damaged.
    """
    file = skipped_file(regions)
    if not file.exists():
        return ()
    lines = file.read_text(encoding="utf-8").splitlines()
    try:
        return tuple(SkippedPicture(**json.loads(line)) for line in lines)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} is damaged ({error}): remove it and {regions.name}, and extract again") from error
