"""Making one region store: its pictures in batches through the extractor, journalled, so that a killed run goes on."""

# R regions of a picture, C classes

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from uniter_data.extract.columns import describe, record_of
from uniter_data.extract.orphans import drop_orphans
from uniter_data.extract.pictures import PictureFolder
from uniter_data.extract.protocol import RegionExtractor, attributes_of
from uniter_data.extract.reading import Rows, in_batches, read_ahead
from uniter_data.extract.report import ExtractedStore
from uniter_data.extract.skipped import SkippedPicture, read_skipped, write_skipped
from uniter_data.extract.waiting import PictureRow, WaitingStore
from uniter_data.stores import RegionStore, RegionWriter

__all__ = ["make_store", "refuse_another"]


def make_store(
    store: WaitingStore,
    extractor: RegionExtractor,
    *,
    given: bool,
    batch: int,
    workers: int,
    tell: Callable[[str, int, int], None],
) -> ExtractedStore:
    """Write a store unless it is there, and leave out the texts of its data set whose picture it lacks.

    Args:
        store: to be.
        extractor: of the regions.
        given: whether the regions are those given.
        batch: pictures at once.
        workers: threads that decode.
        tell: progress.

    Raises:
        ValueError: no picture can be read, or the writing was begun in another way.
        OSError: the disk is full, or a remote folder out of reach.
    """
    begin = time.monotonic()
    made = 0 if store.path.exists() else _make(store, extractor, given=given, batch=batch, workers=workers, tell=tell)
    seconds = time.monotonic() - begin
    published = RegionStore(store.path)
    return ExtractedStore(
        path=store.path,
        images=published.num_images,
        regions=int(published.offsets[-1]),
        skipped=read_skipped(store.path),
        ignored=store.ignored,
        dropped_texts=drop_orphans(store.directory, store.path) if store.directory else 0,
        made=(made, seconds),
    )


def refuse_another(store: WaitingStore, extractor: RegionExtractor) -> None:
    """Features of two extractors cannot be mixed.

    Raises:
        ValueError: the store is there, and another extractor made it.
    """
    if not store.path.exists():
        return
    made = RegionStore(store.path)
    found, wanted = (made.attributes.get("extractor"), made.region_dim), (extractor.name, extractor.region_dim)
    if found != wanted:
        raise ValueError(
            f"{store.path} is there, {made.region_dim} wide and made by {found[0]}, now it is {extractor.region_dim} "
            f"wide and {extractor.name}: remove the store, or take the former extractor"
        )


# ---------------------------------------------------------------------------------------------------------------------


def _make(
    store: WaitingStore,
    extractor: RegionExtractor,
    *,
    given: bool,
    batch: int,
    workers: int,
    tell: Callable[[str, int, int], None],
) -> int:
    """Write the store; how many pictures were extracted."""
    skipped: list[SkippedPicture] = []
    total = sum(1 for _ in store.rows())
    class_names = extractor.class_names or (store.class_names if given else ())
    with RegionWriter(
        store.path,
        region_dim=extractor.region_dim,
        class_names=class_names,
        extractor=extractor.name,
        attributes=attributes_of(extractor),
    ) as writer:
        before = len(writer.done)
        tell(f"extracting {store.path.stem}", before, total)
        for rows, pictures in read_ahead(_batches(store, writer.done, batch), workers=workers):
            skipped += _append(writer, rows, pictures, extractor, given=given, one_hot=len(class_names))
            tell(f"extracting {store.path.stem}", len(writer.done) + len(skipped), total)
        if not writer.done:
            reason = skipped[0].reason if skipped else "there is none"
            raise ValueError(f"none of the {total} pictures in {store.pictures} can be used: {reason}")
        # before the store is: whoever sees it can see what it lacks
        write_skipped(store.path, skipped)
        made = len(writer.done) - before
        writer.publish()
    return made


def _batches(store: WaitingStore, done: set[str], size: int) -> Iterator[tuple[PictureFolder, Rows]]:
    """The batches that are not whole. What is partly written is computed as a whole: a resumed run gives the same bits,
    though a network's sums may be rounded differently in another batch."""
    folder = PictureFolder(store.pictures)
    for rows in in_batches(store.rows(), size):
        if any(row.image not in done for row in rows):
            yield folder, rows


def _append(
    writer: RegionWriter,
    rows: Rows,
    pictures: list[Image.Image | str],
    extractor: RegionExtractor,
    *,
    given: bool,
    one_hot: int,
) -> list[SkippedPicture]:
    """Write the pictures of one batch that are not written yet; those that cannot be."""
    skipped = [_skip(row, picture) for row, picture in zip(rows, pictures, strict=True) if isinstance(picture, str)]
    read = [(row, picture) for row, picture in zip(rows, pictures, strict=True) if not isinstance(picture, str)]
    if all(row.image in writer.done for row, _ in read):
        return skipped
    found = describe(extractor, [row for row, _ in read], [picture for _, picture in read], given=given)
    for (row, picture), regions in zip(read, found, strict=True):
        if not len(regions.boxes):
            skipped.append(_skip(row, "it has no box" if given else "no region was found in it"))
        elif row.image not in writer.done:
            if given and not extractor.class_names:
                regions = replace(regions, labels=np.eye(one_hot)[list(row.classes)])
            record = record_of(regions, picture.size)
            writer.append(
                row.image,
                record.features,
                record.boxes[:, :6],
                confidence=record.confidence,
                labels=record.labels,
                size=picture.size,
            )
    return skipped


def _skip(row: PictureRow, reason: str) -> SkippedPicture:
    return SkippedPicture(image=row.image, picture=row.picture, reason=reason)
