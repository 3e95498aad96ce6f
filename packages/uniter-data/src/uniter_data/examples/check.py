"""What a task's data set holds, and whether any of it is damaged."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uniter_data.examples.dataset import ExampleDataset
from uniter_data.examples.draft import Progress
from uniter_data.examples.manifest import place_of, read_task_manifest
from uniter_data.examples.store import ExampleStore
from uniter_data.stores.group import EXAMPLES
from uniter_data.stores.locations import join, locate, read_text
from uniter_data.stores.verify import Finding, verify

__all__ = ["describe_examples", "holds_examples", "stored_annotations", "verify_examples"]


def holds_examples(directory: str | Path) -> bool:
    """Whether a directory is a task's data set, rather than one of pairs, or none."""
    try:
        raw = json.loads(read_text(join(locate(directory), "dataset.json")))
    except (ValueError, OSError):
        return False
    return isinstance(raw, dict) and raw.get("format") == EXAMPLES


def stored_annotations(directory: str | Path, task: str, split: str) -> list[dict[str, Any]]:
    """The annotations of a split of a task's data set; its regions are not opened and may lie elsewhere.

    Raises:
        ValueError: the directory holds no data set, one of another task, or no such split.
    """
    manifest = read_task_manifest(directory)
    if manifest.task != task:
        raise ValueError(f"{directory} holds data of {manifest.task}, not of {task}: name a data set of {task}")
    if split not in manifest.splits:
        raise ValueError(f"{directory} has no split {split!r}: it has {', '.join(manifest.splits)}")
    store = ExampleStore(place_of(locate(directory), manifest.splits[split].examples))
    return list(store.all_annotations())


def describe_examples(directory: str | Path) -> str:
    """A task's data set in a few lines.

    Raises:
        ValueError: the directory holds none.
    """
    return "\n".join(_lines(directory))


def verify_examples(directory: str | Path, *, progress: Progress = lambda what, done, total: None) -> list[Finding]:
    """Read a whole task's data set and compare it with its checksums; see `uniter_data.verify`.

    Raises:
        ValueError: the directory holds none.
    """
    location = locate(directory)
    manifest = read_task_manifest(location)
    stores: dict[str, None] = {}
    for split in manifest.splits.values():
        regions = [store for layer in split.regions for store in layer]
        stores |= dict.fromkeys(place_of(location, store) for store in (split.examples, split.texts, *regions))
    findings: list[Finding] = []
    for store in stores:
        try:
            findings += verify(store, progress=progress)
        except ValueError as error:
            findings.append(Finding(store=store, problem=str(error)))
    # what is damaged would only be found a second time
    for name in () if findings else manifest.splits:
        try:
            for _ in ExampleDataset.open(location, name).annotations():
                pass
        except ValueError as error:
            findings.append(Finding(store=f"{location}, split {name!r}", problem=str(error)))
    return findings


def _lines(directory: str | Path) -> Iterator[str]:
    location = locate(directory)
    manifest = read_task_manifest(location)
    yield f"{manifest.name}, examples of {manifest.task}  ({location})"
    yield f"  source      {manifest.source or 'not stated'}"
    yield f"  licence     {manifest.licence or 'not stated'}"
    yield f"  vocabulary  {manifest.vocabulary.size:,} word pieces, {manifest.vocabulary.digest[:12]}"
    yield "  imported    " + ", ".join(f"{name} {value}" for name, value in manifest.settings.items())
    for name in manifest.splits:
        try:
            data = ExampleDataset.open(location, name)
        except ValueError as error:
            yield f"  {name:<11} {error}"
            continue
        texts, images = data.text_lengths, data.region_lengths
        yield (
            f"  {name:<11} {len(data):,} examples: {texts.shape[1]} text(s) of {texts.mean():.1f} word pieces, "
            f"{images.shape[1]} image(s) of {images.mean():.1f} regions"
        )
