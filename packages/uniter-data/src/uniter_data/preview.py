"""A contact sheet of a data set: pictures, their regions, and sentences whose words have their regions' colours.

R regions of an image, T its texts.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from uniter_core import key_of, permutation
from uniter_data.contact_sheet import COLOURS, Card, blank, draw_sheet, fitted, wrapped
from uniter_data.pairs import PairDataset
from uniter_data.stores.locations import join, read_text
from uniter_data.tokenizer import Tokenizer

__all__ = ["draw_preview"]

SENTENCES = 5


def draw_preview(dataset: PairDataset, path: str | Path, *, count: int = 12, seed: int = 0) -> Path:
    """Draw some images of a data set with their regions and sentences.

    Where words have gold links, regions that a sentence names have a colour, and so do the words; the others are thin
    and white. Without gold links every region has a colour. Images without a picture are drawn as an empty canvas.

    Args:
        dataset: to look at.
        path: of the PNG to write.
        count: images, at most as many as there are.
        seed: which ones.

    Returns:
        The path.

    Raises:
        ValueError: `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"count: expected at least 1, got {count}")
    images = np.unique(dataset.image_rows)
    chosen = images[permutation(key_of(seed, "preview"), len(images))[:count].numpy()]
    tokenizer = Tokenizer(read_text(join(dataset.directory, "tokenizer.json")))
    cards = [_card(dataset, int(row), tokenizer) for row in chosen]
    title = f"{dataset.name} · {dataset.split}"
    facts = f"{len(dataset):,} pairs · {len(images):,} images · {dataset.region_dim} features a region"
    return draw_sheet(cards, path, title=title, facts=facts)


# ---------------------------------------------------------------------------------------------------------------------


def _card(dataset: PairDataset, row: int, tokenizer: Tokenizer) -> Card:
    texts = np.flatnonzero(dataset.image_rows == row)
    shown = texts[:SENTENCES].tolist()
    boxes = dataset.sample(shown[0]).region_boxes[:, :4].numpy()
    links = [_links(dataset, index, tokenizer) for index in shown]
    named = dict.fromkeys(region for words in links for _, region in words if region >= 0)  # in order of first mention
    colours: list[str | None] = [None] * len(boxes)
    for place, region in enumerate(named if dataset.has_gold else range(len(boxes))):
        colours[region] = COLOURS[place % len(COLOURS)]
    return Card(
        picture=_picture(dataset, shown[0], row),
        boxes=boxes,
        colours=colours,
        sentences=[wrapped(words) for words in links],
        left_out=len(texts) - len(shown),
    )


def _links(dataset: PairDataset, index: int, tokenizer: Tokenizer) -> list[tuple[str, int]]:
    """The words of a sentence, each with the region it names, or -1."""
    words = dataset.sentence(index).split()
    regions = [-1] * len(words)
    gold = dataset.sample(index).gold_regions
    if gold is not None:
        pieces = zip(tokenizer.encode(dataset.sentence(index)).word_of_piece, gold[1:-1].tolist(), strict=False)
        for word, region in pieces:
            regions[word] = max(regions[word], region)
    return list(zip(words, regions, strict=True))


def _picture(dataset: PairDataset, index: int, row: int) -> Image.Image:
    """The picture, or an empty canvas of its proportions, as large as a card has room for."""
    width, height = dataset.regions.image_sizes[row].tolist()
    return fitted(dataset.picture(index) or blank(width, height))
