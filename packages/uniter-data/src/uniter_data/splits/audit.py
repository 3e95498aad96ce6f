"""Which images of pre-training data are pictures of downstream evaluation splits (paper, A.1 and figure 4)."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from uniter_data import __version__
from uniter_data.importers.texts.importing import digests
from uniter_data.splits.chains import Pictures, Reached, find_reached
from uniter_data.splits.coverage import compare, look_at
from uniter_data.splits.cross_ids import CrossIds
from uniter_data.splits.findings import Audit, Leak, Looked
from uniter_data.splits.hashing import hash_pictures
from uniter_data.splits.image_sets import ImageSet
from uniter_data.splits.links import Links, build_links
from uniter_data.splits.rules import RULES
from uniter_data.splits.telling import Teller

__all__ = ["DISTANCE", "audit"]

Progress = Callable[[str, int, int], None]
DISTANCE = 6  # bits of 64; docs/data/splits.md shows what it finds, and what it takes for the same


def audit(
    sources: Sequence[ImageSet],
    downstream: Sequence[ImageSet],
    *,
    cross: CrossIds | None = None,
    distance: int = DISTANCE,
    workers: int = 2,
    progress: Progress = lambda what, done, total: None,
) -> Audit:
    """Look for the images of evaluation splits among those of pre-training.

    Two images are one picture if they have an id in common, or if a chain of ids that catalogues or other images link
    joins them, or if the hashes of their pictures, or of two in such a chain, differ in few bits; see `chains`.

    Args:
        sources: data sets that a model is to be pre-trained on.
        downstream: splits that it is to be evaluated on.
        cross: what catalogues say.
        distance: most bits in which the hashes of one picture differ, from 0 to 15.
        workers: threads that read and decode pictures.
        progress: called with what is done, how much of it, and of how much.

    Returns:
        What was found and what was looked at. The same inputs give the same result.

    Raises:
        ValueError: two sets have one name, or pictures cannot be hashed; see `hash_pictures`.
        OSError: a remote folder is out of reach.
    """
    cross, sets = cross or CrossIds(), (*sources, *downstream)
    _refuse_doubles(sets)
    links = build_links(sets, cross, progress=progress)
    hashed = [hash_pictures(images, workers=workers, progress=progress) for images in sets]
    pictures = Pictures.of(hashed, sources=len(sources))
    teller = Teller(links, pictures)
    ours, theirs = range(len(sources)), range(len(sources), len(sets))
    leaks: list[tuple[int, int, Leak]] = []
    for split in theirs:
        reached = find_reached(links, split, pictures, distance)
        leaks += _leaks(links, split, reached, teller, stop=int(links.firsts[len(sources)]))
        progress("following links from evaluation splits", split - len(sources) + 1, len(downstream))
    ordered = tuple(leak for _, _, leak in sorted(leaks, key=lambda found: found[:2]))
    looked = [look_at(links, number, hashed[number]) for number in (*ours, *theirs)]
    return Audit(
        version=__version__,
        distance=distance,
        sources=tuple(_with_leaks(looked[number], ordered) for number in ours),
        downstream=tuple(looked[number] for number in theirs),
        files=tuple(_files(sets, cross)),
        compared=tuple(
            compare(links, source, split, {number: hashed[number] for number in (source, split)})
            for source in ours
            for split in theirs
        ),
        leaks=ordered,
    )


# ---------------------------------------------------------------------------------------------------------------------


def _leaks(links: Links, split: int, reached: Reached, teller: Teller, *, stop: int) -> Iterator[tuple[int, int, Leak]]:
    """The images before node `stop` that were reached; each with its node and the split, which order them."""
    for node in sorted(node for node in reached.before if node < stop):
        path = reached.path(node)
        chain = teller.tell(path)
        (ours, row), (theirs, last) = links.image(node), links.image(path[-1])
        rules = Counter(step.rule for step in chain)
        yield (
            node,
            split,
            Leak(
                source=ours.name,
                image=str(ours.images[row]),
                texts=int(ours.texts[row]),
                rule=next(rule for rule in RULES if rules[rule]),
                downstream=theirs.name,
                evaluation_image=str(theirs.images[last]),
                chain=chain,
            ),
        )


def _with_leaks(source: Looked, leaks: Sequence[Leak]) -> Looked:
    texts = {leak.image: leak.texts for leak in leaks if leak.source == source.name}
    return replace(source, leaking_images=len(texts), leaking_texts=sum(texts.values()))


def _refuse_doubles(sets: Sequence[ImageSet]) -> None:
    double = [name for name, count in Counter(images.name for images in sets).items() if count > 1]
    if double:
        raise ValueError(
            f"two of the data sets and lists are called {double[0]!r}: name each once, and folders differently"
        )


def _files(sets: Sequence[ImageSet], cross: CrossIds) -> Iterator[dict[str, Any]]:
    """What was read besides the stores of the data sets, each once, and what it belongs to."""
    owners: dict[Path, str] = {}
    for images in sets:
        for path in (images.file, images.urls.path if images.urls else None):
            if path is not None:
                owners.setdefault(path, images.name)
    owners |= dict.fromkeys(cross.files, "catalogue")
    for owner, known in zip(owners.values(), digests(owners), strict=True):
        yield {"of": owner, **known}
