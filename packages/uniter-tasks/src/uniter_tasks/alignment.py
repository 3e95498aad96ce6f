"""Where nouns look: how often attention, or transported mass, of a gold noun falls most on its region.

S samples, W words, R regions, L layers, A heads, G gold nouns.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from uniter_core import PackedBatch, Sample, UniterEncoder, pack
from uniter_tasks.gold import NOUN, falls_on, gold_links
from uniter_tasks.inference import evaluating, unit_groups
from uniter_tasks.wra import nouns_on_gold, transport_plan

__all__ = ["AttentionAlignment", "PlanAlignment", "attention_alignment", "plan_alignment"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class AttentionAlignment:
    """Share of gold nouns whose largest attention among the regions falls on their own.

    Attributes:
        accuracy: by layer, then head.
        chance: of a blind guess: the mean of 1/R.
        nouns: how many were looked at.
    """

    accuracy: tuple[tuple[float, ...], ...]
    chance: float
    nouns: int

    @property
    def best(self) -> tuple[int, int]:
        """(layer, head) of the highest share; the first of equals."""
        places = [(layer, head) for layer, heads in enumerate(self.accuracy) for head in range(len(heads))]
        return max(places, key=lambda place: self.accuracy[place[0]][place[1]])


@dataclass(frozen=True, kw_only=True)
class PlanAlignment:
    """Share of gold nouns whose largest transported mass falls on their own region.

    Attributes:
        accuracy: that share.
        chance: of a blind guess: the mean of 1/R.
        nouns: how many were looked at.
    """

    accuracy: float
    chance: float
    nouns: int


def attention_alignment(
    encoder: UniterEncoder,
    samples: Sequence[Sample],
    *,
    units: int,
    progress: Progress = lambda done, total: None,
) -> AttentionAlignment:
    """Measure every head of the encoder.

    Args:
        encoder: any backend; the maps come from plain attention.
        samples: matched pairs with gold links; others are passed over.
        units: words and regions of a batch at most.
        progress: called with batches done and their number.

    Raises:
        ValueError: no sample has a gold noun.
    """
    hits, chances = [], []
    with evaluating(encoder) as device:
        for packed, nouns in _batches(samples, units, progress):
            maps = encoder.attention_maps(packed.to(device))
            hits.append(torch.stack([_attention_hits(layer, packed, nouns) for layer in maps]))
            chances.append(1.0 / packed.region_lengths[nouns[:, 0]])
    chance = torch.cat(chances)
    accuracy = torch.stack(hits).sum(0) / len(chance)
    return AttentionAlignment(
        accuracy=tuple(tuple(heads) for heads in accuracy.tolist()),
        chance=float(chance.mean()),
        nouns=len(chance),
    )


def plan_alignment(
    encoder: UniterEncoder,
    samples: Sequence[Sample],
    *,
    units: int,
    progress: Progress = lambda done, total: None,
) -> PlanAlignment:
    """Measure the transport plan between the encoder's words and regions, as `itm` does in evaluation mode.

    Args:
        encoder, samples, units, progress: as for `attention_alignment`.

    Raises:
        ValueError: no sample has a gold noun.
    """
    hits, chances = [], []
    with evaluating(encoder) as device:
        for packed, nouns in _batches(samples, units, progress):
            on_device = packed.to(device)
            plan = transport_plan(encoder(on_device), on_device).plan
            hits.append(nouns_on_gold(plan, nouns.to(device)).cpu())
            chances.append(1.0 / packed.region_lengths[nouns[:, 0]])
    hit, chance = torch.cat(hits).double(), torch.cat(chances)
    return PlanAlignment(accuracy=float(hit.mean()), chance=float(chance.mean()), nouns=len(chance))


# ---------------------------------------------------------------------------------------------------------------------


def _batches(samples: Sequence[Sample], units: int, progress: Progress) -> Iterator[tuple[PackedBatch, Tensor]]:
    """Packed batches with their gold nouns (G, 3) [pair, word, region]; samples without any left out."""
    linked = [sample for sample in samples if _has_noun(sample)]
    if not linked:
        raise ValueError("samples: expected at least one matched pair with a gold noun, got none")
    groups = unit_groups([sample.num_words + sample.num_regions for sample in linked], units)
    for done, group in enumerate(groups, start=1):
        packed = pack(linked[group])
        links = gold_links(linked[group], packed)
        if links is not None:
            yield packed, links.nouns()
        progress(done, len(groups))


def _has_noun(sample: Sample) -> bool:
    gold, kinds = sample.gold_regions, sample.token_kinds
    if gold is None or kinds is None or not sample.matched:
        return False
    return bool(((gold >= 0) & (kinds == NOUN)).any())


def _attention_hits(maps: Sequence[Tensor], packed: PackedBatch, nouns: Tensor) -> Tensor:
    """(A,) hits of each head of a layer; `maps` are the attentions (A, W + R, W + R) of each pair."""
    hits = torch.zeros(len(maps[0]), dtype=torch.float64)
    for pair, attention in enumerate(maps):
        _, words, regions = nouns[nouns[:, 0] == pair].unbind(1)
        first_region = int(packed.text_lengths[pair])
        mass = attention[:, words, first_region:].cpu()
        hits += falls_on(mass, regions.expand(len(mass), -1)).sum(-1)
    return hits
