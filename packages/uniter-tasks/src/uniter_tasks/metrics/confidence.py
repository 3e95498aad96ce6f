"""How far a score would move on other examples of the same kind: percentile bootstrap of a mean.

E examples, V distinct values among them.
"""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["bootstrap_interval"]


def bootstrap_interval(
    values: ArrayLike, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Bounds between which the mean lies in `level` of the resamples (Efron & Tibshirani, 1993, section 13.3).

    A resample of E values with replacement is, up to order, a multinomial draw of how often each distinct value occurs.
    Scores have few distinct values (an answer is right or wrong), so that a draw costs V numbers instead of E.

    Args:
        values: (E,) score of each example; examples are taken as independent.
        level: share of the resamples inside.
        draws: number of resamples.
        seed: same seed, same bounds.

    Raises:
        ValueError: there is no value, one is not finite, or `level` or `draws` is out of range.

    >>> bootstrap_interval([1.0, 1.0, 1.0])
    (1.0, 1.0)
    >>> low, high = bootstrap_interval([0.0, 1.0] * 200)
    >>> 0.44 < low < 0.46 and 0.54 < high < 0.56
    True
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError(f"values: expected a row of finite numbers, got shape {numbers.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a share between 0 and 1, got {level}")
    if draws < 1:
        raise ValueError(f"draws: expected at least 1, got {draws}")
    distinct, counts = np.unique(numbers, return_counts=True)
    generator = np.random.default_rng(seed)
    shares = counts / len(numbers)
    means = np.array([generator.multinomial(len(numbers), shares) @ distinct for _ in range(draws)]) / len(numbers)
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
