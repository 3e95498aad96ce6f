"""How much arithmetic a training step is, to compare with what a device can do."""

from collections.abc import Sequence

from uniter_core.config import UniterConfig

__all__ = ["training_flops"]


def training_flops(config: UniterConfig, unit_lengths: Sequence[int], regions: int) -> float:
    """Floating-point operations of the encoder's matrix products, forward and backward, without those of the heads.

    A product of a vector with a matrix of m weights is 2 m operations, and 4 m more in the backward pass; the scores of
    a unit that looks at L units, and the weighted mean of their values, are 4 H L, and 8 H L more (Kaplan et al.
    2020, section 2.1; Chowdhery et al. 2022, appendix B, where model FLOPs utilisation is defined).

    Args:
        config: of the encoder.
        unit_lengths: units of each sample.
        regions: of all samples; only these are projected from features.

    >>> config = UniterConfig.base()
    >>> f"{training_flops(config, [59], 45) / 59:.2e}"  # a unit of UNITER-base
    '5.23e+08'
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    units = sum(unit_lengths)
    seen = sum(length * length for length in unit_lengths)
    layer = 6 * units * (4 * hidden * hidden + 2 * hidden * inner) + 12 * hidden * seen
    return float(config.num_layers * layer + 6 * regions * hidden * config.region_dim)
