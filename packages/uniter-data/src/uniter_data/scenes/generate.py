"""Generates the data sets `captions`, `phrases` and `snaps`: pictures, region stores, texts with gold links.

Everything is written beside its place and renamed at the end; a killed run goes on from the pictures that were drawn.

R regions, M responses.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uniter_data.scenes.cache import made_once
from uniter_data.scenes.captions import Sentence, captions, phrases, snap_captions
from uniter_data.scenes.features import FEATURE_DIM, FIT_REGIONS, FittedFeatures, fit_features
from uniter_data.scenes.lexicon import every_word
from uniter_data.scenes.regions import Regions
from uniter_data.scenes.rendering import BLOCK, Block, content_of, image_id, read_responses, render, stream
from uniter_data.scenes.speaker import text_of
from uniter_data.scenes.world import CANVAS, CLASS_NAMES, Scene
from uniter_data.stores import RegionWriter, Split, TextWriter, write_dataset
from uniter_data.stores.cache import cache_folder
from uniter_data.tokenizer import Tokenizer

__all__ = ["SEED", "SIZES", "TINY", "VERSION", "Progress", "Sizes", "ensure_scenes", "generate_scenes"]

VERSION = (
    4  # a change of pictures, sentences, vocabulary or features raises it; caches of other versions are left alone
)
SEED = 2020
EXTRACTOR = "a frozen random convolution of two layers, PCA (uniter_data.scenes.features)"
PICTURES_A_PROCESS = 500  # fewer are drawn sooner than another process starts

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Numbers of pictures."""

    train: int = 4500
    val: int = 400
    test: int = 400
    snaps_train: int = 3500
    snaps_val: int = 100

    @property
    def pictures(self) -> dict[tuple[str, str], int]:
        """By source and split."""
        return {
            ("in-domain", "train"): self.train,
            ("in-domain", "val"): self.val,
            ("in-domain", "test"): self.test,
            ("snaps", "train"): self.snaps_train,
            ("snaps", "val"): self.snaps_val,
        }


SIZES = Sizes()
TINY = Sizes(train=24, val=8, test=8, snaps_train=16, snaps_val=8)

# data set -> the source of its pictures, and what is said of one
TEXTS: dict[str, tuple[str, Callable[[Scene, np.random.Generator], list[Sentence]]]] = {
    "captions": ("in-domain", captions),
    "phrases": ("in-domain", phrases),
    "snaps": ("snaps", snap_captions),
}
PAIR_DATA = tuple(TEXTS)


def ensure_scenes(*, progress: Progress | None = None) -> Path:
    """The full data sets' folder, generated on first use.

    It lies in the cache (`UNITER_CACHE`, else ~/.cache/uniter), under a name that holds the generator's version. A
    second process that asks meanwhile waits for the first.
    """
    folder = cache_folder() / f"scenes-{VERSION}"
    return made_once(folder, lambda: generate_scenes(folder, progress=progress))


