"""Decoding pictures ahead of the network: threads, for Pillow's decoders let others run meanwhile."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from PIL import Image

from uniter_data.extract.pictures import PictureFolder
from uniter_data.extract.waiting import PictureRow

__all__ = ["in_batches", "read_ahead"]

AHEAD = 2  # batches that are decoded while one is computed
Rows = Sequence[PictureRow]


def read_ahead(
    batches: Iterable[tuple[PictureFolder, Rows]], *, workers: int
) -> Iterator[tuple[Rows, list[Image.Image | str]]]:
    """The pictures of each batch, in order; instead of one that cannot be read, why it cannot.

    Args:
        batches: of pictures of one folder.
        workers: threads that read and decode.

    Raises:
        OSError: a remote folder could not be reached.
    """
    waiting: deque[tuple[Rows, list[Future[Image.Image | str]]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="pictures")
    try:
        for folder, rows in batches:
            waiting.append((rows, [pool.submit(_read, folder, row) for row in rows]))
            if len(waiting) > AHEAD:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def in_batches(rows: Iterable[PictureRow], size: int) -> Iterator[list[PictureRow]]:
    """So many at once, the last fewer.

    >>> [len(batch) for batch in in_batches([PictureRow(image=name, picture="") for name in "abcde"], 2)]
    [2, 2, 1]
    """
    left = iter(rows)
    while batch := list(islice(left, size)):
        yield batch


# ---------------------------------------------------------------------------------------------------------------------


def _read(folder: PictureFolder, row: PictureRow) -> Image.Image | str:
    return folder.read(row.picture) if row.picture else f"there is no picture of this name in {folder.location}"


def _first(
    waiting: deque[tuple[Rows, list[Future[Image.Image | str]]]],
) -> tuple[Rows, list[Image.Image | str]]:
    rows, pictures = waiting.popleft()
    return rows, [picture.result() for picture in pictures]
