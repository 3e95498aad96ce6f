"""How much memory a run has taken."""

import resource
import sys

import torch

__all__ = ["peak_memory"]


def peak_memory() -> int:
    """Bytes at most so far: of the device where there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
