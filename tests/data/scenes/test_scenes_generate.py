"""Generation: the same from any process, safe to kill, cached once; the stores hold what the scenes say."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from uniter_data import PairDataset, Tokenizer, dataset_splits
from uniter_data.scenes import CLASS_NAMES, SEED, TINY, generate, generate_scenes
from uniter_data.scenes.captions import captions, phrases, snap_captions
from uniter_data.scenes.drawing import draw_scene
from uniter_data.scenes.generate import Sizes, ensure_scenes
from uniter_data.scenes.rendering import Block, content_of, image_id, render, stream
from uniter_data.scenes.speaker import text_of
from uniter_data.scenes.world import CANVAS, overlap

SPLITS = {"captions": ["train", "val", "test"], "phrases": ["train", "val", "test"], "snaps": ["train", "val"]}
EVERY_SPLIT = [(name, split) for name, splits in SPLITS.items() for split in splits]


def contents(folder: Path) -> dict[str, str]:
    """Checksum of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", SPLITS)
def test_splits(tiny_scenes: Path, name: str) -> None:
    assert dataset_splits(tiny_scenes / name) == SPLITS[name]


def test_counts(tiny_scenes: Path) -> None:
    for split, pictures in (("train", TINY.train), ("val", TINY.val), ("test", TINY.test)):
        dataset = PairDataset.open(tiny_scenes / "captions", split)
        assert len(dataset) == 5 * pictures
        assert len(dataset.region_lengths) == pictures
        objects = sum(len(content_of(SEED, "in-domain", split, n)[0].objects) for n in range(pictures))
        assert len(PairDataset.open(tiny_scenes / "phrases", split)) == objects
    assert len(PairDataset.open(tiny_scenes / "snaps", "train")) == 4 * TINY.snaps_train


def test_the_full_sizes_are_sixty_thousand_pairs() -> None:
    sizes = Sizes()
    assert (sizes.train, sizes.val, sizes.test, sizes.snaps_train, sizes.snaps_val) == (4500, 400, 400, 3500, 100)
    assert sizes.train * (5 + 62 / 12) + 4 * sizes.snaps_train == pytest.approx(60_000, rel=0.02)


@pytest.mark.parametrize(("name", "split"), EVERY_SPLIT)
def test_gold_links_lie_on_the_objects_that_words_name(tiny_scenes: Path, name: str, split: str) -> None:
    dataset = PairDataset.open(tiny_scenes / name, split)
    tokenizer = Tokenizer.from_file(tiny_scenes / name / "tokenizer.json")
    source, speak = {
        "captions": ("in-domain", captions), "phrases": ("in-domain", phrases), "snaps": ("snaps", snap_captions),
    }[name]  # fmt: skip
    assert dataset.has_gold
    index = 0
    for number in range(len(dataset.region_lengths)):
        scene, _ = content_of(SEED, source, split, number)
        for sentence in speak(scene, stream(SEED, source, split, number, name)):
            assert dataset.sentence(index) == text_of(sentence)
            sample = dataset.sample(index)
            assert sample.id.startswith(image_id(source, split, number))
            assert sample.gold_regions is not None
            assert sample.token_kinds is not None
            pieces = tokenizer.encode(dataset.sentence(index)).word_of_piece
            firsts = [1 + pieces.index(word) for word in range(len(sentence))]
            assert sample.gold_regions.max() < len(sample.region_boxes)
            assert sample.token_kinds[firsts].tolist() == [word.kind for word in sentence]
            for word, row in zip(sentence, sample.gold_regions[firsts].tolist(), strict=True):
                assert (row >= 0) == (word.thing >= 0)
                if row >= 0:
                    box = (sample.region_boxes[row, :4] * CANVAS).tolist()
                    assert overlap(tuple(box), scene.boxes[word.thing]) > 0.75
            index += 1
    assert index == len(dataset)


def test_one_vocabulary_for_all_that_knows_every_word_of_training(tiny_scenes: Path) -> None:
    digests = {PairDataset.open(tiny_scenes / name, split).vocabulary.digest for name, split in EVERY_SPLIT}
    assert len(digests) == 1
    for name in SPLITS:
        dataset = PairDataset.open(tiny_scenes / name, "train")
        tokenizer = Tokenizer.from_file(tiny_scenes / name / "tokenizer.json")
        for index in range(len(dataset)):
            pieces = tokenizer.tokens(dataset.sample(index).token_ids.tolist())
            assert not any(piece == "[UNK]" or piece.startswith("##") for piece in pieces)


def test_classes_labels_and_features(tiny_scenes: Path) -> None:
    dataset = PairDataset.open(tiny_scenes / "snaps", "train")
    assert dataset.regions.class_names == CLASS_NAMES
    assert dataset.num_classes == 14
    assert dataset.region_dim == 256
    record = dataset.regions.read(np.array([0]))[0]
    assert record.features.dtype == np.float16
    assert record.labels is not None
    assert record.labels.astype(np.float64).sum(axis=1) == pytest.approx(1, abs=2e-3)
    assert record.confidence == pytest.approx(record.labels.max(axis=1).astype(np.float32))
    assert dataset.regions.image_sizes[0].tolist() == [CANVAS, CANVAS]


