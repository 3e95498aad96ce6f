"""Leaving out the texts whose picture could not be read: a pair without regions cannot be trained on."""

# T texts, W word pieces of a text

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from uniter_data.stores import RegionStore, TextStore, TextWriter, read_manifest, write_dataset
from uniter_data.stores.manifest import rewrite_manifest
from uniter_data.stores.rows import Rows
from uniter_data.tokenizer import Tokenizer

__all__ = ["drop_orphans"]


def drop_orphans(directory: Path, regions: Path) -> int:
    """Write the text stores of a region store's splits again without the texts whose image it lacks.

    The data set is whole at every moment: the new stores lie beside the old ones until dataset.json names them.

    Args:
        directory: of the data set.
        regions: a region store of it.

    Returns:
        Texts left out.
    """
    manifest = read_manifest(directory)
    store = RegionStore(regions)
    tokenizer = Tokenizer.from_file(directory / "tokenizer.json")
    splits, replaced, dropped = dict(manifest.splits), [], 0
    for name, split in manifest.splits.items():
        if directory / split.regions != regions:
            continue
        texts = TextStore(directory / split.texts)
        keep = store.find(texts.image_names)[texts.image_index] >= 0
        if keep.all():
            continue
        kept = Path(split.texts).with_suffix(".kept.zarr")
        _rewrite(texts, keep, directory / kept, tokenizer)
        splits[name] = replace(split, texts=str(kept))
        replaced.append(directory / split.texts)
        dropped += int((~keep).sum())
    if replaced:
        write_dataset(
            directory,
            name=manifest.name,
            splits=splits,
            tokenizer=tokenizer,
            source=manifest.source,
            licence=manifest.licence,
        )
        if manifest.audit:  # what leaked before does so still
            rewrite_manifest(directory, directory, audit=manifest.audit)
    for path in replaced:
        shutil.rmtree(path)
    return dropped


def _rewrite(texts: TextStore, keep: np.ndarray, path: Path, tokenizer: Tokenizer) -> None:
    """A text store with some of the texts of another; a rewriting that was killed goes on."""
    shutil.rmtree(path, ignore_errors=True)
    settings = texts.attributes
    with TextWriter(
        path,
        tokenizer=tokenizer,
        max_tokens=settings["max_tokens"],
        truncate=settings["truncate"],
        attributes=settings.get("attributes"),
    ) as writer:
        for row in np.flatnonzero(keep).tolist():
            text, image, group = str(texts.text_ids[row]), str(texts.image_ids[row]), str(texts.groups[row])
            if text in writer.done:
                continue
            sentence = str(texts.sentences[row])
            if texts.gold is None and texts.kinds is None:
                # as they are: a released database's pieces need not be what this tokenizer makes of the sentence
                pieces = _of_pieces(texts, texts.token_ids, row)
                writer.append_pieces(text, pieces, image, sentence=sentence, group=group)
                continue
            words = tokenizer.encode(sentence).word_of_piece
            gold = _of_words(texts, texts.gold, row, words, len(sentence.split()), -1)
            kinds = _of_words(texts, texts.kinds, row, words, len(sentence.split()), 0)
            writer.append(text, sentence, image, group=group, gold=gold, kinds=kinds)
        writer.dropped, writer.truncated = settings["dropped"], settings["truncated"]
        writer.publish()


def _of_pieces(texts: TextStore, rows: Rows, text: int) -> list[int]:
    """The values of a text's word pieces."""
    values: list[int] = rows.read(texts.offsets[text : text + 1], texts.offsets[text + 1 : text + 2]).tolist()
    return values


def _of_words(
    texts: TextStore, rows: Rows | None, text: int, word_of_piece: list[int], count: int, absent: int
) -> list[int] | None:
    """The values of a text's words, which the store keeps at their first pieces."""
    if rows is None:
        return None
    values = [absent] * count
    # backwards, so that a word's first piece has the last say
    for word, value in reversed(list(zip(word_of_piece, _of_pieces(texts, rows, text), strict=False))):
        values[word] = value
    return values
