"""Optimal-transport alignment losses: batched, ragged, differentiable IPOT on plain PyTorch."""

from uniter_ot.cost import cosine_cost, squared_euclidean_cost
from uniter_ot.ipot import ipot
from uniter_ot.loss import AlignmentLoss, alignment_loss
from uniter_ot.packed import alignment_loss_packed, alignment_plan_packed, pad_packed
from uniter_ot.plan import TransportPlan
from uniter_ot.wra import wra_loss

__all__ = [
    "AlignmentLoss",
    "TransportPlan",
    "alignment_loss",
    "alignment_loss_packed",
    "alignment_plan_packed",
    "cosine_cost",
    "ipot",
    "pad_packed",
    "squared_euclidean_cost",
    "wra_loss",
]

__version__ = "0.1.0"
