"""An audit as files: `audit.json` for programs, `audit.md` for people. Both name every image, and no date or place."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uniter_data.splits.findings import Audit, Leak, Looked
from uniter_data.splits.rules import RULES
from uniter_data.stores.manifest import write_text

__all__ = ["JSON", "MARKDOWN", "as_json", "as_markdown", "summary", "write_report"]

JSON, MARKDOWN = "audit.json", "audit.md"
FORMAT, VERSION = "uniter-audit", 1

METHOD = """\
An image of a source leaks if it is a picture of an evaluation split: if both have one **COCO id**, one **Flickr id**,
one **URL**, or one **own name** in NLVR2, VCR or a collection that was named; if a catalogue says so (**genome id**:
Visual Genome's `image_data.json`); or if the hashes of the two pictures (**picture hash**: 64 bits of a discrete
cosine transform) differ in at most {distance} bits. Links follow each other through all sources and splits; one step
of a chain at most goes by hashes. An image is counted under one rule of its chain: the first of picture hash, genome
id, flickr id, url, coco id, own name. Two images with different ids of one catalogue (COCO, Visual Genome, Flickr, VCR)
are two pictures, whatever their hashes say."""


def write_report(folder: Path, audit: Audit, *, filtered: bool = False) -> None:
    """Write both files.

    Args:
        folder: where.
        audit: to be written.
        filtered: whether the images that leak were left out of what lies beside the report.
    """
    write_text(folder / JSON, as_json(audit, filtered=filtered))
    write_text(folder / MARKDOWN, as_markdown(audit, filtered=filtered))


def as_json(audit: Audit, *, filtered: bool = False) -> str:
    """The audit for programs."""
    raw: dict[str, Any] = {"format": FORMAT, "version": VERSION, "filtered": filtered, "uniter_data": audit.version}
    raw |= {name: value for name, value in asdict(audit).items() if name not in ("version", "leaks")}
    raw["counts"] = [
        {"source": source, "rule": rule, "downstream": split, "images": images, "texts": texts}
        for (source, rule, split), (images, texts) in _counts(audit.leaks).items()
    ]
    raw["leaks"] = [asdict(leak) for leak in audit.leaks]
    return json.dumps(raw, indent=1, ensure_ascii=False) + "\n"


def summary(audit: Audit) -> str:
    """What was found, in a line a source."""
    return "\n".join(
        f"{source.name}: {source.leaking_images:,} of {source.images:,} images are pictures of evaluation splits, with "
        f"{source.leaking_texts:,} of {source.texts:,} texts; {_not_compared(audit, source):,} images could not be "
        "compared with every split"
        for source in audit.sources
    )


def as_markdown(audit: Audit, *, filtered: bool = False) -> str:
    """The audit for people."""
    return "\n".join(_lines(audit, filtered)) + "\n"


# ---------------------------------------------------------------------------------------------------------------------


def _lines(audit: Audit, filtered: bool) -> Iterator[str]:
    yield "# Audit: evaluation images among pre-training images"
    yield from ("", summary(audit).replace("\n", "  \n"), "")
    if filtered:
        yield from (
            "They were left out of the data sets beside this report; those listed here are in them no more.",
            "",
        )
    yield from ("## What leaks", "")
    counts = _counts(audit.leaks)
    yield from _table(
        ("source", "rule", "evaluation split", "images", "texts"),
        ((*key, f"{images:,}", f"{texts:,}") for key, (images, texts) in counts.items()),
        "Nothing that could be compared.",
    )
    yield from ("An image that is in several splits is counted in each.", "") if counts else ("",)
    yield from ("## What was compared", "")
    yield from (
        "Two images can be compared if both have ids of one catalogue, or hashes (not if both have URLs, or names in",
        "NLVR2: one picture may have two). An image of a source that could be compared with none of a split's, or with",
        "some only, **may leak without being found**.",
        "",
    )
    yield from _table(
        ("source", "evaluation split", "with every image", "with some", "with none"),
        ((c.source, c.downstream, f"{c.whole:,}", f"{c.part:,}", f"{c.none:,}") for c in audit.compared),
        "",
    )
    yield from ("## What was known of the images", "")
    yield from _table(
        ("images of", "images", "ids known", "hashed", "too plain to hash", "unreadable", "nothing known"),
        map(_known, (*audit.sources, *audit.downstream)),
        "",
    )
    yield from ("## How", "", METHOD.format(distance=audit.distance), "")
    yield from (f"uniter-data {audit.version}. sha256 of what was read:", "")
    yield from _table(("", "sha256"), _digests(audit), "")
    yield from ("## Each image", "")
    yield from _table(
        ("image", "texts", "rule", "is", "chain of links"),
        (
            (f"{leak.source}/{leak.image}", str(leak.texts), leak.rule, f"{leak.downstream}/{leak.evaluation_image}",
             _chain(leak))
            for leak in audit.leaks
        ),
        "None.",
    )  # fmt: skip


def _counts(leaks: Iterable[Leak]) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Images and texts by source, rule and split."""
    images: Counter[tuple[str, str, str]] = Counter()
    texts: Counter[tuple[str, str, str]] = Counter()
    for leak in leaks:
        key = leak.source, leak.rule, leak.downstream
        images[key] += 1
        texts[key] += leak.texts
    order = sorted(images, key=lambda key: (key[0], RULES.index(key[1]), key[2]))
    return {key: (images[key], texts[key]) for key in order}


def _not_compared(audit: Audit, source: Looked) -> int:
    """Images of a source that some split could not be compared with whole: at least as many as with the worst split."""
    return max((c.part + c.none for c in audit.compared if c.source == source.name), default=0)


def _known(looked: Looked) -> tuple[str, ...]:
    ids = ", ".join(f"{name} {count:,}" for name, count in looked.ids.items()) or "none"
    numbers = (looked.hashed, looked.plain, looked.unreadable, looked.unknown)
    return looked.name, f"{looked.images:,}", ids, *(f"{number:,}" for number in numbers)


def _digests(audit: Audit) -> Iterator[tuple[str, str]]:
    for looked in (*audit.sources, *audit.downstream):
        yield f"ids and numbers of texts of {looked.name}", looked.digest
        if looked.pictures:
            yield f"hashes of pictures of {looked.name}", looked.pictures
    for file in audit.files:
        yield f"{file['name']} ({file['of']}), {file['bytes']:,} bytes", file["sha256"]


def _chain(leak: Leak) -> str:
    parts = [leak.chain[0].one]
    for step in leak.chain:
        parts.append(f"= {step.other} ({step.evidence})")
    return " ".join(parts)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], empty: str) -> Iterator[str]:
    body = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    if not body:
        yield from (empty, "")
        return
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from body
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
