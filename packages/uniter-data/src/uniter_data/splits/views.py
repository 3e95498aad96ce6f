"""Views of data sets without what leaks: the same stores, and beside dataset.json which texts are kept. No copy."""

# T texts of a store

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_data.examples.check import holds_examples
from uniter_data.splits.audit import audit
from uniter_data.splits.findings import Audit
from uniter_data.splits.image_sets import ImageSet
from uniter_data.splits.report import JSON, write_report
from uniter_data.stores.kept_texts import read_kept, write_kept
from uniter_data.stores.locations import exists, is_remote, join, read_text
from uniter_data.stores.manifest import AuditRecord, Split, open_texts, read_manifest, rewrite_manifest, write_text
from uniter_data.stores.publishing import beside, publish, relative_to
from uniter_data.stores.text_store import TextStore

__all__ = ["check_leaks", "filter_datasets", "record_audit"]


def filter_datasets(
    sources: Sequence[ImageSet], downstream: Sequence[ImageSet], out: str | Path, **options: Any
) -> tuple[Audit, list[Path]]:
    """Write views of pre-training data without the pictures of evaluation splits.

    Written beside and renamed. The long part, hashing pictures, goes on where a killed run stopped.

    Args:
        sources: splits of data sets of pairs; their other splits are in the views as they are.
        downstream: evaluation splits.
        out: the view of one data set; of several, the folder of their views, each under its own name.
        options: see `audit`.

    Returns:
        What was found, and the views.

    Raises:
        ValueError: `out` exists, a source is no data set of pairs, nothing would be left of a split; or see `audit`.
    """
    target = Path(out)
    folder = beside(target)
    directories = _directories(sources)
    names = [Path(directory).name for directory in directories] if len(directories) > 1 else [""]
    if len(set(names)) < len(names):
        raise ValueError(f"two of {', '.join(directories)} have one name, their views would have one place: rename one")
    found = audit(sources, downstream, **options)
    for directory, name in zip(directories, names, strict=True):
        mine = [images for images in sources if images.directory == directory]
        _write_view(directory, mine, found, folder / name, target / name)
    publish(target)
    return found, [target / name for name in names]


def record_audit(found: Audit, sources: Sequence[ImageSet]) -> list[Path]:
    """Write an audit into the directories of its sources, and into their dataset.json what it says.

    Returns:
        The reports.

    Raises:
        ValueError: a source is remote, or no data set of pairs.
    """
    directories = _directories(sources)
    remote = next(filter(is_remote, directories), None)
    if remote:
        raise ValueError(
            f"{remote} is remote and cannot be written to: record the audit where it is, and copy it there"
        )
    for directory in directories:
        splits = {images.split: images.name for images in sources if images.directory == directory}
        leaks = {split: len(found.images(name)) for split, name in splits.items()}
        write_report(Path(directory), found)
        rewrite_manifest(directory, Path(directory), audit=_record(directory, leaks))
    return [Path(directory) / JSON for directory in directories]


def check_leaks(directory: str | Path, split: str, *, allow: bool = False) -> list[str]:
    """Refuse to pre-train on a split of which an audit says that it holds pictures of evaluation splits.

    The examples of a task pass: they are trained on as they were published.

    Args:
        directory: of a data set.
        split: to be trained on.
        allow: train on it all the same.

    Returns:
        What a person should know: that such a split was allowed, or was never audited.

    Raises:
        ValueError: there are such pictures; the message names the audit, how many they are, and the remedy.
    """
    if holds_examples(directory):
        return []
    said = read_manifest(directory).audit
    if said is None or split not in said.leaks:
        return [
            f"{directory}: split {split!r} was never searched for pictures of evaluation splits (uniter data audit)"
        ]
    leaks = f"{directory}: {said.leaks[split]:,} images of split {split!r} are pictures of evaluation splits, as "
    leaks += f"{join(str(directory), said.report)} says"
    if said.leaks[split] and not allow:
        raise ValueError(
            f"{leaks}: leave them out with uniter data filter, or train on them all the same with --allow-leaks"
        )
    return [f"{leaks}, and are trained on"] if said.leaks[split] else []


# ---------------------------------------------------------------------------------------------------------------------


def _directories(sources: Sequence[ImageSet]) -> list[str]:
    """The data sets of pairs that the sources are splits of."""
    directories = list(dict.fromkeys(images.directory for images in sources))
    for directory in directories:
        if holds_examples(directory):
            raise ValueError(f"{directory} holds examples of a task: expected a data set of pairs for pre-training")
    return directories


def _write_view(directory: str, sources: Iterable[ImageSet], found: Audit, folder: Path, target: Path) -> None:
    """Write a view in a folder that will be `target`."""
    manifest = read_manifest(directory)
    folder.mkdir(parents=True)
    leaking = {images.split: set(found.images(images.name)) for images in sources}
    splits = {}
    for name, split in manifest.splits.items():
        texts = open_texts(directory, manifest, name)
        rows = _kept(texts, join(directory, split.keep) if split.keep else "", leaking.get(name, set()))
        if not len(rows):
            raise ValueError(
                f"{directory}: all texts of split {name!r} would be left out: name the splits that are trained on, "
                f"such as {directory}:train"
            )
        # also where all are kept: the index knows its store, which may be written anew
        keep = f"{name}.keep.zarr"
        write_kept(folder / keep, texts, rows)
        splits[name] = replace(_seen_from(target, directory, split), keep=keep)
    urls = join(directory, manifest.urls)
    write_text(folder / "tokenizer.json", read_text(join(directory, "tokenizer.json")))
    write_report(folder, found, filtered=True)
    rewrite_manifest(
        directory,
        folder,
        audit=_record(directory, dict.fromkeys(leaking, 0)),
        splits=splits,
        urls=relative_to(target, urls) if exists(urls) else "",
    )


def _record(directory: str, leaks: Mapping[str, int]) -> AuditRecord:
    """What is known of a data set now; of splits that were not looked at, what was known before."""
    before = read_manifest(directory).audit
    return AuditRecord(report=JSON, leaks={**(before.leaks if before else {}), **leaks})


def _kept(texts: TextStore, keep: str, leaking: set[str]) -> NDArray[np.int64]:
    """Rows of the texts that show none of these images; of a view, of those that its index `keep` has."""
    rows = read_kept(keep, texts) if keep else np.arange(texts.num_texts)
    leaks = np.array([name in leaking for name in texts.image_names.tolist()], bool)
    kept: NDArray[np.int64] = rows[~leaks[texts.image_index[rows]]]
    return kept


def _seen_from(target: Path, directory: str, split: Split) -> Split:
    """The stores of a split, named from another directory."""
    names = {name: getattr(split, name) for name in ("texts", "regions", "pictures")}
    seen = {name: relative_to(target, join(directory, place)) for name, place in names.items() if place}
    return Split(**{**names, **seen})
