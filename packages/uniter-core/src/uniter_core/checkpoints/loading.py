"""Tensors into modules: strict, with a report that a person can read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

__all__ = ["CheckpointError", "LoadReport", "compare", "load_tensors"]

SHOWN = 8  # names of a kind that a report lists before it only counts


class CheckpointError(ValueError):
    """Weights that are absent, damaged, or do not fit."""


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """How a checkpoint's tensors compare with a module's parameters.

    Attributes:
        missing: names the module has and the checkpoint lacks.
        unexpected: names the checkpoint has and the module lacks.
        reshaped: name -> (shape in the module, shape in the checkpoint).
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]

    def __str__(self) -> str:
        lines = []
        for kind, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            lines += _listed(kind, names)
        shapes = [
            f"{name}: expected {list(ours)}, got {list(theirs)}" for name, (ours, theirs) in self.reshaped.items()
        ]
        return "\n".join(lines + _listed("of another shape", shapes)) or "every tensor fits"


def compare(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> LoadReport:
    """Names and shapes of a checkpoint against those that a module's `state_dict()` has."""
    return LoadReport(
        missing=tuple(name for name in expected if name not in tensors),
        unexpected=tuple(name for name in tensors if name not in expected),
        reshaped={
            name: (tuple(value.shape), tuple(tensors[name].shape))
            for name, value in expected.items()
            if name in tensors and tensors[name].shape != value.shape
        },
    )


def load_tensors(
    module: nn.Module, tensors: Mapping[str, Tensor], *, origin: str, allow_missing: Sequence[str] = ()
) -> LoadReport:
    """Copy tensors into a module's parameters of the same names.

    Args:
        module: what is filled.
        tensors: by name.
        origin: where they come from, for messages.
        allow_missing: beginnings of names that may be absent; such parameters keep their values.

    Returns:
        What was missing, if it was allowed to be.

    Raises:
        CheckpointError: a tensor is missing, unexpected or of another shape; nothing has been loaded then.

    >>> import torch
    >>> load_tensors(nn.Linear(2, 1), {"weight": torch.ones(1, 3)}, origin="a.pt")
    Traceback (most recent call last):
    uniter_core.checkpoints.loading.CheckpointError: a.pt does not fit the model
    missing (1): bias
    of another shape (1): weight: expected [1, 2], got [1, 3]
    """
    report = compare(module.state_dict(), tensors)
    lacking = tuple(name for name in report.missing if not name.startswith(tuple(allow_missing)))
    if lacking or report.unexpected or report.reshaped:
        shown = LoadReport(missing=lacking, unexpected=report.unexpected, reshaped=report.reshaped)
        raise CheckpointError(f"{origin} does not fit the model\n{shown}")
    module.load_state_dict(dict(tensors), strict=False)
    return report


def _listed(kind: str, items: Sequence[str]) -> list[str]:
    if not items:
        return []
    rest = f", and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return [f"{kind} ({len(items)}): {', '.join(items[:SHOWN])}{rest}"]
