"""Optimal-transport alignment losses: batched, ragged, differentiable IPOT on plain PyTorch."""

__version__ = "0.1.0"
