"""The heat map of a plan: what it names, what it leaves out, what it writes."""

import sys
from collections.abc import Iterator

import pytest
import torch

from uniter_ot import TransportPlan, ipot
from uniter_ot.plan import measured_plan
from uniter_ot.problem import pose

mpl = pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'uniter-ot[plot]'")
mpl.use("agg")

from matplotlib import pyplot as plt  # noqa: E402

WORDS = ["a", "red", "ball", "[PAD]"]
REGIONS = ["ball", "no region", "tree"]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def solved() -> TransportPlan:
    """Two pairs of 4 x 3; of the first the last word and the middle region are absent, the second has no word."""
    cost = torch.ones(2, 4, 3)
    cost[0, 1:3, 0] = 0.1
    word_mask = torch.tensor([[True, True, True, False], [False] * 4])
    return ipot(cost, word_mask=word_mask, region_mask=torch.tensor([[True, False, True]] * 2), iterations=200)


def labels(axes: plt.Axes) -> tuple[list[str], list[str]]:
    axes.figure.canvas.draw()
    return [t.get_text() for t in axes.get_yticklabels()], [t.get_text() for t in axes.get_xticklabels()]


def test_names_of_all_points_and_of_present_ones(solved: TransportPlan) -> None:
    expected = ["a", "red", "ball"], ["ball", "tree"]
    assert labels(solved.plot(words=WORDS, regions=REGIONS)) == expected
    assert labels(solved.plot(words=WORDS[:3], regions=["ball", "tree"])) == expected


def test_indices_where_there_are_no_names(solved: TransportPlan) -> None:
    axes = solved.plot()
    assert labels(axes) == (["0", "1", "2"], ["0", "2"])
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("word", "region")


def test_cells_are_shares_of_the_word(solved: TransportPlan) -> None:
    axes = solved.plot(words=WORDS, regions=REGIONS)
    shares = axes.collections[0].get_array()
    assert shares.shape == (3, 2)
    assert shares.sum(1).tolist() == pytest.approx([1, 1, 1])
    assert {"100%", "75%", "25%"} == {text.get_text() for text in axes.texts}
    assert axes.yaxis_inverted()


def test_the_title_says_how_good_it_is(solved: TransportPlan) -> None:
    title = solved.plot().get_title(loc="left")
    assert title == f"pair 0   distance {solved.distance[0]:.4f}   gap {solved.gap[0]:.2g}"
    alone = measured_plan(torch.ones(1, 1, 1), pose(torch.tensor([[[0.25]]])), iterations=1)
    assert alone.plot().get_title(loc="left") == "distance 0.2500"


def test_draws_into_given_axes(solved: TransportPlan) -> None:
    figure, (left, right) = plt.subplots(1, 2)
    assert solved.plot(axes=right) is right
    assert not left.collections
    assert len(figure.axes) == 3  # and the colour bar


def test_large_plans_stay_readable() -> None:
    cost = torch.rand(1, 40, 60, generator=torch.Generator().manual_seed(0))
    axes = ipot(cost).plot()
    assert not axes.texts
    rows, columns = labels(axes)
    assert rows == [str(i) for i in range(0, 40, 5)]
    assert columns == [str(i) for i in range(0, 60, 5)]
    named = ipot(cost).plot(words=[f"word{i}" for i in range(40)], regions=[f"region {i}" for i in range(60)])
    assert len(labels(named)[1]) == 60


def test_savable_without_warnings(solved: TransportPlan, tmp_path: object) -> None:
    solved.plot(words=WORDS, regions=REGIONS).figure.savefig(f"{tmp_path}/plan.png")


def test_a_plan_that_carries_nothing_is_drawn_all_the_same() -> None:
    nothing = measured_plan(torch.zeros(1, 2, 3), pose(torch.rand(1, 2, 3)), iterations=1)
    assert nothing.plot().collections[0].get_array().max() == 0


def test_refuses(solved: TransportPlan) -> None:
    with pytest.raises(ValueError, match="words: expected 3 names of the present words or 4 of all, got 2"):
        solved.plot(words=["a", "b"])
    with pytest.raises(ValueError, match="got pair 1, which lacks them"):
        solved.plot(1)
    with pytest.raises(IndexError):
        solved.plot(2)


def test_without_matplotlib_it_says_what_to_install(solved: TransportPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'uniter-ot\[plot\]'"):
        solved.plot()
