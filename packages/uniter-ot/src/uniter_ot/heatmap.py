"""A transport plan as a picture: one row a word, one column a region, dark where the word's mass goes.

Axes: W words, R regions of one pair.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from uniter_ot.plan import TransportPlan

__all__ = ["draw_plan"]

SHADES = ("#f4f7f8", "#d3e5ea", "#9fcbd3", "#5ea9b6", "#2b7f93", "#14556e", "#0c2f4a")
INK = "#22313a"
FAINT_INK = "#6b7a83"
LARGEST_WRITTEN = 300
"""Cells a map may have for values to be written into them."""
SMALLEST_WRITTEN = 0.095
"""Shares below this stay unwritten: they would be noise beside the strong ones."""


def draw_plan(
    solved: "TransportPlan",
    pair: int = 0,
    *,
    words: Sequence[str] | None = None,
    regions: Sequence[str] | None = None,
    axes: "Axes | None" = None,
) -> "Axes":
    """Draw a pair's plan as each word's shares of the regions; `TransportPlan.plot` documents the arguments."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("plot needs matplotlib: pip install 'uniter-ot[plot]'") from error
    word_present = (solved.problem.word_weights[pair] > 0).cpu()
    region_present = (solved.problem.region_weights[pair] > 0).cpu()
    word_labels = _labels("words", words, word_present)
    region_labels = _labels("regions", regions, region_present)
    if not word_labels or not region_labels:
        raise ValueError(f"pair: expected one with words and regions to draw, got pair {pair}, which lacks them")
    mass = solved.plan[pair].cpu().double()[word_present][:, region_present]
    shares = mass / mass.sum(1, keepdim=True).clamp_min(1e-300)
    axes = _new_axes(word_labels, region_labels) if axes is None else axes
    _draw_cells(axes, shares)
    _name_rows_and_columns(axes, word_labels, region_labels, named=(words is not None, regions is not None))
    axes.set_title(_title(solved, pair), loc="left", fontsize=10.5, color=INK, pad=10)
    return axes


def _labels(name: str, given: Sequence[str] | None, present: Tensor) -> list[str]:
    """Names of the present points; their indices where none are given."""
    positions: list[int] = present.nonzero()[:, 0].tolist()
    if given is None:
        return [str(position) for position in positions]
    if len(given) == len(present):
        return [given[position] for position in positions]
    if len(given) == len(positions):
        return list(given)
    raise ValueError(
        f"{name}: expected {len(positions)} names of the present {name} or {len(present)} of all, got {len(given)}"
    )


def _new_axes(words: list[str], regions: list[str]) -> "Axes":
    """An empty figure in which cells are wide enough for their values, or small where there are many."""
    from matplotlib import pyplot as plt

    cell = 0.16 if len(words) * len(regions) > LARGEST_WRITTEN else 0.56
    longest_word, longest_region = max(map(len, words)), max(map(len, regions))
    width = 1.9 + 0.075 * longest_word + max(cell * len(regions), 2.2)
    height = 1.0 + 0.055 * longest_region + max(0.7 * cell * len(words), 0.8)
    axes: Axes = plt.subplots(figsize=(width, height), layout="constrained", dpi=120)[1]
    return axes


def _draw_cells(axes: "Axes", shares: Tensor) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    words, regions = shares.shape
    written = words * regions <= LARGEST_WRITTEN
    peak = shares.max().item()
    image = axes.pcolormesh(
        shares.numpy(),
        cmap=LinearSegmentedColormap.from_list("plan", SHADES),
        vmin=0,
        vmax=peak or 1,
        edgecolors="white",
        linewidth=1.5 if written else 0.3,
    )
    axes.invert_yaxis()
    bar: Any = axes.figure.colorbar(image, ax=axes, fraction=0.035, pad=0.02, aspect=24, format=lambda x, _: f"{x:.0%}")
    bar.set_label("share of the word's mass", fontsize=9, color=FAINT_INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=FAINT_INK)
    if not written:
        return
    for word, region in (shares >= SMALLEST_WRITTEN).nonzero().tolist():
        share = shares[word, region].item()
        colour = "white" if share > 0.55 * peak else INK
        axes.text(region + 0.5, word + 0.5, f"{share:.0%}", ha="center", va="center", fontsize=8.5, color=colour)


def _name_rows_and_columns(axes: "Axes", words: list[str], regions: list[str], *, named: tuple[bool, bool]) -> None:
    """Names beside every row and above every column; of mere indices only as many as have room."""
    small = max(len(words), len(regions)) > 24
    size = 7 if small else 10
    word_step = 5 if small and not named[0] else 1
    region_step = 5 if small and not named[1] else 1
    axes.set_yticks([i + 0.5 for i in range(0, len(words), word_step)], words[::word_step], fontsize=size)
    crowded = max(map(len, regions)) > (2 if small else 5) and region_step == 1
    angle = 0 if not crowded else 90 if small else 40
    axes.set_xticks(
        [j + 0.5 for j in range(0, len(regions), region_step)],
        regions[::region_step],
        fontsize=size,
        rotation=angle,
        ha="left" if crowded else "center",
        va="center" if angle == 90 else "baseline",
        rotation_mode="anchor",
    )
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=4, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("word" if not named[0] else "", color=FAINT_INK, fontsize=9)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("region" if not named[1] else "", color=FAINT_INK, fontsize=9)


def _title(solved: "TransportPlan", pair: int) -> str:
    title = f"distance {solved.distance[pair].item():.4f}"
    if solved.has_dual:
        title += f"   gap {solved.gap[pair].item():.2g}"
    if len(solved.plan) > 1:
        title = f"pair {pair}   {title}"
    return title
