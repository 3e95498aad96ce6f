"""The sizes of an encoder, as published (`base`, `large`) or for a CPU (`tiny`)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any

__all__ = ["PRESETS", "UniterConfig"]


@dataclass(frozen=True, kw_only=True)
class UniterConfig:
    """What has to be known to build an encoder.

    Attributes:
        vocab_size: word pieces; 28,996 is BERT's cased vocabulary.
        region_dim: width of a region's feature vector.
        num_classes: classes of the regions' soft labels, background included.
        hidden_size: width of a unit.
        num_layers: transformer layers.
        num_heads: attention heads; divides `hidden_size`.
        intermediate_size: width inside the feed-forward part.
        max_positions: longest text, [CLS] and [SEP] counted.
        num_types: rows of the type table; 0 is text and 1 regions unless a sample says otherwise.
        hidden_dropout: share of hidden values set to zero in training.
        attention_dropout: share of attention weights set to zero in training.
        layer_norm_eps: added to the variance in every layer normalisation.
        initializer_range: standard deviation of fresh matrices and tables.

    Raises:
        ValueError: a size is not positive, a share is outside [0, 1), or `num_heads` does not divide `hidden_size`.

    >>> UniterConfig.base(region_dim=1024).num_layers
    12
    """

    vocab_size: int = 28996
    region_dim: int = 2048
    num_classes: int = 1601
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int = 512
    num_types: int = 2
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int:
                if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                    raise ValueError(f"{field.name} must be a positive integer, got {value!r}")
            elif not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
                raise ValueError(f"{field.name} must be a number that is not negative, got {value!r}")
        for name in ("hidden_dropout", "attention_dropout"):
            if getattr(self, name) >= 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)!r}")
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"num_heads must divide hidden_size: {self.hidden_size} cannot be shared among {self.num_heads} heads"
            )

    @classmethod
    def tiny(cls, **overrides: Any) -> "UniterConfig":
        """2 layers of 128: learns in minutes on a CPU, but not from the usual initial deviation of 0.02."""
        sizes = {
            "hidden_size": 128, "num_layers": 2, "num_heads": 4, "intermediate_size": 512, "max_positions": 128,
            "hidden_dropout": 0.0, "attention_dropout": 0.0, "initializer_range": 0.05,
        }  # fmt: skip
        return cls(**(sizes | overrides))

    @classmethod
    def base(cls, **overrides: Any) -> "UniterConfig":
        """UNITER-base of the paper, section 4.1: 12 layers of 768, 86 M parameters without the tables."""
        sizes = {"hidden_size": 768, "num_layers": 12, "num_heads": 12, "intermediate_size": 3072}
        return cls(**(sizes | overrides))

    @classmethod
    def large(cls, **overrides: Any) -> "UniterConfig":
        """UNITER-large of the paper, section 4.1: 24 layers of 1024, 303 M parameters without the tables."""
        sizes = {"hidden_size": 1024, "num_layers": 24, "num_heads": 16, "intermediate_size": 4096}
        return cls(**(sizes | overrides))

    def to_dict(self) -> dict[str, int | float]:
        """As JSON or TOML can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "UniterConfig":
        """The configuration that `to_dict` wrote.

        Raises:
            ValueError: a key is unknown (the message names the nearest known one) or a size without default is missing.

        >>> UniterConfig.from_dict({"hiden_size": 128})
        Traceback (most recent call last):
        ValueError: unknown configuration key 'hiden_size': did you mean 'hidden_size'?
        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                nearest = get_close_matches(key, known, n=1)
                hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(known)}"
                raise ValueError(f"unknown configuration key {key!r}: {hint}")
        absent = {"hidden_size", "num_layers", "num_heads", "intermediate_size"} - values.keys()
        if absent:
            raise ValueError(f"the configuration lacks {', '.join(sorted(absent))}")
        return cls(**values)


PRESETS: dict[str, Callable[..., UniterConfig]] = {
    "tiny": UniterConfig.tiny,
    "base": UniterConfig.base,
    "large": UniterConfig.large,
}
