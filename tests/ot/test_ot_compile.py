"""torch.compile follows solver and losses without a break, torch.func maps and differentiates them."""

import shutil
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

from uniter_ot import AlignmentLoss, TransportPlan, alignment_loss, alignment_loss_packed, ipot, wra_loss


@pytest.fixture(autouse=True)
def _forget_compiled_code() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def points(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


class Padded(nn.Module):
    """A small model that ends in the loss."""

    def __init__(self, backend: str, schedule: str = "constant") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.regions = nn.Linear(6, 8), nn.Linear(5, 8)
        self.loss = AlignmentLoss(iterations=10, schedule=schedule, backend=backend)

    def forward(self, words: Tensor, regions: Tensor, word_mask: Tensor, region_weights: Tensor) -> Tensor:
        distances = self.loss(
            self.words(words).tanh(), self.regions(regions), word_mask=word_mask, region_weights=region_weights
        )
        return wra_loss(distances, torch.arange(len(distances)) % 2 == 0)

    @staticmethod
    def inputs(seed: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        weights = torch.rand(4, 9, generator=generator)
        word_mask = torch.rand(4, 7, generator=generator) < 0.7
        return points(4, 7, 6, seed=seed), points(4, 9, 5, seed=seed + 1), word_mask, weights / weights.sum(1)[:, None]


class Packed(nn.Module):
    """One whose units, words and regions in turn, lie in one matrix."""

    def __init__(self, backend: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.units = nn.Linear(6, 8)
        self.backend = backend

    def forward(self, units: Tensor, lengths: Tensor) -> Tensor:
        units = self.units(units)
        ends = lengths.flatten().cumsum(0).view_as(lengths)
        starts = ends - lengths
        distances = alignment_loss_packed(
            units, units, lengths[:, 0], lengths[:, 1], word_starts=starts[:, 0], region_starts=starts[:, 1],
            max_words=6, max_regions=8, iterations=10, backend=self.backend,
        )  # fmt: skip
        return distances.mean()

    @staticmethod
    def inputs(seed: int) -> tuple[Tensor, ...]:
        lengths = torch.tensor([[3, 4], [6, 8], [0, 2], [1, 1]])
        return points(int(lengths.sum()), 6, seed=seed), lengths.roll(seed, 0)


class Solver(nn.Module):
    """One that uses plan and distance of the solver itself."""

    def __init__(self, backend: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Linear(6, 5)
        self.backend = backend

    def forward(self, words: Tensor, regions: Tensor, region_mask: Tensor) -> Tensor:
        cost = torch.cdist(self.words(words), regions)
        solved = ipot(cost, region_mask=region_mask, iterations=10, inner=2, relaxation=1.2, backend=self.backend)
        return (solved.plan @ regions).square().sum() + solved.distance.sum() + (cost * solved.plan).sum()

    @staticmethod
    def inputs(seed: int) -> tuple[Tensor, ...]:
        region_mask = torch.rand(4, 9, generator=torch.Generator().manual_seed(seed)) < 0.7
        return points(4, 7, 6, seed=seed), points(4, 9, 5, seed=seed + 1), region_mask


def run(model: nn.Module, call: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """The loss, and its gradients to the first input and to all parameters."""
    first = inputs[0].clone().requires_grad_()
    loss = call(first, *inputs[1:])
    return [loss.detach(), *torch.autograd.grad(loss, [first, *model.parameters()], allow_unused=True)]


@pytest.mark.parametrize("kind", [Padded, Packed, Solver])
def test_no_break_and_no_second_compilation(backend: str, kind: type[nn.Module]) -> None:
    model = kind(backend)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(model, backend=counter, fullgraph=True)
    for seed in range(3):
        inputs = kind.inputs(seed)  # type: ignore[attr-defined]
        torch.testing.assert_close(run(model, compiled, inputs), run(model, model, inputs), atol=1e-6, rtol=1e-5)
        assert counter.frame_count == 1
    if kind is Padded:  # other shapes are compiled once more, for any number of pairs
        for pairs in (3, 2):
            inputs = tuple(tensor[:pairs] for tensor in Padded.inputs(5))
            torch.testing.assert_close(run(model, compiled, inputs), run(model, model, inputs), atol=1e-6, rtol=1e-5)
        assert counter.frame_count == 2


def test_staged_and_automatic_choice_compile() -> None:
    model = Padded("auto", schedule="staged")
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    inputs = Padded.inputs(0)
    torch.testing.assert_close(run(model, compiled, inputs), run(model, model, inputs), atol=1e-6, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of the compiler's own code
def test_inductor() -> None:
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("there is no C++ compiler for inductor")
    model = Padded("auto")
    compiled = torch.compile(model, fullgraph=True)
    inputs = Padded.inputs(0)
    torch.testing.assert_close(run(model, compiled, inputs), run(model, model, inputs), atol=1e-6, rtol=1e-5)


def test_autocast_inside_a_compiled_model() -> None:
    words, regions = points(3, 4, 8), points(3, 5, 8, seed=1)

    @torch.compile(backend="aot_eager", fullgraph=True)
    def distances(words: Tensor, regions: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return alignment_loss(words, regions)

    assert torch.equal(distances(words, regions), alignment_loss(words, regions))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda inputs: (inputs[0] / 0, *inputs[1:]), "words: expected finite vectors"),
        (lambda inputs: (*inputs[:3], -inputs[3]), "region_weights: expected finite numbers of at least 0"),
        (
            lambda inputs: (*inputs[:3], 2 * inputs[3]),
            "region_weights: expected weights that add up to 1, got a sum of 2",
        ),
    ],
)
def test_values_are_checked_at_run_time(change: Callable, message: str) -> None:
    compiled = torch.compile(Padded("torch"), backend="aot_eager", fullgraph=True)
    inputs = Padded.inputs(0)
    compiled(*inputs)
    with pytest.raises(ValueError, match=message):
        compiled(*change(inputs))
    compiled(*inputs)


def test_lengths_are_checked_at_run_time() -> None:
    compiled = torch.compile(Packed("torch"), backend="aot_eager", fullgraph=True)
    units, lengths = Packed.inputs(0)
    compiled(units, lengths)
    with pytest.raises(ValueError, match="word_lengths: expected at most 6, the longest as said, got 7"):
        compiled(units, lengths + torch.tensor([[0, 0], [1, -1], [0, 0], [0, 0]]))
    with pytest.raises(ValueError, match="region_starts: expected runs within 25 rows, got rows 24 to 26 for pair 3"):
        compiled(units, lengths + torch.tensor([[0, 0], [0, 0], [0, 0], [0, 1]]))

    @torch.compile(backend="aot_eager", fullgraph=True)
    def dense(words: Tensor, counts: Tensor) -> Tensor:
        return alignment_loss_packed(words, words, counts, counts, max_words=4, max_regions=4)

    with pytest.raises(ValueError, match="word_lengths: expected lengths that add up to the 5 rows of words, got 4"):
        dense(points(5, 3), torch.tensor([2, 2]))


def test_costs_are_checked_at_run_time() -> None:
    compiled = torch.compile(lambda cost: ipot(cost).distance, backend="aot_eager", fullgraph=True)
    cost = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    compiled(cost)
    cost[1, 2, 3] = torch.nan
    with pytest.raises(ValueError, match="cost: expected finite numbers, got nan for pair 1, word 2, region 3"):
        compiled(cost)


# torch.func.


def test_vmap_of_the_solver(backend: str) -> None:
    """Over batches of pairs, and over single ones; the result object comes out of vmap as itself."""
    cost = points(5, 2, 4, 6, dtype=torch.float64).square()
    mask = torch.rand(5, 2, 6, generator=torch.Generator().manual_seed(1)) < 0.7
    solved = torch.func.vmap(lambda c, m: ipot(c, region_mask=m, backend=backend))(cost, mask)
    assert isinstance(solved, TransportPlan)
    for i in range(5):
        alone = ipot(cost[i], region_mask=mask[i], backend=backend)
        for name in ("plan", "distance", "region_error", "converged"):
            torch.testing.assert_close(getattr(solved, name)[i], getattr(alone, name), atol=1e-12, rtol=0)
        assert solved.word_potential is not None
        assert solved.word_potential[i].shape == (2, 4)
    weights = torch.softmax(points(4, seed=2, dtype=torch.float64), 0)[None]
    single = torch.func.vmap(lambda c: ipot(c[None], word_weights=weights, backend=backend).plan[0], in_dims=2)
    flat = cost[0].movedim(0, 2)  # (W, R, pairs)
    expected = ipot(cost[0], word_weights=weights.expand(2, -1), backend=backend).plan
    torch.testing.assert_close(single(flat), expected, atol=1e-12, rtol=0)


def test_grad_of_the_solver(backend: str) -> None:
    cost = points(5, 2, 4, 6, dtype=torch.float64).square()

    def distance(cost: Tensor) -> Tensor:
        return ipot(cost, backend=backend).distance.sum()

    torch.testing.assert_close(torch.func.grad(distance)(cost[0]), ipot(cost[0], backend=backend).plan)
    gradients = torch.func.vmap(torch.func.grad(distance))(cost)
    torch.testing.assert_close(gradients, torch.stack([torch.func.grad(distance)(c) for c in cost]))


def test_vmap_and_grad_of_the_loss(backend: str) -> None:
    words, regions = points(5, 2, 4, 6, dtype=torch.float64), points(5, 2, 7, 6, seed=1, dtype=torch.float64)
    mask = torch.rand(5, 2, 4, generator=torch.Generator().manual_seed(1)) < 0.7

    def loss(words: Tensor, regions: Tensor, mask: Tensor) -> Tensor:
        return alignment_loss(words, regions, word_mask=mask, iterations=10, backend=backend)

    def total(words: Tensor, regions: Tensor, mask: Tensor) -> Tensor:
        return loss(words, regions, mask).sum()

    looped = torch.stack([loss(*arguments) for arguments in zip(words, regions, mask, strict=True)])
    torch.testing.assert_close(torch.func.vmap(loss)(words, regions, mask), looped, atol=1e-12, rtol=0)
    # One text against many images: an argument that is not mapped.
    against = torch.func.vmap(loss, in_dims=(None, 0, None))(words[0], regions, mask[0])
    looped = torch.stack([loss(words[0], y, mask[0]) for y in regions])
    torch.testing.assert_close(against, looped, atol=1e-12, rtol=0)

    gradients = torch.func.vmap(torch.func.grad(total, argnums=(0, 1)))(words, regions, mask)
    for i in range(5):
        x, y = words[i].clone().requires_grad_(), regions[i].clone().requires_grad_()
        expected = torch.autograd.grad(total(x, y, mask[i]), (x, y))
        torch.testing.assert_close((gradients[0][i], gradients[1][i]), expected, atol=1e-12, rtol=0)


def test_grad_of_a_vmapped_loss(backend: str) -> None:
    """One text against many images, all of whose gradients come together at the text."""
    words, regions = points(2, 4, 6, dtype=torch.float64), points(5, 2, 7, 6, seed=1, dtype=torch.float64)

    def total(words: Tensor) -> Tensor:
        return torch.func.vmap(lambda y: alignment_loss(words, y, iterations=10, backend=backend))(regions).sum()

    x = words.clone().requires_grad_()
    looped = torch.stack([alignment_loss(x, y, iterations=10, backend=backend) for y in regions]).sum()
    (expected,) = torch.autograd.grad(looped, x)
    torch.testing.assert_close(torch.func.grad(total)(words), expected, atol=1e-12, rtol=0)


def test_vmap_and_grad_of_the_packed_loss(backend: str) -> None:
    words, regions = points(5, 7, 6, dtype=torch.float64), points(5, 9, 6, seed=1, dtype=torch.float64)
    word_lengths = torch.tensor([[3, 0, 4], [7, 0, 0], [2, 2, 3], [1, 5, 1], [0, 3, 4]])
    region_lengths = torch.tensor([3, 4, 2])

    def loss(words: Tensor, regions: Tensor, lengths: Tensor) -> Tensor:
        return alignment_loss_packed(
            words, regions, lengths, region_lengths, max_words=7, max_regions=4, iterations=10, backend=backend
        )

    def total(words: Tensor, regions: Tensor, lengths: Tensor) -> Tensor:
        return (loss(words, regions, lengths) * torch.tensor([1.0, 2.0, -1.0])).sum()

    looped = torch.stack([loss(*arguments) for arguments in zip(words, regions, word_lengths, strict=True)])
    torch.testing.assert_close(torch.func.vmap(loss)(words, regions, word_lengths), looped, atol=1e-12, rtol=0)
    gradients = torch.func.vmap(torch.func.grad(total, argnums=(0, 1)))(words, regions, word_lengths)
    for i in range(5):
        x, y = words[i].clone().requires_grad_(), regions[i].clone().requires_grad_()
        expected = torch.autograd.grad(total(x, y, word_lengths[i]), (x, y))
        torch.testing.assert_close((gradients[0][i], gradients[1][i]), expected, atol=1e-12, rtol=0)


def test_unrolled_is_any_other_function() -> None:
    words, regions = points(2, 3, 4, dtype=torch.float64), points(2, 2, 4, seed=1, dtype=torch.float64)

    def total(words: Tensor) -> Tensor:
        return alignment_loss(words, regions, iterations=3, grad="unrolled").sum()

    hessian = torch.func.jacrev(torch.func.grad(total))(words)
    expected = torch.autograd.functional.hessian(total, words)
    torch.testing.assert_close(hessian, expected, atol=1e-10, rtol=0)
    compiled = torch.compile(torch.func.grad(total), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(words), torch.func.grad(total)(words), atol=1e-10, rtol=0)


def test_a_second_derivative_is_refused_here_too() -> None:
    words, regions = points(2, 3, 4), points(2, 2, 4, seed=1)
    with pytest.raises(RuntimeError, match="alignment_loss cannot be differentiated twice"):
        torch.func.jacrev(torch.func.grad(lambda x: alignment_loss(x, regions).sum()))(words)
