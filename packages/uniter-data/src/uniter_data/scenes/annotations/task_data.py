"""Imports the annotations of scenes, as a user imports the published ones, into a data set for each task."""

from collections.abc import Callable
from pathlib import Path

from uniter_data.examples import (
    ImportOptions,
    import_karpathy,
    import_nlvr2,
    import_refcoco,
    import_snli_ve,
    import_vcr,
    import_vqa,
)
from uniter_data.scenes.annotations import nlvr2, refexp, retrieval, snli_ve, vcr, vqa
from uniter_data.scenes.annotations.generate import VERSION, ensure_annotations
from uniter_data.scenes.annotations.pictures import SOURCE, SPLITS
from uniter_data.scenes.cache import made_once
from uniter_data.scenes.generate import Progress, ensure_scenes
from uniter_data.tokenizer import Tokenizer

__all__ = ["TASK_DATA", "ensure_task_data", "import_task_data"]


def ensure_task_data(name: str, *, progress: Progress | None = None) -> Path:
    """The folder of a task's full data set, imported on first use from annotations that are generated on first use.

    It shares the region stores and the vocabulary of the scenes, within whose folder it lies.

    Args:
        name: "vqa", "nlvr2", "snli-ve", "vcr", "retrieval" (a data set of pairs), "refexp-locations",
            "refexp-attributes", "refexp-relations"; "refexp" is the second of these.
        progress: called with (what is done, how much of it, of how much).

    Raises:
        ValueError: there is no such data set; the message lists those there are.
    """
    _importer(name)
    scenes, annotations = ensure_scenes(progress=progress), ensure_annotations(progress=progress)
    folder = scenes / f"tasks-{VERSION}" / _full_name(name)
    return made_once(
        folder, lambda: import_task_data(name, folder, scenes=scenes, annotations=annotations, progress=progress)
    )


def import_task_data(
    name: str, out: str | Path, *, scenes: Path, annotations: Path, progress: Progress | None = None
) -> Path:
    """Import the annotations for one task. The test split has its answers, hidden or not.

    Args:
        name: as for `ensure_task_data`.
        out: the data set to write; must not exist yet.
        scenes: folder of generated scenes.
        annotations: folder of their annotations.
        progress: called with (what is done, how much of it, of how much).

    Returns:
        The data set's folder.

    Raises:
        ValueError: there is no such data set, or `out` exists.
    """
    importer, pattern = _importer(name)
    pictures = scenes / "images" / SOURCE
    options = ImportOptions(
        tokenizer=Tokenizer.from_file(scenes / "captions" / "tokenizer.json"),
        image_name=pattern,
        pictures=[pictures / "pictures"],
        progress=progress or (lambda what, done, total: None),
    )
    importer(Path(out), annotations, [pictures / f"{split}.zarr" for split in SPLITS], options)
    return Path(out)


# ---------------------------------------------------------------------------------------------------------------------

# (out, annotations, region stores, options)
Importer = Callable[[Path, Path, list[Path], ImportOptions], object]


def _vqa(out: Path, annotations: Path, regions: list[Path], options: ImportOptions) -> None:
    folder = annotations / "vqa"
    questions = {split: [folder / vqa.questions_file(split)] for split in SPLITS}
    answers = {split: [folder / vqa.annotations_file(split)] for split in SPLITS}
    import_vqa(out, questions=questions, annotations=answers, regions=regions, options=options)


def _nlvr2(out: Path, annotations: Path, regions: list[Path], options: ImportOptions) -> None:
    files = {split: [annotations / "nlvr2" / name] for split, name in nlvr2.FILES.items()}
    import_nlvr2(out, files=files, regions=regions, options=options)


def _snli_ve(out: Path, annotations: Path, regions: list[Path], options: ImportOptions) -> None:
    files = {split: [annotations / "snli-ve" / name] for split, name in snli_ve.FILES.items()}
    import_snli_ve(out, files=files, regions=regions, options=options)


def _vcr(out: Path, annotations: Path, regions: list[Path], options: ImportOptions) -> None:
    files = {split: [annotations / "vcr" / name] for split, name in vcr.FILES.items()}
    import_vcr(out, files=files, regions=regions, options=options)


def _retrieval(out: Path, annotations: Path, regions: list[Path], options: ImportOptions) -> None:
    import_karpathy(out, file=annotations / "retrieval" / retrieval.FILE, regions=regions, options=options)


def _refexp(flavour: str) -> Importer:
    def importer(out: Path, annotations: Path, regions: list[Path], options: ImportOptions) -> None:
        folder = annotations / "refexp" / flavour
        refs, instances = folder / refexp.REFS, folder / refexp.INSTANCES
        import_refcoco(out, refs=refs, instances=instances, regions=regions, options=options)

    return importer


# name -> how it is imported, and what the region stores call a picture that the annotations name
TASK_DATA: dict[str, tuple[Importer, str]] = {
    "vqa": (_vqa, SOURCE + "-{collection}-{number:05d}"),
    "nlvr2": (_nlvr2, "{path}"),
    "snli-ve": (_snli_ve, "{stem}"),
    "vcr": (_vcr, "{stem}"),
    "retrieval": (_retrieval, "{stem}"),
    **{f"refexp-{flavour}": (_refexp(flavour), "{stem}") for flavour in refexp.FLAVOURS},
}


def _full_name(name: str) -> str:
    return f"refexp-{refexp.DEFAULT}" if name == "refexp" else name


def _importer(name: str) -> tuple[Importer, str]:
    if _full_name(name) not in TASK_DATA:
        raise ValueError(f"name: expected one of {', '.join(TASK_DATA)}, got {name!r}")
    return TASK_DATA[_full_name(name)]
