"""Writing a region store, or a data set with its region stores, in another format: compressed, int8, few labels."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uniter_data.stores.locations import exists, join, locate, read_text
from uniter_data.stores.manifest import Manifest, read_manifest, write_text
from uniter_data.stores.publishing import relative_to
from uniter_data.stores.region_format import RegionFormat
from uniter_data.stores.region_store import RegionStore
from uniter_data.stores.region_writer import RegionWriter

__all__ = ["repack", "repack_regions"]

Progress = Callable[[str, int, int], None]
BLOCK = 128  # images read at once


def repack(
    source: str | Path,
    out: str | Path,
    *,
    layout: str | None = None,
    precision: str | None = None,
    top_labels: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Path:
    """Write a region store or a data set again; one that was interrupted goes on.

    Args:
        source: path or URL of a region store, or path of a data set. Of a data set, the texts are copied, the region
            stores written anew below `regions/`, and the pictures stay where they are.
        out: where to write.
        layout: see `RegionWriter`; None = as the source.
        precision: likewise.
        top_labels: likewise.
        progress: called with what is written, images done and their number.

    Returns:
        `out`.

    Raises:
        ValueError: there is neither, `out` exists already, or the source does not hold what is asked for.
    """
    location, folder = locate(source), Path(out)

    def write(regions: str, to: Path) -> None:
        repack_regions(regions, to, layout=layout, precision=precision, top_labels=top_labels, progress=progress)

    if exists(join(location, "zarr.json")):
        write(location, folder)
        return folder
    read_manifest(location)  # refuses what is no data set
    if (folder / "dataset.json").exists():
        raise ValueError(f"{folder} holds a data set already: remove it, or choose another path")
    manifest = json.loads(read_text(join(location, "dataset.json")))
    written: dict[str, str] = {}
    for split, stores in manifest["splits"].items():
        regions = join(location, stores["regions"])
        if regions not in written:
            written[regions] = f"regions/{len(written)}.zarr"
            if not (folder / written[regions]).exists():
                write(regions, folder / written[regions])
        _copy_folder(Path(join(location, stores["texts"])), folder / split / "texts.zarr")
        pictures = stores.get("pictures")
        stores |= {"regions": written[regions], "texts": f"{split}/texts.zarr"}
        if stores.get("keep"):
            _copy_folder(Path(join(location, stores["keep"])), folder / stores["keep"])
        if pictures:
            stores["pictures"] = relative_to(folder, join(location, pictures))
    urls = join(location, manifest.get("urls", Manifest.urls))
    if exists(urls):
        manifest["urls"] = relative_to(folder, urls)
    if "audit" in manifest:
        manifest["audit"]["report"] = relative_to(folder, join(location, manifest["audit"]["report"]))
    write_text(folder / "tokenizer.json", read_text(join(location, "tokenizer.json")))
    write_text(folder / "dataset.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return folder


def repack_regions(
    source: str | Path,
    out: str | Path,
    *,
    layout: str | None = None,
    precision: str | None = None,
    top_labels: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Path:
    """Write a region store again; what the format does not change stays the same bit for bit. See `repack`."""
    store = RegionStore(source)
    wanted = replace(
        store.format,
        layout=layout or store.format.layout,
        precision=precision or store.format.precision,
        top_labels=store.format.top_labels if top_labels is None else top_labels,
    )
    _refuse_gains(store, wanted)
    images = store.image_ids.tolist()
    with RegionWriter(
        out,
        region_dim=store.region_dim,
        class_names=store.class_names,
        extractor=store.attributes.get("extractor", ""),
        attributes=store.attributes.get("attributes"),
        layout=wanted.layout,
        precision=wanted.precision,
        top_labels=wanted.top_labels,
    ) as writer:
        left = [row for row, image in enumerate(images) if image not in writer.done]
        for start in range(0, len(left), BLOCK):
            progress(str(out), len(images) - len(left) + start, len(images))
            _append(store, np.array(left[start : start + BLOCK]), writer)
        progress(str(out), len(images), len(images))
        return writer.publish()


# ---------------------------------------------------------------------------------------------------------------------


def _append(store: RegionStore, rows: NDArray[np.int64], writer: RegionWriter) -> None:
    """Append some images, converting only what the two formats keep differently."""
    starts, stops = store.offsets[rows], store.offsets[rows + 1]
    read = {name: store.open_rows(name).read(starts, stops) for name in store.format.arrays}
    if writer.format.precision != store.format.precision:
        read |= writer.format.pack_features(store.features.read(starts, stops))
    if writer.format.top_labels != store.format.top_labels and store.labels:
        read |= writer.format.pack_labels(store.labels.read(starts, stops))
    cuts = np.cumsum(stops - starts)[:-1]
    images = zip(*(np.split(read[name], cuts) for name in writer.format.arrays), strict=True)
    for row, arrays in zip(rows.tolist(), images, strict=True):
        width, height = store.image_sizes[row].tolist()
        kept = dict(zip(writer.format.arrays, arrays, strict=True))
        writer.append_rows(str(store.image_ids[row]), kept, size=(width, height))


def _refuse_gains(store: RegionStore, wanted: RegionFormat) -> None:
    """Refuse to write what the source does not hold any more."""
    if store.format.precision == "int8" and wanted.precision == "float16":
        raise ValueError(f"precision: {store.location} holds int8, float16 cannot be had from it: repack its source")
    kept = store.format.top_labels
    if kept and not 0 < wanted.top_labels <= kept:
        raise ValueError(f"top_labels: {store.location} holds {kept} of each label, more cannot be had from it")


def _copy_folder(source: Path, out: Path) -> None:
    """Copy beside and rename, so that no half is mistaken for the whole; what is there already was copied so."""
    if out.exists():
        return
    beside = out.with_name(out.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(source, beside)
    beside.rename(out)
