"""Reading a store of sentences."""

# T texts, U images they name, W word pieces of a text (without [CLS] and [SEP])

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniter_core import Vocabulary
from uniter_data.stores.group import TEXTS, StoredGroup
from uniter_data.stores.rows import Rows

__all__ = ["TextStore"]


class TextStore:
    """A published text store, local or remote. Pickles as its path: the process that receives it opens it anew.

    Args:
        path: folder or URL.

    Attributes:
        offsets: (T + 1,) where each text's pieces begin.
        token_ids: rows int32, an entry a word piece.
        gold: rows int16, the gold region of each piece, -1 for none; None if the store has none.
        kinds: rows uint8, the kind of each piece's word; None if the store has none.
        image_index: (T,) which of `image_names` a text describes.
        groups: (T,) number of the group a text's image belongs to.

    Raises:
        ValueError: it is missing, foreign, too new or cut short; the message names the file.
    """

    def __init__(self, path: str | Path) -> None:
        group = StoredGroup(path, TEXTS)
        self.location = group.location
        self.attributes = group.attributes
        self.vocabulary = Vocabulary.from_dict(group.attribute("vocabulary"))
        self.offsets: NDArray[np.int64] = group.numbers("offsets")
        self.token_ids: Rows = group.rows("token_ids")
        self.gold: Rows | None = group.rows("gold") if "gold" in group.attribute("annotations") else None
        self.kinds: Rows | None = group.rows("kinds") if "kinds" in group.attribute("annotations") else None
        self.image_index: NDArray[np.int64] = group.numbers("image_index")
        self.groups: NDArray[np.int64] = group.numbers("groups")
        self._group = group
        self._check()

    @property
    def num_texts(self) -> int:
        """T."""
        return len(self.image_index)

    @cached_property
    def image_names(self) -> NDArray[Any]:
        """(U,) ids of the images that are named."""
        return self._group.strings("image_ids")

    @cached_property
    def image_ids(self) -> NDArray[Any]:
        """(T,) id of each text's image."""
        return self.image_names[self.image_index]

    @cached_property
    def text_ids(self) -> NDArray[Any]:
        """(T,)."""
        return self._group.strings("text_ids")

    @cached_property
    def sentences(self) -> NDArray[Any]:
        """(T,) as they were written."""
        return self._group.strings("sentences")

    def __reduce__(self) -> tuple[type["TextStore"], tuple[str]]:
        return TextStore, (self.location,)

    def _check(self) -> None:
        total = int(self.offsets[-1]) if len(self.offsets) else -1
        expected = {
            "offsets": (self.offsets.shape, (self.num_texts + 1,)),
            "groups": (self.groups.shape, (self.num_texts,)),
            "token_ids": (self.token_ids.shape, (total,)),
        }
        for name in ("gold", "kinds"):
            rows: Rows | None = getattr(self, name)
            if rows:
                expected[name] = (rows.shape, (total,))
        for name, (found, wanted) in expected.items():
            if found != wanted:
                raise ValueError(f"{self.location}/{name} has shape {found}, expected {wanted}: write the store again")
        if (self.offsets[1:] < self.offsets[:-1]).any() or self.offsets[0] != 0:
            raise ValueError(f"{self.location}/offsets must rise from 0: copy or write the store again")
