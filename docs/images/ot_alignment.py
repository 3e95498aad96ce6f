"""Draw ot-alignment.png: one sentence, one picture, and the transport plan between them.

The vectors are made by hand from a few concepts, so that everyone can check by eye what should go where; nothing here
was learnt or measured. Run from anywhere: ``python docs/images/ot_alignment.py``.

Axes: W words, R regions, H concepts.
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Ellipse, FancyBboxPatch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path as Curve
from torch import Tensor

from uniter_ot import TransportPlan, cosine_cost, ipot

CONCEPTS = ("red", "green", "round", "plant", "tall", "ground", "sky", "home", "glue")
WORDS: list[tuple[str, dict[str, float]]] = [
    ("a", {"glue": 1.0, "home": 0.3}),
    ("red", {"red": 1.0, "round": 0.2}),
    ("ball", {"round": 1.0, "red": 0.5}),
    ("lies", {"ground": 1.0, "glue": 0.3}),
    ("under", {"ground": 0.7, "glue": 0.5, "sky": 0.3}),
    ("a", {"glue": 1.0, "home": 0.3}),
    ("tall", {"tall": 1.0, "plant": 0.2}),
    ("green", {"green": 1.0, "plant": 0.3}),
    ("tree", {"plant": 1.0, "tall": 0.5, "green": 0.2}),
]
REGIONS: list[tuple[str, dict[str, float], str, tuple[float, float, float, float]]] = [
    ("house", {"home": 1.0, "glue": 0.5, "red": 0.2}, "#c98a3d", (0.5, 1.65, 2.7, 2.6)),
    ("ball", {"red": 1.0, "round": 0.9}, "#d1495b", (4.35, 0.85, 1.5, 1.5)),
    ("grass", {"ground": 1.0, "green": 0.9}, "#7a9e4b", (0.15, 0.15, 3.7, 1.25)),
    ("sun", {"sky": 1.0, "glue": 0.5, "round": 0.2}, "#e0a100", (3.55, 4.65, 1.7, 1.7)),
    ("tree", {"plant": 1.0, "tall": 0.9, "green": 0.7}, "#2e7d5b", (5.6, 1.0, 4.1, 5.6)),
]
INK, FAINT_INK = "#22313a", "#6b7a83"


def vectors(points: list[dict[str, float]]) -> Tensor:
    """(1, L, H) one vector a point, its coordinates the concepts."""
    return torch.tensor([[[point.get(concept, 0.0) for concept in CONCEPTS] for point in points]])


def solve() -> TransportPlan:
    """The plan between the words and the regions, its marginals made exact so that the ribbons close."""
    cost = cosine_cost(vectors([point for _, point in WORDS]), vectors([point for _, point, _, _ in REGIONS]))
    return ipot(cost, iterations=200).round()


def draw_scene(axes: Axes) -> None:
    """The picture and its regions' boxes."""
    frame = FancyBboxPatch((0, 0), 10, 7, boxstyle="round,pad=0,rounding_size=0.25", lw=0, fc="#e4f1f6")
    axes.add_patch(frame)
    shapes = [
        Ellipse((5, -1.2), 16, 6.2, fc="#b5cf8b"),
        Circle((4.4, 5.5), 0.6, fc="#f6c945"),
        Rectangle((0.8, 1.75), 2.1, 1.4, fc="#f1dfc3"),
        Polygon([(0.6, 3.15), (1.85, 4.15), (3.1, 3.15)], fc="#b9695a"),
        Rectangle((1.55, 1.75), 0.55, 0.85, fc="#8a6a4f"),
        Rectangle((7.4, 1.15), 0.55, 2.6, fc="#8a6a4f"),
        *(Circle(centre, 1.15, fc="#4f9a6f") for centre in ((6.9, 4.0), (8.5, 4.0), (7.15, 5.1), (8.2, 5.15))),
        Circle((7.7, 4.4), 1.1, fc="#4f9a6f"),
        Circle((5.1, 1.6), 0.55, fc="#d1495b"),
        Ellipse((4.92, 1.8), 0.25, 0.16, angle=35, fc="#eda5ae"),
    ]
    for shape in shapes:
        axes.add_patch(shape)
        shape.set_clip_path(frame)
    for name, _, colour, (left, bottom, width, height) in REGIONS:
        axes.add_patch(Rectangle((left, bottom), width, height, fill=False, ec=colour, lw=2.2))
        label = {"fc": colour, "ec": "none", "pad": 2.2}
        axes.text(left + 0.1, bottom + height - 0.12, name, color="white", fontsize=10, va="top", bbox=label)
    axes.set(xlim=(0, 10), ylim=(0, 7), aspect="equal")


