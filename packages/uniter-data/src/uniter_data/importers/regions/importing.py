"""Importing region features: records are read in order, decoded by several threads, and written in the same order."""

# R regions of an image, D feature width, C classes

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from uniter_data.extract.skipped import SkippedPicture, skipped_file, write_skipped
from uniter_data.importers.regions.class_names import name_classes
from uniter_data.importers.regions.record import ImageRegions, RawRecord, RegionSource
from uniter_data.stores.region_store import RegionStore
from uniter_data.stores.region_writer import RegionWriter

__all__ = ["RegionImport", "RegionReport", "import_regions"]

Progress = Callable[[str, int, int], None]
Packed = tuple[dict[str, NDArray[Any]], tuple[int, int]]  # rows as the store keeps them, size of the picture

AHEAD = 4  # records a thread has before it
MOST_THREADS = 8
NAMED = 5  # skipped records that the report names
REPORT_EVERY = 16  # records


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
    records = _telling(source, options.progress)
    head, first = _find_sound(source, records, options)
    skipped: list[SkippedPicture] = []
    with _open_writer(source, first, out, options) as writer:
        written = set(writer.done)
        for record, packing in _ahead(chain(head, records), partial(_pack, source, writer), written, options.threads):
            try:
                rows, size = packing.result()
                if record.image in writer.done:
                    raise ValueError(f"{record.where}: expected an image of its own, {record.image!r} came before")
            except ValueError as error:
                skipped.append(_skip(record, error, options))
            else:
                writer.append_rows(record.image, rows, size=size)
        # before the store is: whoever sees it can see what it lacks
        write_skipped(Path(out), skipped)
        writer.publish({"source": source.provenance()})
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
            return head, _decode(source, record)
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
    records: Iterable[RawRecord], pack: Callable[[RawRecord], Packed], written: set[str], threads: int
) -> Iterator[tuple[RawRecord, Future[Packed]]]:
    """Each record that is not written yet, with its packing, which other threads have begun."""
    count = threads or min(MOST_THREADS, os.cpu_count() or 1)
    waiting: deque[tuple[RawRecord, Future[Packed]]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="decode") as pool:
        try:
            for record in records:
                if record.image in written:
                    written.remove(record.image)  # a second of its name is none that was written
                    continue
                waiting.append((record, pool.submit(pack, record)))
                if len(waiting) > AHEAD * count:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            pool.shutdown(cancel_futures=True)


def _pack(source: RegionSource, writer: RegionWriter, record: RawRecord) -> Packed:
    regions = _decode(source, record)
    try:
        rows = writer.pack(
            record.image,
            regions.features,
            regions.boxes,
            confidence=regions.confidence,
            labels=regions.labels,
            classes=regions.classes,
        )
    except ValueError as error:
        raise ValueError(f"{record.where}: {error}") from error
    return rows, regions.size


def _decode(source: RegionSource, record: RawRecord) -> ImageRegions:
    try:
        if record.problem:
            raise ValueError(record.problem)
        return source.decode(record.data)
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
