"""The result object: rounding, proofs, packing, how it prints, and that it is a tree of tensors. B, W, R as ever."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils import _pytree as pytree

from uniter_ot import TransportPlan, cosine_cost, ipot
from uniter_ot.packed_plan import PackedPlan
from uniter_ot.plan import measured_plan
from uniter_ot.problem import Problem, pose


def independent(problem: Problem, *, dual: bool = True) -> TransportPlan:
    """What a poor solver of the problem would answer: ``a b'`` and potentials of zero."""
    a, b = problem.word_weights, problem.region_weights
    potentials = {"word_potential": torch.zeros_like(a), "region_potential": torch.zeros_like(b)} if dual else {}
    return measured_plan(a[:, :, None] * b[:, None, :], problem, iterations=1, **potentials)


def cosine_costs(pairs: int = 4, words: int = 12, regions: int = 9, seed: int = 0) -> Tensor:
    points = torch.randn(pairs, words + regions, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return cosine_cost(points[:, :words], points[:, words:])


@st.composite
def solutions(draw: st.DrawFn) -> TransportPlan:
    """Answers of `ipot` to ragged batches with holes and empty pairs."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 20)), draw(st.integers(1, 30))
    cost = 2 * torch.rand(shape, generator=generator)
    keep = draw(st.sampled_from([0.2, 0.7, 1.0]))
    word_mask = torch.rand(shape[:2], generator=generator) <= keep
    region_mask = torch.rand(shape[0], shape[2], generator=generator) <= keep
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    iterations = draw(st.sampled_from([1, 20]))
    return ipot(cost.to(dtype), word_mask=word_mask, region_mask=region_mask, iterations=iterations)


# Rounding and proofs.


@settings(max_examples=200, deadline=None)
@given(solutions())
def test_rounded_and_bounded(solved: TransportPlan) -> None:
    rounded = solved.round()
    tolerance = 4e-7 if solved.plan.dtype == torch.float32 else 1e-14
    assert (rounded.plan >= 0).all()
    assert torch.maximum(rounded.word_error, rounded.region_error).max() <= tolerance
    assert rounded.converged.all()
    assert (solved.gap >= 0).all()
    assert (solved.lower_bound <= solved.upper_bound + 1e-12).all()
    torch.testing.assert_close(rounded.distance.double(), solved.upper_bound, atol=1e-6, rtol=0)
    torch.testing.assert_close(rounded.gap, solved.gap, atol=1e-6, rtol=0)
    empty = ~solved.problem.real.any(2).any(1)
    assert (solved.gap[empty] == 0).all()
    assert (rounded.plan[empty] == 0).all()


@settings(max_examples=200, deadline=None)
@given(solutions())
def test_the_exact_distance_lies_between(solved: TransportPlan) -> None:
    ot = pytest.importorskip("ot", reason="POT is not installed: pip install 'uniter-ot[exact]'")
    for pair, matrix in enumerate(solved.to_packed()):
        words, regions = matrix.shape
        if matrix.numel():
            rows = (solved.problem.word_weights[pair] > 0).nonzero()[:, 0]
            columns = (solved.problem.region_weights[pair] > 0).nonzero()[:, 0]
            cost = solved.problem.cost[pair].double()[rows][:, columns].contiguous()
            exact = float(ot.emd2(torch.ones(words).double() / words, torch.ones(regions).double() / regions, cost))
            assert solved.lower_bound[pair] <= exact + 1e-9
            assert exact <= solved.upper_bound[pair] + 1e-9


def test_the_gap_at_the_defaults_is_small_and_shrinks() -> None:
    gaps = [ipot(cosine_costs(16, 20, 36), iterations=n).gap.max().item() for n in (10, 50, 200, 1000)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[1] < 1e-2
    assert gaps[3] < 1e-4


def test_bounds_are_computed_once() -> None:
    solved = ipot(cosine_costs())
    assert solved.gap is solved.gap
    assert solved.lower_bound is solved.lower_bound
    assert solved.gap.dtype == torch.float64


def test_rounding_carries_the_envelope_gradient() -> None:
    cost = cosine_costs().requires_grad_()
    rounded = ipot(cost, iterations=5).round()
    rounded.distance.sum().backward()
    torch.testing.assert_close(cost.grad, rounded.plan)
    assert not rounded.plan.requires_grad


def test_rounding_keeps_what_was_asked_and_proved() -> None:
    solved = ipot(cosine_costs(), iterations=5)
    rounded = solved.round()
    assert rounded.problem is solved.problem
    assert rounded.iterations == 5
    assert rounded.region_potential is solved.region_potential
    assert not solved.converged.all()
    torch.testing.assert_close(rounded.lower_bound, solved.lower_bound)


def test_without_a_dual_there_is_no_bound() -> None:
    solved = independent(pose(cosine_costs()), dual=False)
    assert not solved.has_dual
    for name in ("lower_bound", "gap"):
        with pytest.raises(ValueError, match="no dual of the balanced problem"):
            getattr(solved, name)
    torch.testing.assert_close(solved.upper_bound, solved.distance)


def test_an_unbalanced_problem_has_no_rounding() -> None:
    problem = pose(cosine_costs(1, 2, 3), word_weights=torch.ones(1, 2), normalised=False)
    solved = independent(problem)
    for ask in (lambda: solved.gap, lambda: solved.upper_bound, solved.round):
        with pytest.raises(ValueError, match=r"expected a balanced problem.* sum of 2 for pair 0"):
            ask()


# Alignments and packing.


def test_best_regions() -> None:
    cost = torch.tensor([[[1.0, 0.0, 9.0], [0.0, 1.0, 9.0], [0.0, 0.0, 0.0]], [[0.0] * 3] * 3])
    mask = torch.tensor([[True, True, False], [False] * 3])
    solved = ipot(cost, word_mask=mask, region_mask=torch.tensor([[True, True, False]] * 2))
    assert solved.best_regions.tolist() == [[1, 0, -1], [-1, -1, -1]]
    assert independent(pose(torch.rand(1, 2, 0))).best_regions.tolist() == [[-1, -1]]


@settings(max_examples=200, deadline=None)
@given(solutions())
def test_packing_is_undone_by_padding(solved: TransportPlan) -> None:
    packed = solved.to_packed()
    assert torch.equal(packed.to_padded(), solved.plan)
    assert len(packed) == len(solved.plan)
    assert packed.offsets[0] == 0
    assert packed.offsets[-1] == packed.values.numel()
    for pair, matrix in enumerate(packed):
        rows, columns = packed.word_mask[pair], packed.region_mask[pair]
        assert matrix.shape == (packed.word_lengths[pair], packed.region_lengths[pair])
        assert torch.equal(matrix, solved.plan[pair][rows][:, columns])
        assert torch.equal(matrix.flatten(), packed.values[packed.offsets[pair] : packed.offsets[pair + 1]])


def test_a_packed_plan_is_a_sequence() -> None:
    packed = ipot(cosine_costs(3, 4, 5)).to_packed()
    assert isinstance(packed, PackedPlan)
    assert torch.equal(packed[-1], packed[2])
    assert len(list(packed)) == 3
    with pytest.raises(IndexError):
        packed[3]
    assert repr(packed) == "PackedPlan(3 pairs of at most 4 x 5, 60 values)"


# How it prints.


def test_repr() -> None:
    text = repr(ipot(cosine_costs(2, 6, 4).float(), iterations=5))
    assert text.startswith("TransportPlan(2 pairs of 6 x 4, float32, 5 iterations; distance ")
    assert text.endswith("(regions); 0 of 2 converged)")
    assert repr(independent(pose(torch.tensor([[[0.25]]])))) == (
        "TransportPlan(1 pair of 1 x 1, float32, 1 iteration; distance 0.25; "
        "marginals off by at most 0.0e+00 (words), 0.0e+00 (regions); 1 of 1 converged)"
    )
    assert repr(independent(pose(torch.rand(0, 2, 3)))) == "TransportPlan(0 pairs of 2 x 3, float32, 1 iteration)"


def printed(solved: TransportPlan) -> str:
    console = pytest.importorskip("rich.console", reason="rich is not installed").Console(width=100)
    with console.capture() as captured:
        console.print(solved)
    text: str = captured.get()
    return text


def test_rich_table() -> None:
    few = printed(ipot(cosine_costs(3, 6, 4)))
    assert "3 pairs of 6 x 4, float64, 50 iterations" in few
    assert "more" not in few
    many = printed(ipot(cosine_costs(14, 6, 4), iterations=1))
    assert "… 4 more" in many
    assert many.count("no ") == 10
    assert " - " in printed(independent(pose(cosine_costs(1)), dual=False))


# A tree of tensors.


@pytest.mark.parametrize("dual", [True, False])
def test_vmap(dual: bool) -> None:
    cost = cosine_costs(6, 4, 5).view(3, 2, 4, 5)
    together = torch.func.vmap(lambda c: independent(pose(c), dual=dual))(cost)
    assert isinstance(together, TransportPlan)
    assert together.plan.shape == (3, 2, 4, 5)
    assert together.iterations == 1
    assert repr(together) == "TransportPlan(shape (3, 2, 4, 5), float64, 1 iteration)"
    second, alone = pytree.tree_map(lambda leaf: leaf[1], together), independent(pose(cost[1]))
    torch.testing.assert_close(second.distance, alone.distance)
    torch.testing.assert_close(second.upper_bound, alone.upper_bound)
    if dual:
        torch.testing.assert_close(second.gap, alone.gap)
    else:
        assert second.region_potential is None


def test_vmap_of_a_solver() -> None:
    cost = cosine_costs(6, 4, 5).view(3, 2, 4, 5)
    together = torch.func.vmap(ipot)(cost)
    second = pytree.tree_map(lambda leaf: leaf[1], together)
    torch.testing.assert_close(second.gap, ipot(cost[1]).gap)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_functions_may_return_it(backend: str) -> None:
    cost = cosine_costs()
    solved = torch.compile(lambda c: independent(pose(c)), fullgraph=True, backend=backend)(cost)
    assert isinstance(solved, TransportPlan)
    torch.testing.assert_close(solved.gap, independent(pose(cost)).gap)


def test_tree_maps_over_fields_and_problem_alike() -> None:
    solved = independent(pose(cosine_costs()), dual=False)
    narrow = pytree.tree_map(lambda leaf: leaf.float() if leaf.is_floating_point() else leaf, solved)
    assert narrow.plan.dtype == narrow.problem.cost.dtype == torch.float32
    assert narrow.word_potential is None
    names = {pytree.keystr(path) for path, _ in pytree.tree_leaves_with_path(solved)}
    own = {".plan", ".distance", ".word_error", ".region_error", ".converged"}
    assert names == own | {".problem.cost", ".problem.word_weights", ".problem.region_weights"}


def test_copies() -> None:
    solved = ipot(cosine_costs())
    assert torch.equal(copy.deepcopy(solved).gap, solved.gap)
