"""Imports Karpathy's splits of COCO and Flickr30k: an ordinary data set of pairs, five captions to a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from uniter_data.annotations.karpathy import SPLITS, KarpathyImage, read_karpathy
from uniter_data.examples.draft import ImportOptions, ImportReport, SplitReport
from uniter_data.examples.image_names import ImageName, coco_image, flickr_image
from uniter_data.examples.importing import NO_REGIONS
from uniter_data.examples.join import Join
from uniter_data.stores.manifest import Split, write_dataset
from uniter_data.stores.publishing import beside, publish, relative_to
from uniter_data.stores.text_writer import TextWriter
from uniter_data.tokenizer import Tokenizer

__all__ = ["import_karpathy"]

REPORT_EVERY = 200


def import_karpathy(
    out: str | Path,
    *,
    file: str | Path,
    regions: Sequence[str | Path],
    merge_restval: bool = False,
    options: ImportOptions | None = None,
) -> ImportReport:
    """Import the captions of all splits, for `PairDataset`; a picture's captions are one group.

    Args:
        out: the data set to write.
        file: `dataset_coco.json` or `dataset_flickr30k.json`.
        regions: region stores; each split uses the one that has most of its pictures.
        merge_restval: put COCO's restval into train, whose regions must be in the same store then; otherwise it is a
            split of its own.
        options: see `ImportOptions`.

    Raises:
        ValueError: `out` exists, the file or a record is wrong, or a picture has no regions and `skip_missing` is off.
    """
    options = options or ImportOptions()
    target, path = Path(out), Path(file)
    folder = beside(target)
    plans = _survey(path, [Join([[store]], options.image_name) for store in regions], options, merge_restval)
    images = partial(_images, path, plans, options, merge_restval)
    tokenizer = options.tokenizer or Tokenizer.build(
        caption.sentence for _, _, image in images() for caption in image.captions
    )
    folder.mkdir(parents=True)
    _write(folder, images(), plans, tokenizer, options)
    stores = {
        split: Split(
            texts=f"{split}/texts.zarr",
            regions=relative_to(target, plan.join.layers[0].location),
            pictures=relative_to(target, options.pictures[0]) if options.pictures else "",
        )
        for split, plan in plans.items()
    }
    name = path.stem.removeprefix("dataset_")
    write_dataset(folder, name=name, splits=stores, tokenizer=tokenizer, source=f"Karpathy's splits: {path.name}")
    publish(target)
    reports = {split: plan.report for split, plan in plans.items()}
    return ImportReport(directory=target, task="retrieval", splits=reports)


# ---------------------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Plan:
    """What a split becomes."""

    join: Join
    report: SplitReport = field(default_factory=SplitReport)


def _survey(path: Path, joins: Sequence[Join], options: ImportOptions, merge: bool) -> dict[str, _Plan]:
    """The region store of every split, and how many of its pictures no store or another one has."""
    if not joins:
        raise ValueError("regions: expected at least one region store, got none")
    counts: dict[str, list[int]] = {}
    lacking: dict[tuple[str, int], KarpathyImage] = {}
    totals: dict[str, int] = {}
    for image in read_karpathy(path):
        split = _split_of(image, merge)
        here = counts.setdefault(split, [0] * len(joins))
        totals[split] = totals.get(split, 0) + 1
        for number, join in enumerate(joins):
            found = bool(join.names(_name_of(image)))
            here[number] += found
            if not found:
                lacking.setdefault((split, number), image)
    plans = {}
    for split in sorted(counts, key=[*SPLITS].index):
        best = max(range(len(joins)), key=lambda number: counts[split][number])
        left = totals[split] - counts[split][best]
        if left and not (options.skip_missing and counts[split][best]):
            image = lacking[split, best]
            raise ValueError(
                f"{image.source}: image {image.stem!r} of split {split!r} has no regions in {joins[best].location} "
                f"({left} such images): extract them, keep restval apart, or leave them out with --skip-missing"
            )
        plans[split] = _Plan(join=joins[best], report=SplitReport(left_out={NO_REGIONS: left} if left else {}))
    return plans


def _images(
    path: Path, plans: dict[str, _Plan], options: ImportOptions, merge: bool
) -> Iterator[tuple[str, str, KarpathyImage]]:
    """The split, the region store's name for it, and the record of each picture that has regions."""
    for done, image in enumerate(read_karpathy(path), start=1):
        if done % REPORT_EVERY == 0:
            options.progress("reading", done, done)
        split = _split_of(image, merge)
        names = plans[split].join.names(_name_of(image))
        if names:
            yield split, names[0], image


def _write(
    folder: Path,
    images: Iterator[tuple[str, str, KarpathyImage]],
    plans: dict[str, _Plan],
    tokenizer: Tokenizer,
    options: ImportOptions,
) -> None:
    writers = {
        split: TextWriter(
            folder / split / "texts.zarr",
            tokenizer=tokenizer,
            max_tokens=options.max_tokens,
            truncate=not options.drop_long,
        )
        for split in plans
    }
    try:
        for split, name, image in images:
            for caption in image.captions:
                writers[split].append(str(caption.sent_id), caption.sentence, name)
                plans[split].report.examples += 1
            plans[split].report.images += 1
        for split, writer in writers.items():
            writer.publish()
            report = plans[split].report
            report.truncated, report.examples = writer.truncated, report.examples - writer.dropped
            if writer.dropped:
                report.left_out["a caption is too long"] = writer.dropped
    finally:
        for writer in writers.values():
            writer.close()


def _split_of(image: KarpathyImage, merge: bool) -> str:
    return "train" if merge and image.split == "restval" else image.split


def _name_of(image: KarpathyImage) -> ImageName:
    return coco_image(image.number, image.collection, image.stem) if image.collection else flickr_image(image.stem)
