"""Importing region features: records are read and decoded by several threads, and written in their order."""

# R regions of an image, D feature width, C classes

import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from uniter_data.extract.skipped import SkippedPicture, write_skipped
from uniter_data.importers.regions.class_names import name_classes
from uniter_data.importers.regions.digest import RecordDigest, checksum
from uniter_data.importers.regions.record import ImageRegions, RawRecord, RegionSource
from uniter_data.importers.regions.report import Progress, RegionImport, RegionReport
from uniter_data.stores.region_store import RegionStore
from uniter_data.stores.region_writer import RegionWriter

__all__ = ["import_regions"]

Rows = dict[str, NDArray[Any]]  # as the store keeps them, by array

AHEAD = 4  # records a thread has before it
MOST_THREADS = 8
KEPT_BYTES = 30 << 20
REPORT_EVERY = 16  # records


@dataclass(frozen=True, slots=True)
class _Read:
    """What became of a record: its checksums, and its rows and the picture's size, or what is wrong; neither where it
    was written before."""

    sums: list[tuple[int, int]]
    rows: Rows | None = None
    size: tuple[int, int] = (0, 0)
    problem: ValueError | None = None


def import_regions(source: RegionSource, out: str | Path, options: RegionImport) -> RegionReport:
    """Write a region store of a source. A killed import goes on where it was and ends in the same store.

    Args:
        source: of the records; the first sound one decides feature width and labels.
        out: the store to write.
        options: how.

    Raises:
        ValueError: the store exists, a record is damaged (and `skip_damaged` off), none is sound, or the source as a
            whole is damaged; the message names file and record. What was written stays, for another try.
    """
    # the C library hands large pieces of memory back to the system and asks for them again, a record at a time, which
    # costs more than copying, until one as large as this was freed
    bytearray(KEPT_BYTES)
    records = _telling(source, options.progress)
    head, first = _find_sound(source, records, options)
    skipped: list[SkippedPicture] = []
    digests: defaultdict[str, RecordDigest] = defaultdict(RecordDigest)
    with _open_writer(source, first, out, options) as writer:
        written = set(writer.done)
        for record, reading in _ahead(chain(head, records), partial(_read, source, writer), written, options.threads):
            read = reading.result()
            digests[record.file].update(record.image, read.sums)
            problem = read.problem
            if read.rows is not None and record.image in writer.done:
                problem = ValueError(f"{record.where}: expected an image of its own, {record.image!r} came before")
            if problem is not None:
                skipped.append(_skip(record, problem, options))
            elif read.rows is not None:
                writer.append_rows(record.image, read.rows, size=read.size)
        # before the store is: whoever sees it can see what it lacks
        write_skipped(Path(out), skipped)
        writer.publish({"source": [{"name": name, **digest.result()} for name, digest in digests.items()]})
    store = RegionStore(out)
    return RegionReport(
        path=Path(out),
        images=store.num_images,
        regions=int(store.offsets[-1]),
        region_dim=store.region_dim,
        labels=_describe_labels(first, store.num_classes),
        skipped=tuple(skipped),
    )


# ---------------------------------------------------------------------------------------------------------------------


def _telling(source: RegionSource, progress: Progress) -> Iterator[RawRecord]:
    """All records; says now and then how many that are."""
    for number, record in enumerate(source.records(), start=1):
        if number % REPORT_EVERY == 0:
            progress(f"importing {source.name}", *source.progress())
        yield record


def _find_sound(
    source: RegionSource, records: Iterator[RawRecord], options: RegionImport
) -> tuple[list[RawRecord], ImageRegions]:
    """The records up to the first that can be decoded, and what it holds."""
    head: list[RawRecord] = []
    for record in records:
        head.append(record)
        try:
            with _naming(record):
                return head, source.decode(source.load(record.data)[1])
        except ValueError as error:
            _skip(record, error, options)
    raise ValueError(f"{source.name}: expected a record that can be decoded, got none of {len(head)}")


def _open_writer(source: RegionSource, first: ImageRegions, out: str | Path, options: RegionImport) -> RegionWriter:
    hard = first.classes is not None
    count = source.num_classes if hard else 0 if first.labels is None else first.labels.shape[1]
    return RegionWriter(
        out,
        region_dim=first.features.shape[1],
        class_names=name_classes(count, options.class_names) if count else (),
        extractor=source.extractor,
        attributes={"hard_labels": True} if hard else {},
        layout=options.layout,
        precision=options.precision,
        top_labels=1 if hard else options.top_labels if count else 0,
    )


def _ahead(
    records: Iterable[RawRecord], read: Callable[[RawRecord, bool], _Read], written: set[str], threads: int
) -> Iterator[tuple[RawRecord, Future[_Read]]]:
    """Each record with its reading, which other threads have begun."""
    count = threads or min(MOST_THREADS, os.cpu_count() or 1)
    waiting: deque[tuple[RawRecord, Future[_Read]]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="read") as pool:
        try:
            for record in records:
                done = record.image in written
                written.discard(record.image)  # a second of its name is none that was written
                waiting.append((record, pool.submit(read, record, done)))
                if len(waiting) > AHEAD * count:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            pool.shutdown(cancel_futures=True)


def _read(source: RegionSource, writer: RegionWriter, record: RawRecord, done: bool) -> _Read:
    """Read a record, and unless that is `done` already, decode and pack it."""
    sums: list[tuple[int, int]] = []
    try:
        with _naming(record):
            parts, value = source.load(record.data)
            sums = checksum(parts)
            if done:
                return _Read(sums)
            regions = source.decode(value)
            rows = writer.pack(
                record.image,
                regions.features,
                regions.boxes,
                confidence=regions.confidence,
                labels=regions.labels,
                classes=regions.classes,
            )
            return _Read(sums, rows=rows, size=regions.size)
    except ValueError as error:
        return _Read(sums, problem=error)


@contextmanager
def _naming(record: RawRecord) -> Iterator[None]:
    """Around the reading of a record: errors name it."""
    try:
        if record.problem:
            raise ValueError(record.problem)
        yield
    except ValueError as error:
        raise ValueError(f"{record.where}: {error}") from error


def _skip(record: RawRecord, error: ValueError, options: RegionImport) -> SkippedPicture:
    """A damaged record as the list has it; refused unless such may be skipped."""
    if not options.skip_damaged:
        raise ValueError(f"{error} (--skip-damaged leaves damaged records out)") from error
    return SkippedPicture(image=record.image, picture="", reason=str(error))


def _describe_labels(first: ImageRegions, classes: int) -> str:
    if not classes:
        return "without labels"
    return f"one of {classes:,} classes each" if first.labels is None else f"soft labels of {classes:,} classes"
