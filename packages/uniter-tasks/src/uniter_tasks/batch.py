"""A batch made for one objective or task: packed units, what to predict, and whose pairs they are.

B pairs, W words, R regions (of all pairs together).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from uniter_core import PackedBatch, Sample, Vocabulary, pack

__all__ = ["TaskBatch", "is_word", "pack_pairs"]


@dataclass(frozen=True, kw_only=True)
class TaskBatch:
    """What travels from the `collate` of an objective or a task to its `loss`.

    Attributes:
        packed: the units as the model sees them (corrupted).
        targets: tensors the loss compares with; each objective names its own.
        ids: names of the pairs, or of the examples that consist of several, for errors and predictions.
        count: number of targets the loss is a sum over; known before the forward pass.
        pairs: how many consecutive pairs each id names; empty = one each.

    Raises:
        ValueError: the ids do not name all B pairs, or there is no target.
    """

    packed: PackedBatch
    targets: dict[str, Tensor]
    ids: tuple[str, ...]
    count: int
    pairs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        named = self.pairs or (1,) * len(self.ids)
        if len(named) != len(self.ids) or sum(named) != self.packed.num_samples:
            raise ValueError(
                f"ids: expected one for each of {self.packed.num_samples} pairs, got {len(self.ids)}"
                + (f" naming {sum(self.pairs)} pairs" if self.pairs else "")
            )
        if self.count < 1:
            raise ValueError(f"count: expected at least one target, got {self.count}")

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "TaskBatch":
        """The batch on `device`."""
        return replace(
            self,
            packed=self.packed.to(device, non_blocking=non_blocking),
            targets={name: target.to(device, non_blocking=non_blocking) for name, target in self.targets.items()},
        )

    def pin_memory(self) -> "TaskBatch":
        """The batch in page-locked memory, for copies that do not block (data loaders call this)."""
        return replace(
            self,
            packed=self.packed.pin_memory(),
            targets={name: target.pin_memory() for name, target in self.targets.items()},
        )


def is_word(token_ids: Tensor, vocabulary: Vocabulary) -> Tensor:
    """(W,) bool: which tokens are words of the sentence and not [CLS] or [SEP]."""
    return (token_ids != vocabulary.cls_id) & (token_ids != vocabulary.sep_id)


def pack_pairs(samples: Sequence[Sample], vocabulary: Vocabulary) -> PackedBatch:
    """Pack image-text pairs, each of which must have words and regions.

    Args:
        samples: B pairs.
        vocabulary: whose [CLS] and [SEP] do not count as words.

    Raises:
        ValueError: there is no pair, or one has no region or no word; the message names it.
    """
    if not samples:
        raise ValueError("samples: expected at least one pair, got none")
    packed = pack(samples)
    words = torch.bincount(packed.word_samples[is_word(packed.token_ids, vocabulary)], minlength=len(samples))
    for what, lengths in (("region", packed.region_lengths), ("word", words)):
        if not lengths.all():
            row = int((lengths == 0).nonzero()[0])
            raise ValueError(
                f"pair {samples[row].id!r} (number {row} of its batch) has no {what}: pre-training needs at least one"
            )
    return packed
