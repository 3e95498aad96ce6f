"""Whether the given vocabulary is that of a released database."""

import json
from collections.abc import Sequence

from uniter_data.importers.texts.uniter.database import TextDatabase
from uniter_data.tokenizer import Tokenizer

__all__ = ["ADDED", "fitting_tokenizer"]

ADDED = tuple(f"[vcr {number}]" for number in range(81))  # pieces of the VCR databases; what they name is not published


def fitting_tokenizer(databases: Sequence[TextDatabase], given: Tokenizer | None, *, added: bool) -> Tokenizer:
    """The tokenizer of some databases, whose word pieces are kept as they come.

    Args:
        databases: of one data set.
        given: BERT's vocabulary.
        added: whether they use `ADDED`, which are then put behind the vocabulary's own pieces.

    Raises:
        ValueError: none is given, or a database was made with another one; the message says with which.
    """
    for database in databases:
        meta = database.meta
        said = f"{database.folder}/meta.json says {meta.tokenizer or 'no name'}"
        remedy = f"give the vocab.txt of that vocabulary with --vocab, and --cased if it is cased ({said})"
        if given is None:
            raise ValueError(f"vocab: the word pieces of the database are numbers of a BERT vocabulary: {remedy}")
        own = given.vocabulary
        expected = {
            "[CLS]": (meta.cls_id, own.cls_id),
            "[SEP]": (meta.sep_id, own.sep_id),
            "[MASK]": (meta.mask_id, own.mask_id),
            "[UNK]": (meta.unk_id, own.unk_id),
            "the range of words": (meta.words, own.random_range),
        }
        for what, (wanted, got) in expected.items():
            if wanted != got:
                raise ValueError(f"vocab: expected {wanted} for {what}, got {got}: {remedy}")
        cased = {"cased": True, "uncased": False}.get(meta.tokenizer.rpartition("-")[2])
        if cased is not None and cased is _lowers(given):
            raise ValueError(f"vocab: expected it {'cased' if cased else 'not cased'}: {remedy}")
    if given is None:
        raise ValueError("expected at least one database, got none")
    return given.extended(ADDED) if added and given.vocabulary.size == given.vocabulary.random_range[1] else given


def _lowers(tokenizer: Tokenizer) -> bool:
    normalizer = json.loads(tokenizer.json).get("normalizer") or {}
    return bool(normalizer.get("lowercase"))
