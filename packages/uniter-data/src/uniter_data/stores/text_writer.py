"""Writing a store of sentences that name the images they describe, sentence after sentence, resumably."""

# T texts, W word pieces of a text (without [CLS] and [SEP])

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import zarr

from uniter_data.stores.group import STRINGS, TEXTS, VERSION, as_strings, create_strings, write_strings
from uniter_data.stores.id_set import IdSet
from uniter_data.stores.journal import Journal
from uniter_data.stores.layout import RowLayout
from uniter_data.stores.shards import ShardWriter, write_rows
from uniter_data.tokenizer import Encoding, Tokenizer

__all__ = ["TextWriter"]

BLOCK = 1024  # records between two writes to the journal


class TextWriter:
    """Writes a text store beside its path and publishes it by a rename.

    A writer opened on a path whose writing was interrupted goes on: `done` holds the texts that are written or dropped.

    Args:
        path: of the store, usually `….zarr`.
        tokenizer: makes the word pieces.
        max_tokens: longest sentence in word pieces, [CLS] and [SEP] not counted (released: 60).
        truncate: keep the head of longer sentences; otherwise they are dropped and counted, as released.
        attributes: whatever else to keep, plain JSON values.

    Raises:
        ValueError: the store exists already, or was begun with other settings.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        tokenizer: Tokenizer,
        max_tokens: int = 60,
        truncate: bool = False,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        if max_tokens < 1:
            raise ValueError(f"max_tokens: expected at least 1, got {max_tokens}")
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.truncate = truncate
        self.dropped = 0
        self.truncated = 0
        self._settings = {
            "format": TEXTS,
            "version": VERSION,
            "vocabulary": tokenizer.vocabulary.to_dict(),
            "max_tokens": max_tokens,
            "truncate": truncate,
            "attributes": dict(attributes or {}),
        }
        self._journal = Journal(path, self._settings)
        self._waiting: list[list[Any]] = []
        self.done = IdSet()
        self._kept = 0
        self._optional = {"gold": False, "kinds": False}
        for record in self._journal.records():
            self._count(record)

    def append(
        self,
        text_id: str,
        sentence: str,
        image_id: str,
        *,
        group: str | None = None,
        gold: Sequence[int] | None = None,
        kinds: Sequence[int] | None = None,
    ) -> None:
        """Append a sentence; one that is too long is dropped and counted, or cut.

        Args:
            text_id: unique in the store.
            sentence: as people write it; whitespace separates its words.
            image_id: the image it describes.
            group: images of one group are never each other's mismatched partner; default: the image is its own group.
            gold: for each word, the row of the region it names in its image, or -1; kept at the word's first piece.
            kinds: for each word, 0 function word, 1 noun, 2 other content word; kept at the word's first piece.

        Raises:
            ValueError: the id was appended before, the sentence is empty, or `gold` or `kinds` are not one a word.
            OSError: the disk is full; what was written before stays, for another try.
        """
        _check_words(text_id, "gold", gold, sentence, -1, np.iinfo(np.int16).max)
        _check_words(text_id, "kinds", kinds, sentence, 0, 2)
        encoding = self.tokenizer.encode(sentence)
        self._append(
            text_id,
            sentence,
            image_id,
            group,
            encoding.ids,
            None if gold is None else _at_first_pieces(gold, encoding, -1),
            None if kinds is None else _at_first_pieces(kinds, encoding, 0),
        )

    def append_pieces(
        self, text_id: str, pieces: Sequence[int], image_id: str, *, sentence: str, group: str | None = None
    ) -> None:
        """Append a sentence whose word pieces are known, such as those of a released database; see `append`.

        Args:
            text_id: unique in the store.
            pieces: ids of the word pieces, without [CLS] and [SEP].
            image_id: the image it describes.
            sentence: for people.
            group: images of one group are never each other's mismatched partner.

        Raises:
            ValueError: the id was appended before, there are no pieces, or one is not in the vocabulary.
        """
        size = self.tokenizer.vocabulary.size
        if pieces and not 0 <= min(pieces) <= max(pieces) < size:
            raise ValueError(f"text {text_id!r}: expected word pieces from 0 to {size - 1}, got {list(pieces)}")
        self._append(text_id, sentence, image_id, group, pieces, None, None)

    def flush(self) -> None:
        """Write what waits in memory; from then on a killed process goes on behind it."""
        waiting, self._waiting = self._waiting, []
        with self._journal.writing():
            self._journal.append(waiting)

    def publish(self) -> Path:
        """Lay the store out and move it to its path."""
        self.flush()
        with self._journal.writing():
            annotations = [name for name, given in self._optional.items() if given]
            known = {"annotations": annotations, "dropped": self.dropped, "truncated": self.truncated}
            group = self._journal.begin_group(self._settings | known)
            layout = _Publication(group, self._journal.store, texts=self._kept, optional=self._optional)
            kept = (record for record in self._journal.records() if len(record) > 1)
            try:
                while block := list(islice(kept, STRINGS)):
                    layout.append(block)
                layout.finish()
            finally:
                layout.close()
            return self._journal.publish()

    def close(self) -> None:
        """Let go of the files; what is not published can be taken up by another writer."""
        self._journal.close()

    def __enter__(self) -> "TextWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if not self._journal.failed and self._waiting:
                self.flush()
        finally:
            self.close()

    def _append(
        self,
        text_id: str,
        sentence: str,
        image_id: str,
        group: str | None,
        pieces: Sequence[int],
        gold: list[int] | None,
        kinds: list[int] | None,
    ) -> None:
        if text_id in self.done:
            raise ValueError(f"text {text_id!r} was appended before: text ids must be unique")
        if not pieces:
            raise ValueError(f"text {text_id!r}: the sentence is empty: leave the record out, or mend the source")
        most = self.max_tokens
        if len(pieces) > most and not self.truncate:
            record: list[Any] = [text_id]
        else:
            record = [
                text_id,
                sentence,
                image_id,
                image_id if group is None else group,
                list(pieces[:most]),
                None if gold is None else gold[:most],
                None if kinds is None else kinds[:most],
                int(len(pieces) > most),
            ]
        self._count(record)
        self._waiting.append(record)
        if len(self._waiting) >= BLOCK:
            self.flush()

    def _count(self, record: list[Any]) -> None:
        self.done.add(record[0])
        if len(record) == 1:
            self.dropped += 1
            return
        self._kept += 1
        self._optional["gold"] |= record[5] is not None
        self._optional["kinds"] |= record[6] is not None
        self.truncated += record[7]


def _check_words(text_id: str, name: str, values: Sequence[int] | None, sentence: str, low: int, high: int) -> None:
    """Refuse annotations that are not one a word, or not between `low` and `high`."""
    if values is None:
        return
    words = len(sentence.split())
    if len(values) != words:
        raise ValueError(
            f"text {text_id!r}: {name} must have one value for each of the {words} words, got {len(values)}"
        )
    if not all(low <= value <= high for value in values):
        raise ValueError(f"text {text_id!r}: {name} must be from {low} to {high}, got {list(values)}")


def _at_first_pieces(values: Sequence[int], encoding: Encoding, other: int) -> list[int]:
    """The words' values at their first pieces, `other` at later ones."""
    before = [-1, *encoding.word_of_piece]
    return [
        int(values[word]) if word != previous else other
        for word, previous in zip(encoding.word_of_piece, before, strict=False)
    ]