def test_pictures_are_kept_and_are_those_of_the_scenes(tiny_scenes: Path) -> None:
    dataset = PairDataset.open(tiny_scenes / "captions", "val")
    picture = dataset.picture(7)  # the second picture: there are five captions each
    assert picture is not None
    drawn = draw_scene(content_of(SEED, "in-domain", "val", 1)[0])
    difference = np.abs(np.asarray(picture, np.float64) - np.asarray(drawn, np.float64))
    assert difference.mean() < 3


def test_the_same_in_another_process_with_two_workers(tiny_scenes: Path, tmp_path: Path) -> None:
    script = (
        "from uniter_data.scenes import TINY, generate_scenes\n"
        f"generate_scenes({str(tmp_path / 'again')!r}, sizes=TINY, processes=2)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    assert contents(tmp_path / "again") == contents(tiny_scenes)


def test_another_seed_gives_other_scenes(tiny_scenes: Path, tmp_path: Path) -> None:
    small = Sizes(train=3, val=1, test=1, snaps_train=2, snaps_val=1)
    other = generate_scenes(tmp_path / "other", sizes=small, seed=SEED + 1)
    ours, theirs = (PairDataset.open(root / "captions", "train") for root in (tiny_scenes, other))
    assert [ours.sentence(i) for i in range(15)] != [theirs.sentence(i) for i in range(15)]


def test_a_killed_generation_leaves_nothing_and_goes_on(
    tiny_scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "scenes"
    script = (
        "import time\nfrom uniter_data.scenes import TINY, generate, generate_scenes\n"
        "generate.write_dataset = lambda *a, **k: time.sleep(600)\n"  # stops where nearly everything is written
        f"generate_scenes({str(out)!r}, sizes=TINY)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    staging = tmp_path / ".scenes.partial"
    deadline = time.monotonic() + 60
    while not (staging / "scenes" / "snaps" / "val.zarr" / "zarr.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert staging.exists()

    drawn: list[int] = []
    monkeypatch.setattr("uniter_data.scenes.rendering.draw_scene", lambda scene: drawn.append(1))
    generate_scenes(out, sizes=TINY)
    assert not drawn  # the pictures of the first try were whole
    assert not staging.exists()
    assert contents(out) == contents(tiny_scenes)


def test_leftovers_of_another_generation_are_not_used(tiny_scenes: Path, tmp_path: Path) -> None:
    staging = tmp_path / ".scenes.partial"
    block = Block(source="in-domain", split="train", first=0, stop=TINY.train)
    render([block], staging, seed=SEED + 1, processes=1, progress=lambda done, total: None)
    assert contents(generate_scenes(tmp_path / "scenes", sizes=TINY)) == contents(tiny_scenes)


def test_the_fault_of_a_worker_shows_as_it_is(tmp_path: Path) -> None:
    blocks = [Block(source="nowhere", split="train", first=first, stop=first + 1) for first in range(2)]
    with pytest.raises(KeyError, match="nowhere"):
        render(blocks, tmp_path, seed=0, processes=2, progress=lambda done, total: None)


def test_an_existing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist yet"):
        generate_scenes(tmp_path, sizes=TINY)


def test_progress_is_reported_to_its_end(tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    small = Sizes(train=3, val=1, test=1, snaps_train=2, snaps_val=1)
    generate_scenes(tmp_path / "s", sizes=small, progress=lambda what, *at: seen.setdefault(what, []).append(at))
    assert list(seen) == ["drawing pictures", "region features", "sentences"]
    for steps in seen.values():
        assert steps[-1][0] == steps[-1][1]
        assert steps == sorted(steps)


def test_the_cache_is_filled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def stand_in(out: Path, *, progress: object) -> None:
        calls.append(out)
        out.mkdir()

    monkeypatch.setenv("UNITER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(generate, "generate_scenes", stand_in)
    first = ensure_scenes()
    assert ensure_scenes() == first == tmp_path / "cache" / f"scenes-{generate.VERSION}"
    assert calls == [first]


def test_what_is_generated_changes_only_with_the_version() -> None:
    """If this fails because the generator was changed on purpose, raise `VERSION` and write down the new digest."""
    digest = hashlib.blake2b(digest_size=8)
    for number in range(20):
        for source, speeches in (("in-domain", (captions, phrases)), ("snaps", (snap_captions,))):
            scene, regions = content_of(SEED, source, "train", number)
            digest.update(np.round(np.array(scene.boxes), 3).tobytes() + np.round(regions.boxes, 3).tobytes())
            for speak in speeches:
                for sentence in speak(scene, stream(SEED, source, "train", number, speak.__name__)):
                    digest.update(text_of(sentence).encode())
    assert (generate.VERSION, digest.hexdigest()) == (4, "ea99c5880aee3a6e")
    picture = np.asarray(draw_scene(content_of(SEED, "in-domain", "train", 0)[0]), np.float64)
    assert picture.mean(axis=(0, 1)) == pytest.approx([195.66, 214.27, 208.20], abs=0.1)
