"""Writes the annotations of all tasks, in the files that the tasks' owners publish, beside their place and renamed."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from uniter_data.scenes.annotations.nlvr2 import write_nlvr2
from uniter_data.scenes.annotations.pictures import Picture, pictures_of
from uniter_data.scenes.annotations.refexp import write_refexp
from uniter_data.scenes.annotations.retrieval import write_retrieval
from uniter_data.scenes.annotations.snli_ve import write_snli_ve
from uniter_data.scenes.annotations.vcr import write_vcr
from uniter_data.scenes.annotations.vqa import write_vqa
from uniter_data.scenes.cache import made_once
from uniter_data.scenes.generate import SEED, SIZES, Progress, Sizes, ensure_scenes

__all__ = ["VERSION", "WRITERS", "ensure_annotations", "generate_annotations"]

VERSION = 2  # a change of annotations raises it; it does not touch pictures and captions

# task -> writes its files into a folder
WRITERS: dict[str, Callable[..., None]] = {
    "vqa": write_vqa,
    "nlvr2": write_nlvr2,
    "snli-ve": write_snli_ve,
    "refexp": write_refexp,
    "vcr": write_vcr,
    "retrieval": write_retrieval,
}


def ensure_annotations(*, progress: Progress | None = None) -> Path:
    """The folder of the full annotations, generated on first use.

    It lies within the folder of the scenes (which are generated first, if need be), under a name that holds the
    version of the annotations. A second process that asks meanwhile waits for the first.
    """
    folder = ensure_scenes(progress=progress) / f"annotations-{VERSION}"
    return made_once(folder, lambda: generate_annotations(folder, progress=progress))


def generate_annotations(
    out: str | Path, *, sizes: Sizes = SIZES, seed: int = SEED, progress: Progress | None = None
) -> Path:
    """Generate the annotations of every task, in a folder each: `out`/vqa, `out`/nlvr2, …

    The result depends on `sizes` and `seed` alone.

    Args:
        out: where; must not exist yet.
        sizes: numbers of pictures of the scenes that are annotated; there are so many annotations a picture.
        seed: of the scenes.
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
    staging = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    pictures: Mapping[str, Sequence[Picture]] = pictures_of(sizes, seed=seed)
    for done, (task, write) in enumerate(WRITERS.items()):
        if progress:
            progress("annotations", done, len(WRITERS))
        target = staging / task
        target.mkdir(parents=True)
        write(target, pictures, seed=seed)
    if progress:
        progress("annotations", len(WRITERS), len(WRITERS))
    return staging.rename(folder)
