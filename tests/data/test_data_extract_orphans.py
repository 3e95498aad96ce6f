"""Texts without an image: only they go, the others keep every word's gold region and kind."""

import shutil
from pathlib import Path

import numpy as np

from uniter_data import (
    RegionStore,
    RegionWriter,
    Split,
    TextStore,
    TextWriter,
    Tokenizer,
    read_manifest,
    write_dataset,
)
from uniter_data.extract.orphans import drop_orphans
from uniter_data.stores.rows import Rows


def lose_images(dataset: Path, lost: set[str]) -> None:
    """Write the region store again without some images."""
    path = dataset / "regions.zarr"
    store = RegionStore(path)
    ids = store.image_ids.tolist()
    kept = [row for row, image in enumerate(ids) if image not in lost]
    with RegionWriter(
        dataset / "fewer.zarr", region_dim=store.region_dim, class_names=store.class_names, extractor="numpy"
    ) as writer:
        for row, record in zip(kept, store.read(kept), strict=True):
            writer.append(ids[row], record.features, record.boxes[:, :6], labels=record.labels)
        writer.publish()
    shutil.rmtree(path)
    (dataset / "fewer.zarr").rename(path)


def texts_of(dataset: Path) -> dict[str, tuple[str, str, list[int], list[int], list[int]]]:
    """All that a store keeps of each text, by its id."""
    store = TextStore(dataset / read_manifest(dataset).splits["train"].texts)
    assert store.gold is not None
    assert store.kinds is not None

    def row(rows: Rows, text: int) -> list[int]:
        found: list[int] = rows.read(store.offsets[[text]], store.offsets[[text + 1]]).tolist()
        return found

    return {
        str(store.text_ids[text]): (
            str(store.sentences[text]),
            str(store.image_ids[text]),
            row(store.token_ids, text),
            row(store.gold, text),
            row(store.kinds, text),
        )
        for text in range(store.num_texts)
    }


def test_texts_that_stay_keep_all_they_had(own_dataset: Path) -> None:
    before = texts_of(own_dataset)
    lost = {"image-3", "image-7"}
    lose_images(own_dataset, lost)
    expected = {name: text for name, text in before.items() if text[1] not in lost}
    assert drop_orphans(own_dataset, own_dataset / "regions.zarr") == len(before) - len(expected) > 0
    assert texts_of(own_dataset) == expected
    assert not (own_dataset / "train" / "texts.zarr").exists()


def test_nothing_is_written_where_nothing_is_lost(own_dataset: Path) -> None:
    manifest = read_manifest(own_dataset)
    assert drop_orphans(own_dataset, own_dataset / "regions.zarr") == 0
    assert read_manifest(own_dataset) == manifest


def test_groups_are_kept(own_dataset: Path) -> None:
    texts = TextStore(own_dataset / "train" / "texts.zarr")
    lost = texts.image_ids[0]
    groups = texts.groups[texts.image_ids != lost]
    lose_images(own_dataset, {str(lost)})
    drop_orphans(own_dataset, own_dataset / "regions.zarr")
    kept = TextStore(own_dataset / read_manifest(own_dataset).splits["train"].texts).groups
    # numbered anew, parted as before
    assert np.array_equal(kept[:, None] == kept, groups[:, None] == groups)


def test_a_killed_rewriting_goes_on_and_keeps_pieces_and_attributes(own_dataset: Path) -> None:
    tokenizer = Tokenizer.from_file(own_dataset / "tokenizer.json")
    pieces = {f"text-{number}": [number % 3 + 5, 5, 6] for number in range(12)}

    def write(path: Path, images: range) -> TextWriter:
        writer = TextWriter(path, tokenizer=tokenizer, attributes={"source": "a database"})
        for number in images:
            name = f"text-{number}"
            writer.append_pieces(name, pieces[name], f"image-{number}", sentence="not these pieces", group=str(number))
        return writer

    with write(own_dataset / "pieces.zarr", range(12)) as texts:
        texts.publish()
    split = Split(texts="pieces.zarr", regions="regions.zarr")
    write_dataset(own_dataset, name="pieces", splits={"train": split}, tokenizer=tokenizer)
    # killed when some texts had been written
    write(own_dataset / "pieces.kept.zarr", range(2)).__exit__(None, None, None)
    lose_images(own_dataset, {"image-4"})
    assert drop_orphans(own_dataset, own_dataset / "regions.zarr") == 1
    store = TextStore(own_dataset / read_manifest(own_dataset).splits["train"].texts)
    assert store.attributes["attributes"] == {"source": "a database"}
    assert store.text_ids.tolist() == [name for name in pieces if name != "text-4"]
    kept = store.token_ids.read(store.offsets[:-1], store.offsets[1:]).reshape(-1, 3).tolist()
    assert kept == [row for name, row in pieces.items() if name != "text-4"]
