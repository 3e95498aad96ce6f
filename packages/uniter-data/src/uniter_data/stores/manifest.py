"""dataset.json: what a data set is called, where it comes from, and which stores make up its splits."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from uniter_core import Vocabulary
from uniter_data.stores.locations import join, locate, read_text
from uniter_data.stores.redaction import refuse_secrets
from uniter_data.stores.text_store import TextStore
from uniter_data.tokenizer import Tokenizer

__all__ = ["AuditRecord", "Manifest", "Split", "dataset_splits", "read_manifest", "rewrite_manifest", "write_dataset"]

FORMAT = "uniter-dataset"
VERSION = 2  # of a view, which an older reader would take for the whole; 1 of all others


@dataclass(frozen=True, kw_only=True)
class Split:
    """The stores of one split, relative to the data set's directory.

    Attributes:
        texts: text store.
        regions: region store; several splits and data sets may share one.
        pictures: folder of the pictures (the file's stem is the image id); empty if there are none.
        keep: of a view, which of the texts belong to it (`kept_texts`); empty if all do.
    """

    texts: str
    regions: str
    pictures: str = ""
    keep: str = ""


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """What an audit said of a data set: which of its images are pictures of downstream evaluation splits.

    Attributes:
        report: the audit's file, relative to the data set's directory.
        leaks: images by split that such a run would learn from; 0 where they were filtered out.
    """

    report: str
    leaks: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A data set's description.

    Attributes:
        name: for people and messages.
        source: where it comes from.
        licence: of the data.
        vocabulary: of every text store.
        splits: by name.
        audit: the last one that was recorded; None if there was none.
        urls: file that says where the images came from, relative to the data set's directory; there need not be one.
    """

    name: str
    source: str
    licence: str
    vocabulary: Vocabulary
    splits: dict[str, Split]
    audit: AuditRecord | None = None
    urls: str = "urls.tsv"


def write_dataset(
    directory: str | Path,
    *,
    name: str,
    splits: Mapping[str, Split],
    tokenizer: Tokenizer,
    source: str = "",
    licence: str = "",
    pictures: Mapping[str, str] | None = None,
) -> Path:
    """Write dataset.json and tokenizer.json: the last step of making a data set.

    Args:
        directory: of the data set; the text stores must be published, region stores may come later.
        name: of the data set.
        splits: their stores.
        tokenizer: with which the texts were written.
        source: where the data come from.
        licence: of the data.
        pictures: folder of the pictures by split.

    Returns:
        The directory.

    Raises:
        ValueError: a text store is missing or was written with another tokenizer, or a URL holds a password or token.
    """
    folder = Path(directory)
    if not splits:
        raise ValueError("splits: expected at least one split, got none")
    complete = {
        split: replace(stores, pictures=(pictures or {}).get(split, stores.pictures))
        for split, stores in splits.items()
    }
    for split, stores in complete.items():
        texts = TextStore(join(str(folder), stores.texts))
        _check_vocabulary(texts, tokenizer.vocabulary, f"data set {name!r}, split {split!r}")
    manifest = {
        "format": FORMAT,
        "version": _version(complete),
        "name": name,
        "source": source,
        "licence": licence,
        "vocabulary": tokenizer.vocabulary.to_dict(),
        "splits": {split: _described(stores) for split, stores in complete.items()},
    }
    text = refuse_secrets(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", f"{folder}/dataset.json")
    write_text(folder / "tokenizer.json", tokenizer.json)
    write_text(folder / "dataset.json", text)
    return folder


def read_manifest(directory: str | Path) -> Manifest:
    """The manifest of a data set, local or remote.

    Raises:
        ValueError: the directory holds no data set, or one of a newer version.
    """
    location = join(locate(directory), "dataset.json")
    try:
        raw: dict[str, Any] = json.loads(read_text(location))
        if raw.get("format") != FORMAT:
            raise ValueError(f"its format is {raw.get('format')!r}, expected {FORMAT!r}")
        if raw["version"] > VERSION:
            raise ValueError(f"version {raw['version']} is newer than this uniter-data reads ({VERSION}): upgrade it")
        return Manifest(
            name=raw["name"],
            source=raw["source"],
            licence=raw["licence"],
            vocabulary=Vocabulary.from_dict(raw["vocabulary"]),
            splits={split: Split(**stores) for split, stores in raw["splits"].items()},
            audit=AuditRecord(**raw["audit"]) if "audit" in raw else None,
            urls=raw.get("urls", Manifest.urls),
        )
    except FileNotFoundError as error:
        raise ValueError(
            f"{locate(directory)} holds no data set: dataset.json is missing; import one there, or correct the path"
        ) from error
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{location} cannot be used ({error}): import the data set again") from error


def rewrite_manifest(
    directory: str | Path,
    folder: Path,
    *,
    audit: AuditRecord,
    splits: Mapping[str, Split] | None = None,
    urls: str = "",
) -> None:
    """Write the dataset.json of a data set again, there or elsewhere, with an audit.

    Args:
        directory: of the data set.
        folder: where to write.
        audit: to be recorded.
        splits: instead of its own.
        urls: instead of its own.

    Raises:
        ValueError: there is no data set, or a URL holds a password or token.
    """
    chosen = read_manifest(directory).splits if splits is None else splits
    raw = json.loads(read_text(join(locate(directory), "dataset.json")))
    raw |= {"version": _version(chosen), "splits": {name: _described(split) for name, split in chosen.items()}}
    raw |= {"audit": asdict(audit), **({"urls": urls} if urls else {})}
    text = json.dumps(raw, indent=2, ensure_ascii=False) + "\n"
    write_text(folder / "dataset.json", refuse_secrets(text, f"{folder}/dataset.json"))


def dataset_splits(directory: str | Path) -> list[str]:
    """Names of a data set's splits.

    Raises:
        ValueError: the directory holds no data set.
    """
    return list(read_manifest(directory).splits)


def open_texts(directory: str | Path, manifest: Manifest, split: str) -> TextStore:
    """The text store of a split, which must agree with the manifest.

    Raises:
        ValueError: there is no such split, or its store is missing or damaged or has another vocabulary.
    """
    texts = TextStore(join(locate(directory), find_split(directory, manifest, split).texts))
    _check_vocabulary(texts, manifest.vocabulary, f"{locate(directory)}/dataset.json")
    return texts


def find_split(directory: str | Path, manifest: Manifest, split: str) -> Split:
    """A split's stores.

    Raises:
        ValueError: there is no such split; the message lists those there are.
    """
    if split not in manifest.splits:
        raise ValueError(f"{locate(directory)} has no split {split!r}: it has {', '.join(manifest.splits)}")
    return manifest.splits[split]


def _version(splits: Mapping[str, Split]) -> int:
    return VERSION if any(split.keep for split in splits.values()) else 1


def _described(split: Split) -> dict[str, str]:
    return {field: value for field, value in asdict(split).items() if value or field != "keep"}


def _check_vocabulary(texts: TextStore, vocabulary: Vocabulary, where: str) -> None:
    if texts.vocabulary != vocabulary:
        raise ValueError(
            f"{texts.location} was written with another vocabulary ({texts.vocabulary.size} entries) than {where} "
            f"names ({vocabulary.size} entries): import the texts again"
        )


def write_text(path: Path, text: str) -> None:
    """Write beside and rename, so that a reader never sees half a file."""
    beside = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
