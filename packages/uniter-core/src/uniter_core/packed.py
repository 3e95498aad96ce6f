"""A batch without padding: all words, all regions, and how they interleave to units, sample after sample.

Axes: B samples, W words, R regions, N = W + R units, D feature width. Units lie sample after sample, each sample's
words ([CLS] … [SEP]) before its regions.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from uniter_core.sample import Sample
from uniter_core.segments import Segments, segment

__all__ = ["PackedBatch", "pack"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedBatch:
    """Samples one after another; `pack` makes it.

    What follows from the lengths is computed once, when first asked for or when the batch is moved; so a batch that was
    moved to a GPU never makes the program wait for the GPU.

    Attributes:
        token_ids: (W,) int64.
        token_positions: (W,) int64, place of each word in its text.
        token_types: (W,) int64, rows of the type table.
        region_features: (R, D), any floating dtype; the embedder casts.
        region_boxes: (R, 7) float32: x1, y1, x2, y2, w, h in the unit square, and w·h.
        region_types: (R,) int64, rows of the type table.
        region_masked: (R,) bool, regions whose features an objective has hidden.
        text_lengths: (B,) int64, words of each sample, may be 0.
        region_lengths: (B,) int64, regions of each sample, may be 0.

    Raises:
        ValueError: an array's shape or dtype is off, or the lengths do not add up (checked where they are on the CPU).
    """

    token_ids: Tensor
    token_positions: Tensor
    token_types: Tensor
    region_features: Tensor
    region_boxes: Tensor
    region_types: Tensor
    region_masked: Tensor
    text_lengths: Tensor
    region_lengths: Tensor

    def __post_init__(self) -> None:
        words, regions = self.token_ids.shape[0], self.region_features.shape[0]
        samples = self.text_lengths.shape[0]
        for name, length, dtype in _VECTORS:
            expected = {"W": words, "R": regions, "B": samples}[length]
            value = getattr(self, name)
            if value.shape != (expected,) or value.dtype != dtype:
                raise ValueError(_complaint(name, value, f"({expected},) {dtype}"))
        if self.region_features.ndim != 2 or not self.region_features.is_floating_point():
            raise ValueError(_complaint("region_features", self.region_features, "(R, D), floating"))
        if self.region_boxes.shape != (regions, 7):
            raise ValueError(_complaint("region_boxes", self.region_boxes, f"({regions}, 7)"))
        if self.text_lengths.device.type == "cpu":
            self._check_lengths(words, regions)

    def _check_lengths(self, words: int, regions: int) -> None:
        for name, total in (("text_lengths", words), ("region_lengths", regions)):
            lengths = getattr(self, name)
            if int(lengths.sum()) != total or (len(lengths) and int(lengths.min()) < 0):
                raise ValueError(f"{name} must be counts that add up to {total}, got {lengths.tolist()}")
        if not bool((self.unit_lengths > 0).all()):
            empty = int((self.unit_lengths == 0).nonzero()[0])
            raise ValueError(f"sample {empty} of the batch has neither words nor regions")

    @property
    def num_samples(self) -> int:
        """B."""
        return self.text_lengths.shape[0]

    @property
    def num_units(self) -> int:
        """N = W + R."""
        return self.token_ids.shape[0] + self.region_features.shape[0]

    @property
    def max_seqlen(self) -> int:
        """Units of the longest sample."""
        return self.segments.max_seqlen

    @cached_property
    def any_masked(self) -> bool:
        """Whether some region is masked."""
        return bool(self.region_masked.any())

    @cached_property
    def unit_lengths(self) -> Tensor:
        """(B,) int64, units of each sample."""
        return self.text_lengths + self.region_lengths

    @cached_property
    def cu_seqlens(self) -> Tensor:
        """(B + 1,) int32, first unit of each sample, and N."""
        return torch.nn.functional.pad(self.unit_lengths.cumsum(0), (1, 0)).int()

    @cached_property
    def cls_units(self) -> Tensor:
        """(B,) int64, the first unit of each sample: its [CLS], or its first region where there is no text."""
        return self.cu_seqlens[:-1].long()

    @cached_property
    def word_samples(self) -> Tensor:
        """(W,) int64, the sample of each word."""
        return _owners(self.text_lengths, len(self.token_ids))

    @cached_property
    def region_samples(self) -> Tensor:
        """(R,) int64, the sample of each region."""
        return _owners(self.region_lengths, len(self.region_features))

    @cached_property
    def word_units(self) -> Tensor:
        """(W,) int64, the unit that each word is."""
        regions_before = self.region_lengths.cumsum(0) - self.region_lengths
        words = torch.arange(len(self.token_ids), device=self.token_ids.device)
        return words + regions_before[self.word_samples]

    @cached_property
    def region_units(self) -> Tensor:
        """(R,) int64, the unit that each region is."""
        words_so_far = self.text_lengths.cumsum(0)
        regions = torch.arange(len(self.region_features), device=self.token_ids.device)
        return regions + words_so_far[self.region_samples]

    @cached_property
    def gather(self) -> Tensor:
        """(N,) int64, the row of [words; regions] that each unit is."""
        rows = torch.empty(self.num_units, dtype=torch.int64, device=self.token_ids.device)
        words = len(self.token_ids)
        rows[self.word_units] = torch.arange(words, device=rows.device)
        rows[self.region_units] = torch.arange(words, self.num_units, device=rows.device)
        return rows

    @cached_property
    def segments(self) -> Segments:
        """The order of the samples inside the encoder."""
        return segment(self.unit_lengths.tolist())

    def select(self, samples: Sequence[int]) -> "PackedBatch":
        """A batch of some of the samples, in the order given; a GPU is waited for once.

        >>> words, features, boxes = torch.tensor([1, 7, 2]), torch.zeros(2, 8), torch.zeros(2, 7)
        >>> short = Sample(token_ids=words[:2], region_features=features, region_boxes=boxes)
        >>> batch = pack([Sample(token_ids=words, region_features=features, region_boxes=boxes), short])
        >>> batch.select([1]).token_ids.tolist()
        [1, 7]
        """
        device = self.token_ids.device
        chosen = torch.tensor(samples, dtype=torch.int64)
        lengths = torch.stack([self.text_lengths, self.region_lengths]).cpu()
        words, regions = (_rows_of(each, chosen).to(device) for each in lengths)
        kept = {"W": words, "R": regions, "B": chosen.to(device)}
        vectors = {name: getattr(self, name)[kept[length]] for name, length, _ in _VECTORS}
        return PackedBatch(
            region_features=self.region_features[regions], region_boxes=self.region_boxes[regions], **vectors
        )

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "PackedBatch":
        """The batch on another device, with all that follows from its lengths."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "PackedBatch":
        """The batch in page-locked memory, from where copies to a GPU need not wait."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> "PackedBatch":
        for name in _DERIVED:
            getattr(self, name)
        moved = copy(self)  # not built anew: the checks have been made, and would wait for a GPU
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                vars(moved)[name] = change(value)
        vars(moved)["segments"] = self.segments.each(change)
        return moved


def pack(samples: Sequence[Sample]) -> PackedBatch:
    """Samples one after another; no region is masked.

    Raises:
        ValueError: no sample, or samples whose features differ in width.

    >>> words, features, boxes = torch.tensor([1, 7, 2]), torch.zeros(2, 8), torch.zeros(2, 7)
    >>> sample = Sample(token_ids=words, region_features=features, region_boxes=boxes)
    >>> batch = pack([sample, sample])
    >>> batch.num_units, batch.cu_seqlens.tolist(), batch.gather.tolist()
    (10, [0, 5, 10], [0, 1, 2, 6, 7, 3, 4, 5, 8, 9])
    """
    if not samples:
        raise ValueError("samples must hold at least one sample")
    width = samples[0].region_features.shape[1]
    for sample in samples:
        if sample.region_features.shape[1] != width:
            raise ValueError(
                f"samples differ in the width of region_features: {samples[0].id!r} has {width}, "
                f"{sample.id!r} has {sample.region_features.shape[1]}"
            )
    text_lengths = torch.tensor([sample.num_words for sample in samples])
    region_lengths = torch.tensor([sample.num_regions for sample in samples])
    words, regions = int(text_lengths.sum()), int(region_lengths.sum())
    first_words = (text_lengths.cumsum(0) - text_lengths).repeat_interleave(text_lengths)
    return PackedBatch(
        token_ids=torch.cat([sample.token_ids for sample in samples]),
        token_positions=torch.arange(words) - first_words,
        token_types=_types([sample.token_types for sample in samples], text_lengths, default=0),
        region_features=_joined([sample.region_features for sample in samples]),
        region_boxes=_joined([sample.region_boxes for sample in samples]),
        region_types=_types([sample.region_types for sample in samples], region_lengths, default=1),
        region_masked=torch.zeros(regions, dtype=torch.bool),
        text_lengths=text_lengths,
        region_lengths=region_lengths,
    )


# ---------------------------------------------------------------------------------------------------------------------

_VECTORS = (
    ("token_ids", "W", torch.int64),
    ("token_positions", "W", torch.int64),
    ("token_types", "W", torch.int64),
    ("region_types", "R", torch.int64),
    ("region_masked", "R", torch.bool),
    ("text_lengths", "B", torch.int64),
    ("region_lengths", "B", torch.int64),
)
_DERIVED = (
    "any_masked", "unit_lengths", "cu_seqlens", "cls_units", "word_samples", "region_samples", "word_units",
    "region_units", "gather", "segments",
)  # fmt: skip


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Rows one after another: a view where they are all of a storage, in its order, as what was fetched together is."""
    storage = parts[0].untyped_storage()
    at = 0
    for part in parts:
        follows = part.storage_offset() == at and part.untyped_storage().data_ptr() == storage.data_ptr()
        if not follows or not part.is_contiguous():
            break
        at += part.numel()
    else:
        if at * parts[0].element_size() == storage.nbytes() > 0:
            width = parts[0].shape[1]
            return parts[0].as_strided((at // width, width), (width, 1))
    with torch.autocast("cpu", enabled=False):  # under which float16 cannot be concatenated
        return torch.cat(list(parts))


def _types(given: Sequence[Tensor | None], lengths: Tensor, *, default: int) -> Tensor:
    if all(types is None for types in given):
        return torch.full((int(lengths.sum()),), default)
    filled = [
        torch.full((length,), default) if types is None else types
        for types, length in zip(given, lengths.tolist(), strict=True)
    ]
    return torch.cat(filled)


def _owners(lengths: Tensor, total: int) -> Tensor:
    samples = torch.arange(len(lengths), device=lengths.device)
    return samples.repeat_interleave(lengths, output_size=total)  # with the size known, a GPU is not waited for


def _rows_of(lengths: Tensor, samples: Tensor) -> Tensor:
    """Where the elements of some samples lie, sample after sample."""
    starts, own = (lengths.cumsum(0) - lengths)[samples], lengths[samples]
    shift = starts - (own.cumsum(0) - own)
    return torch.arange(int(own.sum())) + shift.repeat_interleave(own)


def _complaint(name: str, value: Tensor, expected: str) -> str:
    return f"{name} must be {expected}, got {tuple(value.shape)} {value.dtype}"
