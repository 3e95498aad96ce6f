"""Records that are wrong: the first is refused, or all are left out, counted and listed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from uniter_data.stores.manifest import write_text

__all__ = ["Damages", "list_damages"]

LIST = "damaged.txt"

Raw = TypeVar("Raw")
Record = TypeVar("Record")


class Damages:
    """What is wrong with the records that one reading leaves out.

    Args:
        skip: leave them out; otherwise the first is an error.

    Attributes:
        problems: what is wrong with each.
    """

    def __init__(self, *, skip: bool) -> None:
        self.skip = skip
        self.problems: list[str] = []

    def note(self, error: ValueError) -> None:
        """A record is wrong.

        Raises:
            ValueError: the error, unless damaged records are left out.
        """
        if not self.skip:
            raise error
        self.problems.append(str(error))

    def sift(self, parse: Callable[[Raw], Record], raws: Iterable[Raw]) -> Iterator[Record]:
        """The records that can be parsed.

        >>> damages = Damages(skip=True)
        >>> list(damages.sift(int, ["1", "x", "3"])), len(damages.problems)
        ([1, 3], 1)
        """
        for raw in raws:
            try:
                record = parse(raw)
            except ValueError as error:
                self.note(error)
            else:
                yield record


def list_damages(folder: Path, problems: Sequence[str]) -> None:
    """List in a data set's folder, a line a record, what was wrong with those that are left out."""
    if problems:
        write_text(folder / LIST, "".join(problem + "\n" for problem in problems))
