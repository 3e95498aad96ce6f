"""Makes a data set of pairs of captions: finds their pictures, writes texts and URLs, publishes by a rename.

The captions are read once to check them, once more to build a vocabulary where none is given, and once to write them:
nothing is written of what is wrong, and memory does not grow with the files. What a killed import has written stays in
`OUT.partial`; the same import, run again, goes on from there and ends in the same data set.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from uniter_data.examples.draft import SplitReport
from uniter_data.importers.texts.captions import CaptionOptions, CaptionReport, CaptionSource
from uniter_data.importers.texts.damage import list_damages
from uniter_data.importers.texts.places import Place, open_folder, open_store
from uniter_data.importers.texts.reading import EMPTY, Reading
from uniter_data.importers.texts.survey import survey
from uniter_data.stores.manifest import Split, write_dataset, write_text
from uniter_data.stores.publishing import publish, relative_to
from uniter_data.stores.text_store import TextStore
from uniter_data.stores.text_writer import TextWriter
from uniter_data.tokenizer import Tokenizer

__all__ = ["TOO_LONG", "digests", "import_captions"]

TOO_LONG = "the sentence is too long"
URLS = "urls.tsv"  # image id, tab, where the picture came from
BEGUN = "import.json"  # what an unfinished import was asked for


def import_captions(out: str | Path, source: CaptionSource, options: CaptionOptions) -> CaptionReport:
    """Import captions of pictures as a data set of pairs, for `PairDataset`.

    Args:
        out: the data set to write.
        source: of the captions.
        options: see `CaptionOptions`.

    Raises:
        ValueError: `out` exists, a record is wrong, a picture is missing that may not be, or an interrupted import of
            other files or options is in the way; the message names the file, the record and what to do.
        OSError: the disk is full; the same import goes on later.
    """
    target = Path(out)
    if target.exists():
        raise ValueError(f"{target} exists already: remove it, or choose another path")
    files = digests(source.files)
    reading = Reading(source, survey(source, _places(options), options), options)
    tokenizer = options.tokenizer or Tokenizer.build(caption.sentence for caption, _ in reading.kept())
    folder = target.with_name(target.name + ".partial")
    _begin(folder, {"files": files, "vocabulary": tokenizer.vocabulary.digest, **_said(options)})
    reports = _write(folder, reading, tokenizer, {"source": files})
    problems = reading.damages.problems
    list_damages(folder, problems)
    splits = {split: _stores(target, split, reading) for split in reading.chosen}
    if source.finish:
        source.finish(folder, target, splits)
    write_dataset(
        folder,
        name=source.name,
        splits=splits,
        tokenizer=tokenizer,
        source=source.source,
        licence=source.licence,
    )
    (folder / BEGUN).unlink()
    publish(target)
    return CaptionReport(directory=target, splits=reports, damaged=problems, waits=not options.regions)


def digests(files: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Name, size and sha256 of each file.

    Raises:
        ValueError: one cannot be read.
    """
    found = []
    for path in map(Path, files):
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except OSError as error:
            raise ValueError(f"{path} cannot be read ({error.strerror}): correct the path") from error
        # released databases are all called data.mdb; their folders tell them apart
        name = f"{path.parent.name}/{path.name}" if path.parent.suffix == ".db" else path.name
        found.append({"name": name, "bytes": size, "sha256": digest})
    return found


# ---------------------------------------------------------------------------------------------------------------------


def _places(options: CaptionOptions) -> dict[str, list[Place]]:
    """Where the pictures of each split may be: in the region stores, or in a folder of pictures."""
    if options.regions:
        return {"": [open_store(store) for store in options.regions]}
    if not options.pictures:
        raise ValueError(
            "expected regions, or pictures to extract them from, got neither: give --regions or --pictures"
        )
    return {split: [open_folder(folder)] for split, folder in options.pictures.items()}


def _said(options: CaptionOptions) -> dict[str, Any]:
    """What of the options decides what is written."""
    return {
        "max_tokens": options.longest,
        "truncate": options.truncate,
        "regions": [str(store) for store in options.regions],
        "pictures": {split: str(folder) for split, folder in options.pictures.items()},
        "image_name": options.image_name,
        "skip_missing": options.skip_missing,
        "skip_damaged": options.skip_damaged,
        "val_share": options.val_share,
    }


