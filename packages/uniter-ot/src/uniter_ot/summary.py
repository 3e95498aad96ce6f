"""A transport plan in words: one line for a prompt, a table for a terminal that has rich.

Axes: B pairs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from uniter_ot.plan import TransportPlan

__all__ = ["summary_line", "summary_table"]

TABLE_ROWS = 10


def summary_line(solved: "TransportPlan") -> str:
    """Sizes, distances, errors and convergence of all pairs in one line."""
    plan = solved.plan
    if plan.dim() != 3 or not len(plan):  # under vmap there are more axes; an empty batch has nothing to sum up
        return _size(solved)
    lowest, highest = solved.distance.min().item(), solved.distance.max().item()
    distance = f"{lowest:.4g}" if len(plan) == 1 else f"{lowest:.4g} to {highest:.4g}"
    return (
        f"{_size(solved)}; distance {distance}; "
        f"marginals off by at most {solved.word_error.max().item():.1e} (words), "
        f"{solved.region_error.max().item():.1e} (regions); "
        f"{int(solved.converged.sum())} of {len(plan)} converged"
    )


def summary_table(solved: "TransportPlan") -> "Table":
    """The first pairs row by row, for `rich.print`; with the certified gap where the solver's dual gives one."""
    from rich import box
    from rich.table import Table

    table = Table(title=_size(solved), title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD)
    for name in ("pair", "words", "regions", "distance", "gap", "words off", "regions off"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("converged", justify="right", no_wrap=True)
    shown = min(len(solved.plan), TABLE_ROWS)
    words = (solved.problem.word_weights > 0).sum(1)
    regions = (solved.problem.region_weights > 0).sum(1)
    gap = solved.gap if solved.has_dual else None
    for pair in range(shown):
        table.add_row(
            str(pair),
            str(words[pair].item()),
            str(regions[pair].item()),
            f"{solved.distance[pair].item():.4f}",
            "-" if gap is None else f"{gap[pair].item():.1e}",
            f"{solved.word_error[pair].item():.1e}",
            f"{solved.region_error[pair].item():.1e}",
            "[green]yes[/]" if solved.converged[pair] else "[yellow]no[/]",
        )
    if len(solved.plan) > shown:
        table.caption = f"… {len(solved.plan) - shown} more"
    return table


def _size(solved: "TransportPlan") -> str:
    shape = solved.plan.shape
    if len(shape) == 3:
        pairs, words, regions = shape
        size = f"{pairs} {'pair' if pairs == 1 else 'pairs'} of {words} x {regions}"
    else:
        size = f"shape {tuple(shape)}"
    dtype = str(solved.plan.dtype).removeprefix("torch.")
    return f"{size}, {dtype}, {solved.iterations} {'iteration' if solved.iterations == 1 else 'iterations'}"
