"""The reference backend: plain torch on any device.

Entries of the plan underflow during the iterations and may have to come back later, so Algorithm 1 as printed fails
silently in float32 once (range of C) / beta passes about 8. Two loops compute the same iterates without that fault:

- `scaling_loop` keeps the scalings apart from the kernel and absorbs them every few sweeps;
- `log_loop` iterates on the potentials, in float64, and goes on from wherever the scaling loop had to stop.

Both keep the pairs *last*, (W, R, B): sums over words or regions then run over leading axes and vectorise over the
pairs, 2 to 5 times faster than batched matrix-vector products.
"""

from uniter_ot.backends.plain.solve import solve

__all__ = ["solve"]
