"""Tables of a checkpoint that have fewer rows than the data need.

V rows, H hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from uniter_core import UniterConfig, key_of

__all__ = ["widen"]

TYPES, POSITIONS = "encoder.text_embedding.types.weight", "encoder.text_embedding.positions.weight"


def widen(
    tensors: Mapping[str, Tensor],
    config: UniterConfig,
    *,
    type_sources: Sequence[int],
    max_positions: int,
    seed: int,
) -> tuple[dict[str, Tensor], UniterConfig, tuple[str, ...]]:
    """The encoder's tensors with enough types and positions; tables that have enough rows stay as they are.

    Args:
        tensors: of a checkpoint.
        config: its sizes.
        type_sources: for every row of the type table that is needed, the row that a new one is a copy of.
        max_positions: rows of the position table that are needed.
        seed: of new positions, which are drawn as fresh ones are, from N(0, initializer_range²).

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
    have, longest = config.max_positions, max(config.max_positions, max_positions)
    if have < longest and POSITIONS in widened:
        generator = torch.Generator().manual_seed(key_of(seed, "positions"))
        fresh = torch.empty(longest - have, config.hidden_size)
        fresh.normal_(0.0, config.initializer_range, generator=generator)
        widened[POSITIONS] = torch.cat([widened[POSITIONS], fresh.to(widened[POSITIONS].dtype)])
        lines.append(f"position table widened from {have} to {longest} rows (new ones drawn, to be learned)")
    return widened, replace(config, num_types=max(config.num_types, need), max_positions=longest), tuple(lines)
