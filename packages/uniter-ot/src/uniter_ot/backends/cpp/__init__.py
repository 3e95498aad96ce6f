"""The CPU backend in C++: compiled on first use where there is a compiler, otherwise absent."""

from uniter_ot.backends.cpp.build import library, why_not
from uniter_ot.backends.cpp.solve import solve

__all__ = ["library", "solve", "why_not"]
