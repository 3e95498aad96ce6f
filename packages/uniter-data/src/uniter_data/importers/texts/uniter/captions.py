"""Captions of the released databases, for pre-training and for retrieval."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from uniter_data.annotations.fields import Fields
from uniter_data.importers.texts.captions import Caption, CaptionOptions, CaptionReport, CaptionSource
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.importing import import_captions
from uniter_data.importers.texts.uniter.database import TextDatabase, pieces
from uniter_data.importers.texts.uniter.images import images_of
from uniter_data.importers.texts.uniter.sentences import Sentences
from uniter_data.tokenizer import Tokenizer

__all__ = ["Splits", "import_caption_databases"]

Splits = dict[str, list[TextDatabase]]


def import_caption_databases(
    out: str | Path, splits: Splits, name: str, tokenizer: Tokenizer, options: CaptionOptions
) -> CaptionReport:
    """Import databases of captions as a data set of pairs.

    Args:
        out: the data set to write.
        splits: the databases of each.
        name: of the data set.
        tokenizer: of the word pieces.
        options: see `CaptionOptions`.

    Raises:
        ValueError: see `import_captions`.
    """
    databases = [database for of_split in splits.values() for database in of_split]
    source = CaptionSource(
        name=name,
        source="released with UNITER (Chen et al., ECCV 2020): " + ", ".join(d.folder.name for d in databases),
        files=[path for database in databases for path in database.files("id2len.json")],
        captions=partial(_captions, splits, tokenizer),
    )
    return import_captions(out, source, replace(options, tokenizer=tokenizer))


def _captions(splits: Splits, tokenizer: Tokenizer, damages: Damages) -> Iterator[Caption]:
    for split, databases in splits.items():
        for database in databases:
            sentences = Sentences(database, "caption", tokenizer)
            records = database.records(database.lengths(), damages)
            yield from damages.sift(partial(_caption, split, sentences), records)


def _caption(split: str, sentences: Sentences, record: tuple[str, int, Fields]) -> Caption:
    name, length, fields = record
    return Caption(
        id=name,
        source=fields.where,
        split=split,
        sentence=sentences.of(fields),
        image=images_of(fields, count=1)[0],
        pieces=pieces(fields, count=length),
    )
