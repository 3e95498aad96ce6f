"""Texts without an image: only they go, the others keep every word's gold region and kind."""

import shutil
from pathlib import Path

import numpy as np

from uniter_data import RegionStore, RegionWriter, TextStore, read_manifest
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
