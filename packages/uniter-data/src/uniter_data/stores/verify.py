"""Finding damage: every stored byte against its checksum, and the stores of a data set against each other."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from uniter_data.stores.group import EXAMPLES, KEPT, REGIONS, TEXTS, StoredGroup
from uniter_data.stores.kept_texts import read_kept
from uniter_data.stores.locations import exists, join, locate, read_text
from uniter_data.stores.manifest import read_manifest
from uniter_data.stores.region_store import RegionStore
from uniter_data.stores.rows import ZarrRows, open_rows
from uniter_data.stores.shard_index import ShardIndex
from uniter_data.stores.text_store import TextStore
from uniter_data.stores.zarr_source import open_array

__all__ = ["Finding", "verify"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        store: where.
        problem: what, and what to do.
        array: of the store; empty if the store as a whole is meant.
        chunk: of the array, counted along its rows; None if not one chunk is meant.
    """

    store: str
    problem: str
    array: str = ""
    chunk: int | None = None

    def __str__(self) -> str:
        array = f", array {self.array}" if self.array else ""
        chunk = "" if self.chunk is None else f", chunk {self.chunk}"
        return f"{self.store}{array}{chunk}: {self.problem}"


def verify(directory: str | Path, *, progress: Progress = lambda what, done, total: None) -> list[Finding]:
    """Read a whole data set (or a single store) and compare it with its checksums.

    Args:
        directory: path or URL of a data set or of one store.
        progress: called with the store's name, arrays done and their number.

    Returns:
        What is wrong; empty if nothing is.

    Raises:
        ValueError: there is neither a data set nor a store.
    """
    location = locate(directory)
    if exists(join(location, "zarr.json")):
        format = json.loads(read_text(join(location, "zarr.json"))).get("attributes", {}).get("format")
        return list(_verify_store(location, str(format) if format in (TEXTS, EXAMPLES, KEPT) else REGIONS, progress))
    manifest = read_manifest(location)
    stores = {join(location, split.texts): TEXTS for split in manifest.splits.values()}
    stores |= {join(location, split.regions): REGIONS for split in manifest.splits.values()}
    stores |= {join(location, split.keep): KEPT for split in manifest.splits.values() if split.keep}
    findings = [finding for store, format in stores.items() for finding in _verify_store(store, format, progress)]
    # what is damaged would only be found a second time
    if not findings:
        for split in manifest.splits.values():
            texts, regions = TextStore(join(location, split.texts)), RegionStore(join(location, split.regions))
            findings += _verify_references(texts, regions)
            if split.keep:
                findings += _verify_kept(join(location, split.keep), texts)
    return findings


# ---------------------------------------------------------------------------------------------------------------------


def _verify_store(location: str, format: str, progress: Progress) -> Iterator[Finding]:
    try:
        names = StoredGroup(location, format).arrays
    except ValueError as error:
        yield Finding(store=location, problem=str(error))
        return
    damaged = False
    for done, name in enumerate(names, start=1):
        for chunk, problem in _verify_array(join(location, name)):
            damaged = True
            yield Finding(store=location, array=name, chunk=chunk, problem=problem)
        progress(location, done, len(names))
    if not damaged:
        yield from _verify_shapes(location, format)


def _verify_shapes(location: str, format: str) -> Iterator[Finding]:
    if format in (EXAMPLES, KEPT):  # they are looked at with the texts and images that they refer to
        return
    try:
        if format == REGIONS:
            RegionStore(location).check_index()
        else:
            TextStore(location)
    except ValueError as error:
        yield Finding(store=location, problem=str(error))


def _verify_array(location: str) -> Iterator[tuple[int | None, str]]:
    """Damaged chunks of an array, and what is wrong with each."""
    try:
        rows = open_rows(location, check=False)
    except ValueError as error:
        yield None, str(error)
        return
    if not _has_checksums(json.loads(read_text(join(location, "zarr.json")))["codecs"]):
        yield None, "has no checksums, damage to it would go unseen: write it with the codec crc32c"
    if isinstance(rows, ZarrRows):
        yield from _verify_chunks(location)
    else:
        for shard in range(rows.index.num_shards):
            yield from _verify_shard(rows.index, shard)


