"""Draws cards on a sheet: a picture with its regions' boxes, and below it sentences with words in the boxes' colours.

R regions of a picture. Lengths are pixels of the sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "CARD",
    "COLOURS",
    "COLUMNS",
    "GUTTER",
    "MARGIN",
    "PADDING",
    "Card",
    "blank",
    "draw_sheet",
    "fitted",
    "wrapped",
]

COLUMNS = 4
CARD = 340  # width of a card's content
TALLEST = 460
PADDING = 14
GUTTER = 18
MARGIN = 32
TITLE = 76
LINE = 21
TEXT_SIZE = 15
AROUND = np.array([-2, -2, 2, 2])  # boxes are drawn around what they hold

PAPER, CARD_PAPER, CARD_EDGE = "#eceef1", "#ffffff", "#dfe2e7"
INK, PALE, BLANK = "#2b3038", "#7d8694", "#f4f5f7"
UNNAMED = (255, 255, 255, 170)
# Told apart from one another as lines on a picture and as words on white.
COLOURS = (
    "#d62f4b", "#1769c8", "#0f8a4a", "#b35c00", "#7b3fc4", "#00858c",
    "#c22f98", "#5c6b00", "#8a4b2a", "#3f4fd0", "#a8323e", "#39736b",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is drawn of one image.

    Attributes:
        picture: as large as it is drawn.
        boxes: (R, 4) in the unit square.
        colours: of each region, and of words that name none of them; None for a region that no sentence names.
        sentences: lines of (word, region or -1) for each sentence.
        left_out: sentences that are not shown.
    """

    picture: Image.Image
    boxes: NDArray[np.float32]
    colours: list[str | None]
    sentences: list[list[list[tuple[str, int]]]]
    left_out: int

    @property
    def text_height(self) -> int:
        return sum(LINE * len(lines) + LINE // 3 for lines in self.sentences) + LINE * bool(self.left_out)


def draw_sheet(cards: Sequence[Card], path: str | Path, *, title: str, facts: str) -> Path:
    """Draw a PNG of cards in columns.

    Args:
        cards: at least one.
        path: of the PNG to write.
        title: in large letters.
        facts: below it.

    Returns:
        The path.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sheet(cards, title, facts).save(target, format="PNG")
    return target


def blank(width: int, height: int) -> Image.Image:
    """An empty canvas in place of a picture that is not there; small where its size is unknown."""
    return Image.new("RGB", (max(width, 1), max(height, 1)) if width and height else (1, 1), BLANK)


def fitted(picture: Image.Image, width: int = CARD) -> Image.Image:
    """The picture as large as a card has room for."""
    scale = min(width / picture.width, TALLEST / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def wrapped(words: Sequence[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """The words in lines that are no wider than a card."""
    lines: list[list[tuple[str, int]]] = [[]]
    used = 0.0
    for whole, region in words:
        word = _shortened(whole)
        width = _width(word)
        if lines[-1] and used + width > CARD:
            lines.append([])
            used = 0.0
        lines[-1].append((word, region))
        used += width + _width(" ")
    return lines


# ---------------------------------------------------------------------------------------------------------------------


def _shortened(word: str) -> str:
    """The word, or as much of its beginning as fits on a line."""
    if _width(word) <= CARD:
        return word
    fits = next(length for length in range(len(word) - 1, 0, -1) if _width(word[:length] + "…") <= CARD)
    return word[:fits] + "…"


def _sheet(cards: Sequence[Card], title: str, facts: str) -> Image.Image:
    columns = min(COLUMNS, len(cards))
    rows = [cards[start : start + columns] for start in range(0, len(cards), columns)]
    # a row is as high as its tallest card; pictures of one row share a baseline for their texts
    heights = [
        (max(card.picture.height for card in row), max(card.text_height for card in row) + LINE // 2) for row in rows
    ]
    step = CARD + 2 * PADDING + GUTTER
    width = 2 * MARGIN + columns * step - GUTTER
    height = 2 * MARGIN + TITLE + sum(picture + text + 2 * PADDING + GUTTER for picture, text in heights) - GUTTER
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN - 6), title, fill=INK, font=_font(30))
    pen.text((MARGIN, MARGIN + 34), facts, fill=PALE, font=_font(16))
    top = MARGIN + TITLE
    for row, (picture_height, text_height) in zip(rows, heights, strict=True):
        for column, card in enumerate(row):
            left = MARGIN + column * step
            bottom = top + 2 * PADDING + picture_height + text_height
            edges = (left, top, left + CARD + 2 * PADDING, bottom)
            pen.rounded_rectangle(edges, radius=10, fill=CARD_PAPER, outline=CARD_EDGE)
            _draw_picture(sheet, card, (left + PADDING, top + PADDING), picture_height)
            _draw_sentences(pen, card, (left + PADDING, top + PADDING + picture_height + LINE // 2))
        top += 2 * PADDING + picture_height + text_height + GUTTER
    return sheet


def _draw_picture(sheet: Image.Image, card: Card, corner: tuple[int, int], height: int) -> None:
    """The picture in the middle of its room, its regions' boxes over it; those with a colour last."""
    picture = card.picture.copy()
    pen = ImageDraw.Draw(picture, "RGBA")
    order = sorted(range(len(card.boxes)), key=lambda region: card.colours[region] is not None)
    for region in order:
        box = card.boxes[region] * np.array([picture.width, picture.height] * 2) + AROUND
        x1, y1, x2, y2 = np.clip(box, 0, np.array([picture.width - 1, picture.height - 1] * 2)).tolist()
        edges = (x1, y1, max(x1 + 2, x2), max(y1 + 2, y2))
        colour = card.colours[region]
        if colour is None:
            pen.rectangle(edges, outline=(0, 0, 0, 60), width=2)
            pen.rectangle(edges, outline=UNNAMED, width=1)
        else:
            pen.rounded_rectangle(edges, radius=3, outline=(255, 255, 255, 200), width=4)
            pen.rounded_rectangle(edges, radius=3, outline=colour, width=3)
    left, top = corner
    sheet.paste(picture, (left + (CARD - picture.width) // 2, top + (height - picture.height) // 2))


def _draw_sentences(pen: ImageDraw.ImageDraw, card: Card, corner: tuple[int, int]) -> None:
    left, y = corner
    for lines in card.sentences:
        for line in lines:
            x = float(left)
            for place, (word, region) in enumerate(line):
                colour = card.colours[region] if region >= 0 else None
                pen.text((x, y), word, fill=colour or INK, font=_font(TEXT_SIZE))
                after = x + _width(word)
                if colour:
                    joined = place + 1 < len(line) and line[place + 1][1] == region
                    pen.line(
                        (x, y + LINE - 3, after + (_width(" ") if joined else 0), y + LINE - 3), fill=colour, width=2
                    )
                x = after + _width(" ")
            y += LINE
        y += LINE // 3
    if card.left_out:
        pen.text((left, y), f"and {card.left_out} more", fill=PALE, font=_font(TEXT_SIZE))


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _width(text: str) -> float:
    return float(_font(TEXT_SIZE).getlength(text))
