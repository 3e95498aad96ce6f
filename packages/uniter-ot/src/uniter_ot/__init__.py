"""Optimal-transport alignment for PyTorch: batched, ragged, differentiable plans and losses.

A problem (`pose`, or a solver's arguments) goes to a solver (`ipot`, `sinkhorn`, …), which gives a `TransportPlan`;
losses go from vectors to one distance a pair (`alignment_loss`, `sinkhorn_divergence`, `wra_loss`).
"""

from uniter_ot.backends import BACKENDS
from uniter_ot.bounds import dual_lower_bound
from uniter_ot.cost import cosine_cost, squared_euclidean_cost
from uniter_ot.divergence import sinkhorn_divergence
from uniter_ot.exact import exact
from uniter_ot.ipot import ipot
from uniter_ot.loss import AlignmentLoss, alignment_loss
from uniter_ot.packed import alignment_loss_packed, alignment_plan_packed, pad_packed
from uniter_ot.packed_plan import PackedPlan
from uniter_ot.partial import partial_sinkhorn
from uniter_ot.plan import TransportPlan
from uniter_ot.problem import Problem, pose
from uniter_ot.rounding import round_to_marginals
from uniter_ot.sinkhorn import sinkhorn
from uniter_ot.unbalanced import unbalanced_sinkhorn
from uniter_ot.wra import wra_loss

__all__ = [
    "BACKENDS",
    "AlignmentLoss",
    "PackedPlan",
    "Problem",
    "TransportPlan",
    "alignment_loss",
    "alignment_loss_packed",
    "alignment_plan_packed",
    "cosine_cost",
    "dual_lower_bound",
    "exact",
    "ipot",
    "pad_packed",
    "partial_sinkhorn",
    "pose",
    "round_to_marginals",
    "sinkhorn",
    "sinkhorn_divergence",
    "squared_euclidean_cost",
    "unbalanced_sinkhorn",
    "wra_loss",
]

__version__ = "0.1.0"