def _begin(folder: Path, settings: dict[str, Any]) -> None:
    """Begin an import, or go on with the interrupted one if it is the same."""
    note = folder / BEGUN
    if not folder.exists():
        folder.mkdir(parents=True)
    elif note.is_file():
        begun = json.loads(note.read_text(encoding="utf-8"))
        other = next((name for name, value in settings.items() if begun.get(name) != value), None)
        if other is not None:
            raise ValueError(
                f"{folder} holds an interrupted import with other {other}: go on with the same files and options, or "
                "remove the folder and begin anew"
            )
    elif any(folder.iterdir()):
        raise ValueError(f"{folder} holds what another import left: remove the folder")
    write_text(note, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def _write(
    folder: Path, reading: Reading, tokenizer: Tokenizer, attributes: Mapping[str, Any]
) -> dict[str, SplitReport]:
    """Write every split's texts that are not written yet, and all URLs."""
    stores = {split: folder / split / "texts.zarr" for split in reading.chosen}
    writers = {
        split: TextWriter(
            store,
            tokenizer=tokenizer,
            max_tokens=reading.options.longest,
            truncate=reading.options.truncate,
            attributes=attributes,
        )
        for split, store in stores.items()
        if not store.exists()
    }
    try:
        _append(folder / URLS, reading, tokenizer, writers)
        for split, writer in writers.items():
            if len(writer.done) == writer.dropped:
                raise ValueError(f"split {split!r}: no caption is left of those read ({reading.left_out[split]})")
            writer.publish()
    finally:
        for writer in writers.values():
            writer.close()
    return {split: _report(TextStore(store), reading.left_out[split]) for split, store in stores.items()}


def _append(urls: Path, reading: Reading, tokenizer: Tokenizer, writers: Mapping[str, TextWriter]) -> None:
    """Append what is not yet written; the file of URLs is small enough to be written anew."""
    beside = urls.with_name(urls.name + ".partial")
    told = {split: array("q") for split in reading.chosen}  # hashes of the images whose URL is written
    with beside.open("w", encoding="utf-8", newline="\n") as lines:
        for caption, name in reading.kept():
            if caption.url:
                lines.write(f"{name}\t{caption.url}\n")
                told[caption.split].append(hash(name))
            writer = writers.get(caption.split)
            pieces = caption.pieces or tokenizer.encode(caption.sentence).ids
            if not pieces:
                reading.count(caption.split, EMPTY)
            elif writer is not None and caption.id not in writer.done:
                writer.append_pieces(caption.id, pieces, name, sentence=caption.sentence or tokenizer.sentence(pieces))
    _refuse_namesakes(told, reading.chosen)
    if beside.stat().st_size:
        beside.replace(urls)
    else:
        beside.unlink()


def _refuse_namesakes(told: Mapping[str, "array[int]"], chosen: Mapping[str, Place]) -> None:
    """Two pictures of one name, of two folders or stores, would have each other's URL."""
    for one, other in combinations(told, 2):
        shared = np.intersect1d(told[one], told[other]) if chosen[one].location != chosen[other].location else ()
        if len(shared):
            raise ValueError(
                f"splits {one!r} and {other!r} have {len(shared)} pictures of the same names in {chosen[one].location} "
                f"and {chosen[other].location}, but {URLS} has one URL a name: import the splits as data sets of "
                "their own, or take val from train with --val-share"
            )


def _report(texts: TextStore, left_out: Mapping[str, int]) -> SplitReport:
    dropped = texts.attributes["dropped"]
    return SplitReport(
        examples=texts.num_texts,
        images=len(texts.image_names),
        left_out=dict(left_out) | ({TOO_LONG: dropped} if dropped else {}),
        truncated=texts.attributes["truncated"],
    )


def _stores(target: Path, split: str, reading: Reading) -> Split:
    """Where a split's stores lie. Splits with one folder of pictures share the store that is to be made of it."""
    options, place = reading.options, reading.chosen[split]
    folder = options.pictures.get(split, options.pictures.get("", ""))
    if options.regions:
        regions = relative_to(target, place.location)
    else:
        alone = {other.location for other in reading.chosen.values()} == {place.location}
        regions = "regions.zarr" if alone else f"regions-{split}.zarr"
    return Split(texts=f"{split}/texts.zarr", regions=regions, pictures=relative_to(target, folder) if folder else "")
