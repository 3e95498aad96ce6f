"""A text database as released: a folder of an LMDB file, whose values are LZ4 frames of MessagePack, and JSON files.

`id2len.json` says which examples there are, in which order, and how many word pieces each has; `meta.json` the special
ids of the vocabulary.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from uniter_data.annotations.fields import Fields
from uniter_data.annotations.json_stream import read_members
from uniter_data.importers.lmdb_file import LmdbFile, open_lmdb
from uniter_data.importers.plain_msgpack import require_library, unpack
from uniter_data.importers.texts.damage import Damages

__all__ = ["Meta", "TextDatabase", "pieces"]

DATA = "data.mdb"
MOST_PIECES = 1 << 24  # of any vocabulary
LARGEST = 1 << 24  # bytes of a record: a frame of some bytes may claim to hold gigabytes


@dataclass(frozen=True, kw_only=True)
class Meta:
    """What meta.json says.

    Attributes:
        tokenizer: its name, such as "bert-base-cased"; empty if it is not said.
        cls_id, sep_id, mask_id, unk_id: of [CLS], [SEP], [MASK], [UNK].
        words: (first, end) of the ids from which random words are drawn; VCR's further pieces begin at `end`.
    """

    tokenizer: str
    cls_id: int
    sep_id: int
    mask_id: int
    unk_id: int
    words: tuple[int, int]


class TextDatabase:
    """One released text database.

    Args:
        folder: such as `pretrain_coco_train.db`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._library = require_library("lz4.frame")

    @property
    def name(self) -> str:
        """The folder's name without suffix."""
        return self.folder.name.removesuffix(".db")

    @cached_property
    def meta(self) -> Meta:
        """What meta.json says.

        Raises:
            ValueError: it cannot be read, or a field is wrong.
        """
        path = self.folder / "meta.json"
        try:
            fields = Fields(json.loads(path.read_text(encoding="utf-8")), str(path))
        except OSError as error:
            raise ValueError(f"{path} cannot be read ({error.strerror}): copy the whole database") from error
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{path} is no JSON ({error}): copy it again") from error
        first, end = (int(number) for number in fields.numbers("v_range", count=2))
        names = (fields.raw.get(key) for key in ("bert", "toker", "tokenizer"))
        return Meta(
            tokenizer=next((name for name in names if isinstance(name, str)), ""),
            cls_id=fields.integer("CLS"),
            sep_id=fields.integer("SEP"),
            mask_id=fields.integer("MASK"),
            unk_id=fields.integer("UNK"),
            words=(first, end),
        )

    def files(self, *names: str) -> list[Path]:
        """Those that are read: the database, meta.json, and these."""
        return [self.folder / name for name in (DATA, "meta.json", *names)]

    def lengths(self, name: str = "id2len.json") -> Iterator[tuple[str, int]]:
        """Id and number of word pieces of each example, in the data set's order.

        Raises:
            ValueError: the file cannot be read, or a length is no number.
        """
        path = self.folder / name
        for key, index, value in read_members(path):
            if index is not None or not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{path}: expected {{id: number of word pieces}}, got {value!r:.40} for {key!r}")
            yield key, value

    def records(self, lengths: Iterable[tuple[str, int]], damages: Damages) -> Iterator[tuple[str, int, Fields]]:
        """Id, number of word pieces and fields of some examples, in the order in which they are asked for.

        Raises:
            ValueError: the database is damaged; or, unless damaged records are left out, an example is missing or
                damaged.
        """
        with open_lmdb(self.folder) as file:
            yield from damages.sift(lambda entry: (*entry, self._fields(file, entry[0])), lengths)

    def sample(self, count: int) -> list[Fields]:
        """The first whole ones of the first `count` examples, to see what kind of database it is.

        Raises:
            ValueError: none of them is whole, or there is no example.
        """
        damages = Damages(skip=True)
        with open_lmdb(self.folder) as file:
            names = islice(file.keys(), count)
            found = list(damages.sift(lambda name: self._fields(file, name), names))
        if not found:
            raise ValueError(damages.problems[0] if damages.problems else f"{file.path} has no example: copy it again")
        return found

    def _fields(self, file: LmdbFile, name: str) -> Fields:
        where = f"{file.path}: {name!r}"
        return Fields(unpack(self._decompressed(file.get(name), where), where=where), where)

    def _decompressed(self, frame: bytes, where: str) -> bytes:
        decompressor = self._library.LZ4FrameDecompressor()
        try:
            raw: bytes = decompressor.decompress(frame, max_length=LARGEST)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise ValueError(f"{where} is no LZ4 frame ({error}): copy the database again") from error
        if not decompressor.eof or decompressor.unused_data:
            raise ValueError(f"{where}: its LZ4 frame is cut short, or larger than {LARGEST:,} bytes: copy it again")
        return raw


def pieces(fields: Fields, name: str = "input_ids", *, count: int | None = None) -> tuple[int, ...]:
    """The word pieces of a field, `count` of them if that is given.

    Raises:
        ValueError: they are no such list of ids.
    """
    ids = fields.items(name)
    if not ids or not all(type(number) is int and 0 <= number < MOST_PIECES for number in ids):
        fields.fail(name, "a list of ids of word pieces", ids)
    if count is not None and len(ids) != count:
        fields.fail(name, f"the {count} word pieces that id2len.json says", ids)
    return tuple(ids)