def draw_ribbons(axes: Axes, plan: Tensor) -> None:
    """Words on the left, regions on the right, between them ribbons as wide as the mass that is carried."""
    words, regions = plan.shape
    gap = 0.022
    word_tops = [word * (1 / words + gap) for word in range(words)]
    total = 1 + gap * (words - 1)
    region_gap = (total - 1) / (regions - 1)
    region_tops = [region * (1 / regions + region_gap) for region in range(regions)]
    for word, (name, _) in enumerate(WORDS):
        axes.add_patch(Rectangle((0, word_tops[word]), 0.025, 1 / words, fc=INK))
        axes.text(-0.03, word_tops[word] + 0.5 / words, name, ha="right", va="center", fontsize=12.5, color=INK)
    for region, (name, _, colour, _) in enumerate(REGIONS):
        axes.add_patch(Rectangle((0.975, region_tops[region]), 0.025, 1 / regions, fc=colour))
        axes.text(
            1.03, region_tops[region] + 0.5 / regions, name, va="center", fontsize=12.5, color=colour, weight="bold"
        )
    for word in range(words):
        for region in range(regions):
            width = plan[word, region].item()
            axes.add_patch(_ribbon(word_tops[word], region_tops[region], width, REGIONS[region][2]))
            word_tops[word] += width
            region_tops[region] += width
    axes.set(xlim=(-0.3, 1.3), ylim=(total, 0))


def _ribbon(left: float, right: float, width: float, colour: str) -> PathPatch:
    near, far = 0.028, 0.972
    points = [
        (near, left), (0.5, left), (0.5, right), (far, right),
        (far, right + width), (0.5, right + width), (0.5, left + width), (near, left + width), (near, left),
    ]  # fmt: skip
    curve = [Curve.CURVE4] * 3
    path = Curve(points, [Curve.MOVETO, *curve, Curve.LINETO, *curve, Curve.CLOSEPOLY])
    return PathPatch(path, fc=colour, alpha=0.55, lw=0)


def main() -> None:
    """Solve and draw."""
    solved = solve()
    figure, (scene, ribbons, table) = plt.subplots(
        1, 3, figsize=(15.5, 4.7), width_ratios=[1.35, 1.1, 1.0], layout="constrained"
    )
    draw_scene(scene)
    draw_ribbons(ribbons, solved.plan[0])
    solved.plot(words=[name for name, _ in WORDS], regions=[name for name, *_ in REGIONS], axes=table)
    titles = (
        (scene, "1  A sentence and a picture; nobody said what is what"),
        (ribbons, "2  Words carried onto regions at least cost"),
        (table, f"3  The plan; its cost is the distance, {solved.distance[0].item():.2f}"),
    )
    sentence = " ".join(name for name, _ in WORDS)
    captions = (
        (scene, f"“{sentence}”", {"fontsize": 14, "style": "italic", "color": INK}),
        (
            ribbons,
            "every word gives the same, every region takes the same:\nwhat nobody names gets the little words",
            {},
        ),
        (table, "each word's row adds up to 100 %", {}),
    )
    for axes, title in titles:
        axes.set_title(title, loc="left", fontsize=12.5, color=INK, y=1.09, pad=0)
    for axes, caption, style in captions:
        style = {"fontsize": 11, "color": FAINT_INK, "ha": "center", "va": "top"} | style
        axes.text(0.5, -0.045, caption, transform=axes.transAxes, **style)
    for axes in (scene, ribbons):
        axes.axis("off")
    figure.savefig(Path(__file__).with_name("ot-alignment.png"), dpi=110)


if __name__ == "__main__":
    main()
