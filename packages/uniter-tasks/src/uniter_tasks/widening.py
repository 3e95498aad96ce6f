"""Tables of a checkpoint that have fewer rows than the data need.

V entries of the vocabulary, H hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from uniter_core import UniterConfig, Vocabulary, key_of
from uniter_core.checkpoints import ModelFolder

__all__ = ["entries_needed", "widen"]

EMBEDDING = "encoder.text_embedding"
TYPES, POSITIONS, WORDS = (f"{EMBEDDING}.{table}.weight" for table in ("types", "positions", "words"))
WORD_BIAS = "heads.mlm.bias"


def entries_needed(folder: ModelFolder, vocabulary: Vocabulary) -> int:
    """V of the checkpoint, or of the data where they put pieces of their own behind the checkpoint's vocabulary.

    The released databases of VCR do so, with 81 pieces. They are told by that no random word is drawn from them.

    Args:
        folder: the checkpoint.
        vocabulary: of the data.
    """
    have, own = folder.config.vocab_size, folder.vocabulary
    added = vocabulary.random_range[1] == have < vocabulary.size
    if added and (own is None or replace(own, size=vocabulary.size, digest=vocabulary.digest) == vocabulary):
        return vocabulary.size
    return have


def widen(
    tensors: Mapping[str, Tensor],
    config: UniterConfig,
    *,
    type_sources: Sequence[int],
    max_positions: int,
    vocab_size: int,
    seed: int,
) -> tuple[dict[str, Tensor], UniterConfig, tuple[str, ...]]:
    """The tensors with enough types, positions and words; tables that have enough rows stay as they are.

    Args:
        tensors: of a checkpoint.
        config: its sizes.
        type_sources: for every row of the type table that is needed, the row that a new one is a copy of.
        max_positions: rows of the position table that are needed.
        vocab_size: rows of the word table that are needed.
        seed: of new positions and words, which are drawn as fresh ones are, from N(0, initializer_range²); the bias of
            the new words is 0.

    Returns:
        the tensors, the sizes that now fit them, and a line about each table that was widened.
    """
    widened, lines = dict(tensors), []
    have, need = config.num_types, len(type_sources)
    if have < need and TYPES in widened:
        sources = list(type_sources[have:])
        widened[TYPES] = torch.cat([widened[TYPES], widened[TYPES][sources]])
        copies = ", ".join(f"{have + number} = row {source}" for number, source in enumerate(sources))
        lines.append(f"type table widened from {have} to {need} rows (new: {copies})")
    sizes = {
        "position": (POSITIONS, config.max_positions, max(config.max_positions, max_positions)),
        "word": (WORDS, config.vocab_size, max(config.vocab_size, vocab_size)),
    }
    for name, (table, have, need) in sizes.items():
        if have < need and table in widened:
            generator = torch.Generator().manual_seed(key_of(seed, f"{name}s"))
            fresh = torch.empty(need - have, config.hidden_size)
            fresh.normal_(0.0, config.initializer_range, generator=generator)
            widened[table] = torch.cat([widened[table], fresh.to(widened[table].dtype)])
            lines.append(f"{name} table widened from {have} to {need} rows (new ones drawn, to be learned)")
    if WORD_BIAS in widened:
        bias = widened[WORD_BIAS]
        widened[WORD_BIAS] = torch.cat([bias, bias.new_zeros(sizes["word"][2] - len(bias))])
    longest, entries = sizes["position"][2], sizes["word"][2]
    return (
        widened,
        replace(config, num_types=max(config.num_types, len(type_sources)), max_positions=longest, vocab_size=entries),
        tuple(lines),
    )