def generate_scenes(
    out: str | Path,
    *,
    sizes: Sizes = SIZES,
    seed: int = SEED,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Generate the data sets `out`/captions, `out`/phrases and `out`/snaps.

    The result depends on `sizes` and `seed` alone. If the process is killed, the same call goes on.

    Args:
        out: where; must not exist yet.
        sizes: numbers of pictures; `TINY` takes a second or two.
        seed: of everything.
        processes: that draw; default as many as there are cores, if there is enough to draw.
        progress: called with (what is done, how much of it, of how much).

    Returns:
        The folder.

    Raises:
        ValueError: `out` exists.
        OSError: it cannot be written.
    """
    folder = Path(out)
    if folder.exists():
        raise ValueError(f"out: expected a path that does not exist yet, got {folder}")
    report = progress or (lambda what, done, total: None)
    total = sum(sizes.pictures.values())
    staging = _staging(folder, sizes, seed)
    blocks = list(_blocks(sizes))
    render(
        blocks,
        staging,
        seed=seed,
        processes=processes or min(_cores(), max(1, total // PICTURES_A_PROCESS)),
        progress=lambda done, total: report("drawing pictures", done, total),
    )
    root = staging / "scenes"
    _write_regions(root, blocks, staging, seed=seed, report=report)
    _write_texts(root, sizes, seed=seed, report=report)
    root.replace(folder)
    shutil.rmtree(staging)
    return folder


# ---------------------------------------------------------------------------------------------------------------------


def _staging(folder: Path, sizes: Sizes, seed: int) -> Path:
    """Where a run works, cleared of everything but the blocks and pictures of an earlier try at the same."""
    staging = folder.with_name(f".{folder.name}.partial")
    identity = {"version": VERSION, "seed": seed, **asdict(sizes)}
    known = staging / "identity.json"
    if staging.exists() and not (known.exists() and json.loads(known.read_text(encoding="utf-8")) == identity):
        shutil.rmtree(staging)
    staging.mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps(identity), encoding="utf-8")
    for leftover in [staging / "scenes" / name for name in TEXTS] + list(staging.glob("scenes/images/*/*.zarr*")):
        shutil.rmtree(leftover, ignore_errors=True)
    return staging


def _blocks(sizes: Sizes) -> Iterator[Block]:
    for (source, split), number in sizes.pictures.items():
        for first in range(0, number, BLOCK):
            yield Block(source=source, split=split, first=first, stop=min(first + BLOCK, number))


def _write_regions(root: Path, blocks: list[Block], staging: Path, *, seed: int, report: Progress) -> None:
    """A region store for each source and split."""
    features_of = _fit([block for block in blocks if block.split == "train"], staging, seed=seed)
    done, total = 0, sum(block.stop - block.first for block in blocks)
    for source, split in dict.fromkeys((block.source, block.split) for block in blocks):
        path = root / "images" / source / f"{split}.zarr"
        with RegionWriter(path, region_dim=FEATURE_DIM, class_names=CLASS_NAMES, extractor=EXTRACTOR) as writer:
            for block in blocks:
                if (block.source, block.split) != (source, split):
                    continue
                _append_block(writer, block, features_of(read_responses(block, staging)), seed=seed)
                done += block.stop - block.first
                report("region features", done, total)
            writer.publish()


def _fit(training: list[Block], staging: Path, *, seed: int) -> FittedFeatures:
    """Fitted on regions taken evenly from all training blocks."""
    each = -(-FIT_REGIONS // len(training))
    responses, classes = [], []
    for block in training:
        known = np.concatenate([regions.classes for regions in _regions(block, seed=seed)])
        chosen = np.linspace(0, len(known) - 1, min(each, len(known))).astype(np.int64)
        responses.append(read_responses(block, staging)[chosen])
        classes.append(known[chosen])
    return fit_features(np.concatenate(responses), np.concatenate(classes))


def _append_block(
    writer: RegionWriter, block: Block, answers: tuple[NDArray[np.float16], NDArray[np.float16]], *, seed: int
) -> None:
    features, labels = answers
    row = 0
    for number, regions in zip(range(block.first, block.stop), _regions(block, seed=seed), strict=True):
        rows = slice(row, row := row + len(regions.boxes))
        unit = regions.boxes / np.float32(CANVAS)
        writer.append(
            image_id(block.source, block.split, number),
            features[rows],
            np.concatenate([unit, unit[:, 2:] - unit[:, :2]], axis=1),
            confidence=labels[rows].max(axis=1),
            labels=labels[rows],
            size=(CANVAS, CANVAS),
        )


def _regions(block: Block, *, seed: int) -> Iterator[Regions]:
    for number in range(block.first, block.stop):
        yield content_of(seed, block.source, block.split, number)[1]


@dataclass(frozen=True, kw_only=True)
class _Text:
    """A sentence with, for each word, its gold region's row and its kind."""

    text_id: str
    image_id: str
    sentence: str
    gold: list[int]
    kinds: list[int]


def _write_texts(root: Path, sizes: Sizes, *, seed: int, report: Progress) -> None:
    """The text stores of every data set, with one vocabulary for all and for annotations; the data sets' manifests."""
    texts = _all_texts(sizes, seed=seed, report=report)
    said = (text.sentence for (_, split), of in texts.items() if split == "train" for text in of)
    tokenizer = Tokenizer.build(chain(said, every_word()))
    for (name, split), of in texts.items():
        with TextWriter(root / name / f"{split}.zarr", tokenizer=tokenizer) as writer:
            for text in of:
                writer.append(text.text_id, text.sentence, text.image_id, gold=text.gold, kinds=text.kinds)
            writer.publish()
    for name, (source, _) in TEXTS.items():
        splits = [split for known, split in texts if known == name]
        write_dataset(
            root / name,
            name=name,
            splits={
                split: Split(texts=f"{split}.zarr", regions=f"../images/{source}/{split}.zarr") for split in splits
            },
            pictures={split: f"../images/{source}/pictures/{split}" for split in splits},
            tokenizer=tokenizer,
            source=f"generated by uniter_data.scenes, version {VERSION}, seed {seed}",
            licence="CC0-1.0",
        )


def _all_texts(sizes: Sizes, *, seed: int, report: Progress) -> dict[tuple[str, str], list[_Text]]:
    """By data set and split."""
    wanted = [
        (name, split, number)
        for name, (source, _) in TEXTS.items()
        for (of, split), number in sizes.pictures.items()
        if of == source
    ]
    texts, done, total = {}, 0, sum(number for _, _, number in wanted)
    for name, split, number in wanted:
        texts[name, split] = [text for picture in range(number) for text in _texts_of(name, split, picture, seed=seed)]
        done += number
        report("sentences", done, total)
    return texts


def _texts_of(name: str, split: str, number: int, *, seed: int) -> Iterator[_Text]:
    """What a data set says of a picture."""
    source, speak = TEXTS[name]
    scene, regions = content_of(seed, source, split, number)
    image = image_id(source, split, number)
    for place, sentence in enumerate(speak(scene, stream(seed, source, split, number, name))):
        yield _Text(
            text_id=f"{image}-{name}-{place}",
            image_id=image,
            sentence=text_of(sentence),
            gold=[regions.row_of(word.thing) for word in sentence],
            kinds=[word.kind for word in sentence],
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
