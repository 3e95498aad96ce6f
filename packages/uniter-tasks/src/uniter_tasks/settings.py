"""How the pre-training objectives corrupt and weigh."""

from dataclasses import dataclass

from uniter_core import Vocabulary

__all__ = ["MASKINGS", "ObjectiveSettings"]

MASKINGS = ("conditional", "joint")


@dataclass(frozen=True, kw_only=True)
class ObjectiveSettings:
    """Settings shared by all objectives (paper, section 3.2; released values as defaults).

    Attributes:
        vocabulary: special ids and the range of random words.
        word_probability: share of the words that are masked.
        region_probability: share of the regions that are masked.
        masking: `conditional` masks the modality that is predicted and shows all of the other; `joint` masks both
            (the ablation of the paper's appendix A.3).
        mismatch_probability: share of the pairs of `itm` that are shown with another image.
        wra_weight: weight of the transport distance in the loss of `itm`; 0 = no word-region alignment.

    Raises:
        ValueError: a probability outside [0, 1], an unknown masking, a negative or non-finite weight.
    """

    vocabulary: Vocabulary
    word_probability: float = 0.15
    region_probability: float = 0.15
    masking: str = "conditional"
    mismatch_probability: float = 0.5
    wra_weight: float = 0.1

    def __post_init__(self) -> None:
        for name in ("word_probability", "region_probability", "mismatch_probability"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: expected a probability between 0 and 1, got {value}")
        if self.masking not in MASKINGS:
            raise ValueError(f"masking: expected one of {', '.join(MASKINGS)}, got {self.masking!r}")
        if not 0 <= self.wra_weight < float("inf"):
            raise ValueError(f"wra_weight: expected a finite weight of at least 0, got {self.wra_weight}")

    @property
    def joint(self) -> bool:
        """Both modalities are masked at once."""
        return self.masking == "joint"
