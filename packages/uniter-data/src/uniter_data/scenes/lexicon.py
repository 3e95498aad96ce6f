"""The words of scenes: what names a shape, colour, texture, size or place, and how relations and counts are put."""

from uniter_data.scenes.world import COLOURS, SHAPES, SIZES_IN_PIXELS, TEXTURES

__all__ = [
    "CURTAIN",
    "NAMES",
    "NUMBERS",
    "PLACES",
    "PLURALS",
    "RELATIONS",
    "SNAP_PREFIXES",
    "SNAP_SUFFIXES",
    "TASK_WORDS",
    "every_word",
    "meaning",
]

# value of an attribute -> its words, the usual one first
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "shape": {
        "ball": ("ball", "sphere"),
        "box": ("box", "block"),
        "cone": ("cone", "funnel"),
        "star": ("star",),
        "ring": ("ring", "hoop"),
        "cross": ("cross", "plus"),
        "heart": ("heart",),
        "moon": ("moon", "crescent"),
        "kite": ("kite", "diamond"),
        "house": ("house", "cottage"),
        "tree": ("tree", "pine"),
        "fish": ("fish",),
    },
    "colour": {
        **{colour: (colour,) for colour in COLOURS},
        "purple": ("purple", "violet"),
        "turquoise": ("turquoise", "teal"),
    },
    "texture": {
        "plain": ("plain",),
        "striped": ("striped", "stripy"),
        "dotted": ("dotted", "spotted"),
        "checkered": ("checkered", "chequered"),
    },
    "size": {
        "small": ("small", "little", "tiny"),
        "medium": ("medium",),
        "large": ("large", "big", "huge"),
    },
}  # fmt: skip

PLURALS: dict[str, tuple[str, ...]] = {
    shape: tuple(
        {"box": "boxes", "cross": "crosses", "plus": "pluses", "fish": "fish"}.get(name, name + "s") for name in names
    )
    for shape, names in NAMES["shape"].items()
}

CURTAIN = ("curtain", "drape")

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

# (row, column) of a 3 x 3 grid -> phrasings
PLACES: dict[tuple[int, int], tuple[str, ...]] = {
    (0, 0): ("at the top left", "at the upper left", "in the top left corner"),
    (0, 1): ("at the top", "near the top", "at the upper edge"),
    (0, 2): ("at the top right", "at the upper right", "in the top right corner"),
    (1, 0): ("on the left", "at the left edge", "on the left side"),
    (1, 1): ("in the middle", "in the centre", "at the centre"),
    (1, 2): ("on the right", "at the right edge", "on the right side"),
    (2, 0): ("at the bottom left", "at the lower left", "in the bottom left corner"),
    (2, 1): ("at the bottom", "near the bottom", "at the lower edge"),
    (2, 2): ("at the bottom right", "at the lower right", "in the bottom right corner"),
}

RELATIONS: dict[str, tuple[str, ...]] = {
    "left": ("to the left of", "left of", "on the left of"),
    "right": ("to the right of", "right of", "on the right of"),
    "above": ("above", "over", "higher than", "further up than"),
    "below": ("below", "under", "lower than", "further down than"),
    "near": ("next to", "near", "close to", "beside"),
}

SNAP_PREFIXES = (
    "", "", "", "", "", "stock photo of", "picture of the day:", "look:", "my favourite:", "just found",
    "a photo of", "wow,", "image may contain", "for sale:", "close up of", "vintage postcard with",
)  # fmt: skip
SNAP_SUFFIXES = (
    "", "", "", "", "", "", "on a sunny day", "taken last summer", "for my collection", "by an unknown artist",
    "at home", "love it", "from our holiday", "in high resolution", "on a wall",
)  # fmt: skip

# said by annotations alone, never by captions
TASK_WORDS = (
    "all", "as", "both", "colour", "do", "does", "either", "exactly", "has", "have", "how", "least", "many", "more",
    "neither", "object", "pictures", "same", "shape", "show", "shows", "texture", "thing", "what", "which", "you",
    "?", ".",
)  # fmt: skip

_MEANINGS = {
    word: (attribute, value) for attribute, values in NAMES.items() for value, words in values.items() for word in words
}


def meaning(word: str) -> tuple[str, str] | None:
    """The attribute and value that a word in the singular says, or None.

    >>> meaning("teal"), meaning("the")
    (('colour', 'turquoise'), None)
    """
    return _MEANINGS.get(word)


def every_word() -> tuple[str, ...]:
    """All words that name things, places, relations and numbers, and all that only annotations say, in order.

    >>> {"teal", "crescents", "what"} <= set(every_word())
    True
    """
    phrasings = [text for options in (*PLACES.values(), *RELATIONS.values()) for text in options]
    words = {word for text in phrasings for word in text.split()}
    words |= {*_MEANINGS, *CURTAIN, *NUMBERS, *TASK_WORDS, *(word for words in PLURALS.values() for word in words)}
    return tuple(sorted(words))


if (
    set(NAMES["shape"]) != set(SHAPES)
    or set(NAMES["texture"]) != set(TEXTURES)
    or set(NAMES["size"]) != set(SIZES_IN_PIXELS)
):
    raise RuntimeError("every attribute of the world needs its words")