class _Publication:
    """Lays the journal's records out as arrays, block by block, so that memory does not grow with the sentences."""

    # name, column of the record, dtype, value where the text has none
    PIECES = (("token_ids", 4, "int32", 0), ("gold", 5, "int16", -1), ("kinds", 6, "uint8", 0))

    def __init__(self, group: zarr.Group, folder: Path, *, texts: int, optional: dict[str, bool]) -> None:
        self._group = group
        self._folder = folder
        self._pieces = [
            (name, column, absent, ShardWriter(folder / name, RowLayout.of(dtype)))
            for name, column, dtype, absent in self.PIECES
            if optional.get(name, True)
        ]
        self._strings = {
            column: create_strings(group, name, texts) for column, name in ((0, "text_ids"), (1, "sentences"))
        }
        self._offsets = np.zeros(texts + 1, dtype=np.int64)
        self._numbers = {column: np.zeros(texts, dtype=np.int64) for column in (2, 3)}
        self._names: dict[int, dict[str, int]] = {2: {}, 3: {}}  # image and group, numbered as they first appear
        self._texts = 0

    def append(self, block: list[list[Any]]) -> None:
        """Lay out the next texts."""
        here = slice(self._texts, self._texts + len(block))
        self._texts += len(block)
        for column, array in self._strings.items():
            array[here] = as_strings([record[column] for record in block])
        for column, names in self._names.items():
            self._numbers[column][here] = [names.setdefault(record[column], len(names)) for record in block]
        lengths = [len(record[4]) for record in block]
        self._offsets[here.start + 1 : here.stop + 1] = self._offsets[here.start] + np.cumsum(lengths)
        for _, column, absent, writer in self._pieces:
            values = [record[column] or [absent] * length for record, length in zip(block, lengths, strict=True)]
            writer.append(np.fromiter(chain.from_iterable(values), writer.layout.dtype))

    def finish(self) -> None:
        """Write what is known only at the end."""
        for name, _, _, writer in self._pieces:
            writer.layout.create(self._group, name, writer.rows)
            writer.finish()
        for name, data in (("offsets", self._offsets), ("image_index", self._numbers[2]), ("groups", self._numbers[3])):
            write_rows(self._group, self._folder, name, data)
        write_strings(self._group, "image_ids", list(self._names[2]))

    def close(self) -> None:
        """Let go of the files."""
        for _, _, _, writer in self._pieces:
            writer.close()
