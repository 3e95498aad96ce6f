"""How texts and images stand in a sample: [CLS] text [SEP] text [SEP], then the regions; and their type ids.

E examples, T texts and I images of an example, W words, R regions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from uniter_core import Example, ImageRegions, Sample, Vocabulary
from uniter_tasks.downstream.settings import TaskSettings

__all__ = ["expect", "lay_out", "single_pair_units", "with_specials"]


def lay_out(
    example: Example,
    texts: Sequence[Tensor],
    images: Sequence[ImageRegions],
    vocabulary: Vocabulary,
    *,
    text_types: Sequence[int] = (0,),
    region_types: Sequence[int] = (1,),
    separators: str = "opening",
) -> Sample:
    """One sample of some texts and images of an example.

    Args:
        example: whose id and key the sample gets.
        texts: (W,) each, without [CLS] and [SEP].
        images: whose regions follow, in this order.
        vocabulary: of [CLS] and [SEP].
        text_types: row of the type table of each text; [CLS] has the first text's.
        region_types: row of the type table of each image's regions.
        separators: a [SEP] between two texts has the type of the one it is `opening` or of the one it is `closing`.
    """
    # Each text has the special piece in front of it, and the last the final [SEP]; or each the [SEP] behind it, and the
    # first [CLS].
    runs = [len(text) + 1 for text in texts]
    runs[-1 if separators == "opening" else 0] += 1
    counts = torch.tensor([image.num_regions for image in images])
    labels = [image.labels for image in images]
    return Sample(
        token_ids=with_specials(texts, vocabulary),
        token_types=torch.tensor(text_types).repeat_interleave(torch.tensor(runs)),
        region_features=_joined([image.features for image in images]),
        region_boxes=_joined([image.boxes for image in images]),
        region_types=torch.tensor(region_types).repeat_interleave(counts),
        region_labels=None if any(each is None for each in labels) else _joined([e for e in labels if e is not None]),
        key=example.key,
        id=example.id,
    )


def with_specials(texts: Sequence[Tensor], vocabulary: Vocabulary) -> Tensor:
    """(W,) int64: [CLS], then each text and a [SEP].

    >>> bert = Vocabulary(size=9, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, random_range=(5, 9))
    >>> with_specials([torch.tensor([7, 8]), torch.tensor([5])], bert).tolist()
    [2, 7, 8, 3, 5, 3]
    """
    separator = torch.tensor([vocabulary.sep_id])
    pieces = [torch.tensor([vocabulary.cls_id])]
    for text in texts:
        pieces += [text, separator]
    return torch.cat(pieces)


def single_pair_units(text_lengths: Tensor, region_lengths: Tensor, settings: TaskSettings, training: bool) -> Tensor:
    """(E,) int64: units of examples of one text (E, 1) and one image (E, 1), with [CLS] and [SEP]."""
    return text_lengths.sum(1) + 2 + region_lengths.sum(1)


def expect(example: Example, *, texts: int, images: int) -> None:
    """Refuse an example that has another number of texts or images than the task's.

    Raises:
        ValueError: naming the example and both numbers.
    """
    for what, wanted, found in (("text", texts, example.texts), ("image", images, example.images)):
        if len(found) != wanted:
            raise ValueError(f"example {example.id!r}: expected {wanted} {what}{'s' * (wanted > 1)}, got {len(found)}")


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    with torch.autocast("cpu", enabled=False):  # under which float16 cannot be concatenated
        return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))
