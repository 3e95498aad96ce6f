"""dataset.json of a task's data set: which task, where the examples of each split lie, and which regions they use."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from uniter_core import Vocabulary
from uniter_data.stores.group import EXAMPLES
from uniter_data.stores.locations import is_remote, join, locate, read_text
from uniter_data.stores.manifest import write_text
from uniter_data.stores.redaction import refuse_secrets
from uniter_data.tokenizer import Tokenizer

__all__ = ["TaskManifest", "TaskSplit", "place_of", "read_task_manifest", "task_splits", "write_task_manifest"]

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class TaskSplit:
    """The stores of one split, relative to the data set's directory, or URLs.

    Attributes:
        examples: store of examples.
        texts: text store.
        regions: layers of region stores. An image has regions in every layer, one layer's after another's, and within
            a layer in the first store that knows it. Most tasks have one layer.
        pictures: folders of the pictures; empty if there are none.
    """

    examples: str
    texts: str
    regions: tuple[tuple[str, ...], ...]
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TaskManifest:
    """A description of a task's data set.

    Attributes:
        task: such as "vqa".
        name: for people and messages.
        source: where it comes from.
        licence: of the data.
        vocabulary: of every text store.
        settings: with which it was imported.
        splits: by name.
    """

    task: str
    name: str
    source: str
    licence: str
    vocabulary: Vocabulary
    splits: dict[str, TaskSplit]
    settings: dict[str, Any] = field(default_factory=dict)


def write_task_manifest(directory: Path, manifest: TaskManifest, tokenizer: Tokenizer) -> None:
    """Write dataset.json and tokenizer.json.

    Raises:
        ValueError: a URL holds a password or a token.
    """
    raw = {
        "format": EXAMPLES,
        "version": VERSION,
        "task": manifest.task,
        "name": manifest.name,
        "source": manifest.source,
        "licence": manifest.licence,
        "vocabulary": manifest.vocabulary.to_dict(),
        "settings": manifest.settings,
        "splits": {name: asdict(split) for name, split in manifest.splits.items()},
    }
    text = refuse_secrets(json.dumps(raw, indent=2, ensure_ascii=False) + "\n", f"{directory}/dataset.json")
    write_text(directory / "tokenizer.json", tokenizer.json)
    write_text(directory / "dataset.json", text)


def read_task_manifest(directory: str | Path) -> TaskManifest:
    """The manifest of a task's data set, local or remote.

    Raises:
        ValueError: the directory holds none, or one of a newer version.
    """
    location = join(locate(directory), "dataset.json")
    try:
        raw: dict[str, Any] = json.loads(read_text(location))
        if raw.get("format") != EXAMPLES:
            raise ValueError(f"its format is {raw.get('format')!r}, a task's data set has {EXAMPLES!r}")
        if raw["version"] > VERSION:
            raise ValueError(f"version {raw['version']} is newer than this uniter-data reads ({VERSION}): upgrade it")
        return TaskManifest(
            task=raw["task"],
            name=raw["name"],
            source=raw["source"],
            licence=raw["licence"],
            vocabulary=Vocabulary.from_dict(raw["vocabulary"]),
            settings=raw["settings"],
            splits={name: _split(split) for name, split in raw["splits"].items()},
        )
    except FileNotFoundError as error:
        raise ValueError(
            f"{locate(directory)} holds no data set: dataset.json is missing; import one there, or correct the path"
        ) from error
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{location} cannot be used ({error}): import a task's annotations with uniter data import"
        ) from error


def task_splits(directory: str | Path) -> list[str]:
    """Names of the splits of a task's data set.

    Raises:
        ValueError: the directory holds none.
    """
    return list(read_task_manifest(directory).splits)


def place_of(directory: str, entry: str) -> str:
    """Where a store lies that the manifest in this directory names."""
    return entry if is_remote(entry) else join(directory, entry)


def _split(raw: Mapping[str, Any]) -> TaskSplit:
    return TaskSplit(
        examples=raw["examples"],
        texts=raw["texts"],
        regions=tuple(tuple(layer) for layer in raw["regions"]),
        pictures=tuple(raw["pictures"]),
    )
