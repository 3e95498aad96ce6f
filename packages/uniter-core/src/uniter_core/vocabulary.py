"""What models and objectives need to know of a tokenizer: sizes and special ids, not the words themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Vocabulary"]


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Special ids and size of a word-piece vocabulary.

    Attributes:
        size: word pieces, special ones included.
        pad_id, unk_id, cls_id, sep_id, mask_id: ids of [PAD], [UNK], [CLS], [SEP], [MASK].
        random_range: (first, end) of the ids from which masking draws random words; `end` is exclusive.
        digest: sha256 of the tokenizer's JSON; stores and checkpoints of other digests do not fit. Empty: unknown.

    Raises:
        ValueError: an id or the range lies outside the vocabulary.
    """

    size: int
    pad_id: int
    unk_id: int
    cls_id: int
    sep_id: int
    mask_id: int
    random_range: tuple[int, int]
    digest: str = ""

    def __post_init__(self) -> None:
        for name in ("pad_id", "unk_id", "cls_id", "sep_id", "mask_id"):
            if not 0 <= getattr(self, name) < self.size:
                raise ValueError(f"{name} must be in [0, {self.size}), got {getattr(self, name)}")
        first, end = self.random_range
        if not 0 <= first < end <= self.size:
            raise ValueError(f"random_range must be a non-empty range inside [0, {self.size}], got {self.random_range}")

    @classmethod
    def from_tokens(cls, tokens: Sequence[str], *, digest: str = "") -> "Vocabulary":
        """The vocabulary of BERT's word pieces in the order of their ids.

        Random words are drawn from what stands between the leading bracketed pieces, [PAD], [unused1], … [MASK], and
        those that a task has added at the end. For BERT's cased vocabulary that is 106 … 28,995, as in the released
        code.

        Raises:
            ValueError: a special piece is missing.

        >>> Vocabulary.from_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog"]).random_range
        (5, 7)
        """
        ids = {token: number for number, token in enumerate(tokens)}
        special = {"pad_id": "[PAD]", "unk_id": "[UNK]", "cls_id": "[CLS]", "sep_id": "[SEP]", "mask_id": "[MASK]"}
        absent = [token for token in special.values() if token not in ids]
        if absent:
            raise ValueError(f"the vocabulary lacks {', '.join(absent)}: a BERT vocabulary has them")
        words = [number for number, token in enumerate(tokens) if not _is_bracketed(token)]
        return cls(
            size=len(tokens),
            random_range=(words[0], words[-1] + 1) if words else (0, len(tokens)),
            digest=digest,
            **{name: ids[token] for name, token in special.items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self) | {"random_range": list(self.random_range)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Vocabulary":
        """The vocabulary that `to_dict` wrote.

        Raises:
            ValueError: keys are missing or unknown, or an id lies outside.
        """
        try:
            first, end = values["random_range"]
            return cls(**(dict(values) | {"random_range": (first, end)}))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a vocabulary's description: {error}") from error


def _is_bracketed(token: str) -> bool:
    return token.startswith("[") and token.endswith("]") and len(token) > 2