def _has_checksums(codecs: list[dict[str, Any]]) -> bool:
    """Whether some codec of the (inner) chunks notices damage."""
    return any(
        codec["name"] in ("crc32c", "gzip")
        or _has_checksums(codec.get("configuration", {}).get("codecs", []))
        or codec.get("configuration", {}).get("checksum", False)
        for codec in codecs
    )


def _verify_shard(index: ShardIndex, shard: int) -> Iterator[tuple[int | None, str]]:
    """Damaged chunks of a shard."""
    layout = index.layout
    try:
        bounds = index.bounds(shard)
    except ValueError as error:
        yield None, str(error)
        return
    first = shard * layout.shard_chunks
    expected = -(-index.rows // layout.chunk_rows)
    for chunk, (start, stop) in enumerate(bounds.tolist(), start=first):
        if start < 0:
            if chunk < expected:
                yield chunk, f"is missing from {index.path(shard)}: copy or write the store again"
            continue
        try:
            layout.check(*index.read(shard, [(start, stop)]))
        except ValueError as error:
            yield chunk, f"{error} ({index.path(shard)}): copy or write the store again"


def _verify_chunks(location: str) -> Iterator[tuple[int | None, str]]:
    """Damaged chunks of any other array, as zarr-python finds them."""
    array = open_array(location)
    missing = 0 if array.shards else sum(not exists(join(location, key)) for key in _chunk_keys(array))
    if missing:
        yield None, f"{missing} chunk(s) are missing: copy or write the store again"
    rows, step = array.shape[0], array.chunks[0]
    for chunk, start in enumerate(range(0, rows, step)):
        try:
            array[start : start + step]
        # what a damaged file makes zarr raise depends on the codec that stumbles over it
        except Exception as error:
            yield chunk, f"cannot be read ({' '.join(str(error).split())}): copy or write the store again"


def _chunk_keys(array: "zarr.Array[Any]") -> Iterator[str]:
    for chunk in np.ndindex(array.cdata_shape):
        yield array.metadata.encode_chunk_key(chunk)


def _verify_references(texts: TextStore, regions: RegionStore) -> Iterator[Finding]:
    """Numbers that point outside of what they point into."""
    rows = regions.find(texts.image_names)
    for image in texts.image_names[rows < 0].tolist():
        yield Finding(store=texts.location, problem=f"names image {image!r}, which {regions.location} lacks")
    tokens = _all(texts.token_ids)
    outside = np.flatnonzero((tokens < 0) | (tokens >= texts.vocabulary.size))
    if len(outside):
        yield _pointing(texts, "token_ids", int(outside[0]), f"the vocabulary has {texts.vocabulary.size} entries")
    if texts.gold and (rows >= 0).all():
        lengths = regions.region_lengths[rows[texts.image_index]]
        outside = np.flatnonzero(_all(texts.gold) >= np.repeat(lengths, np.diff(texts.offsets)))
        if len(outside):
            yield _pointing(texts, "gold", int(outside[0]), "its image has fewer regions")


def _verify_kept(location: str, texts: TextStore) -> Iterator[Finding]:
    """An index that does not belong to its texts."""
    try:
        read_kept(location, texts)
    except ValueError as error:
        yield Finding(store=location, problem=str(error))


def _pointing(texts: TextStore, array: str, piece: int, problem: str) -> Finding:
    text = int(np.searchsorted(texts.offsets, piece, side="right")) - 1
    return Finding(
        store=texts.location, array=array, problem=f"text {str(texts.text_ids[text])!r} points outside: {problem}"
    )


def _all(rows: Any) -> Any:
    return rows.read(np.array([0]), np.array([rows.shape[0]]))
