"""The reference backend: plain torch on any device.

Entries of the plan underflow during the iterations and may have to come back later, so Algorithm 1 as printed fails
silently in float32 once (range of C) / beta passes about 8. Two loops compute the same iterates without that fault:

- `scaling_loop` keeps the scalings apart from the kernel and absorbs them every few sweeps;
- `log_loop` iterates on the potentials, in float64, and goes on from wherever the scaling loop had to stop.
"""

from uniter_ot.backends.plain.blocks import solve

__all__ = ["solve"]
