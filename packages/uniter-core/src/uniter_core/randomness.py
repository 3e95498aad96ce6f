"""Random draws as pure functions of keys, so that no result depends on the number of workers or processes.

A *key* is a 63-bit integer that names a draw: a run's seed together with an epoch, an example, a word's position. Equal
keys give equal draws on every machine and with every version of torch, since nothing here uses a library's generator.

Axes: B samples, N units.
"""

from hashlib import blake2b
from operator import index

import torch
from torch import Tensor

__all__ = ["key_of", "permutation", "uniforms", "unit_keys"]


def key_of(*parts: int | str) -> int:
    """The key that names these parts, in this order: 63 bits, not negative, the same for ever.

    >>> key_of(1, "epoch", 2) == key_of(1, "epoch", 2)
    True
    >>> key_of(1, 23) == key_of(12, 3) or key_of(1) == key_of("1")
    False
    """
    digest = blake2b(digest_size=8)
    for part in parts:
        text = part if isinstance(part, str) else str(index(part))
        kind = "s" if isinstance(part, str) else "i"
        data = text.encode()
        digest.update(f"{kind}{len(data)}:".encode() + data)
    return int.from_bytes(digest.digest(), "big") >> 1


def permutation(key: int, n: int) -> Tensor:
    """A permutation of 0 … n - 1, (n,) int64.

    >>> permutation(key_of("shuffle", 1), 5).sort().values.tolist()
    [0, 1, 2, 3, 4]
    """
    hashed = _mix(torch.arange(1, n + 1) * _GAMMA + key)
    return hashed.argsort(stable=True)


def uniforms(keys: Tensor, stream: str) -> Tensor:
    """One number in [0, 1) for each key, float64, of the same shape.

    Args:
        keys: int64, any shape.
        stream: what the numbers are for; streams of equal keys are independent.

    >>> keys = torch.tensor([3, 4])
    >>> bool((uniforms(keys, "masking") != uniforms(keys, "replacing")).all())
    True
    """
    hashed = _mix(_mix(keys) + key_of(stream))
    return _shift_right(hashed, 11).double() * 2.0**-53


def unit_keys(keys: Tensor, lengths: Tensor) -> Tensor:
    """A key for every unit of every sample, from its sample's key and its position inside the sample.

    Args:
        keys: (B,) int64, of the samples.
        lengths: (B,) int64, units of each sample.

    Returns:
        (N,) int64, sample after sample; N is the sum of `lengths`.
    """
    starts = lengths.cumsum(0) - lengths
    first = starts.repeat_interleave(lengths)
    position = torch.arange(len(first)) - first
    return _mix(keys.repeat_interleave(lengths) + (position + 1) * _GAMMA)


# ---------------------------------------------------------------------------------------------------------------------

# Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014), section 3: the increment of SplitMix64
# and the multipliers of its finaliser (David Stafford's variant 13), as signed 64-bit numbers; int64 products wrap.
_GAMMA = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


def _mix(values: Tensor) -> Tensor:
    """SplitMix64's finaliser: a bijection of 64-bit numbers whose every output bit depends on every input bit."""
    values = (values ^ _shift_right(values, 30)) * _FIRST
    values = (values ^ _shift_right(values, 27)) * _SECOND
    return values ^ _shift_right(values, 31)


def _shift_right(values: Tensor, bits: int) -> Tensor:
    """The shift of unsigned numbers: zeros come in from the left."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)
