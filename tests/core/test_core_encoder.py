"""The encoder's invariances, its backends against each other, and what it refuses."""

import inspect
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniter_core import Dropout, PackedBatch, Sample, UniterConfig, UniterEncoder, key_of, pack
from uniter_core.attention import attention_backend
from uniter_core.segments import segment

SIZES = {"hidden_size": 24, "num_heads": 3, "intermediate_size": 32, "num_layers": 2, "max_positions": 12}
CONFIG = UniterConfig.tiny(vocab_size=30, region_dim=6, num_types=3, **SIZES)
ENCODERS = {name: UniterEncoder(CONFIG, attention=name, seed=4).eval() for name in ("sdpa", "eager", "auto")}

shapes = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 6)).filter(sum), min_size=1, max_size=6)
few = settings(max_examples=30)


def make_sample(words: int, regions: int, seed: int) -> Sample:
    generator = torch.Generator().manual_seed(seed)
    return Sample(
        token_ids=torch.randint(30, (words,), generator=generator),
        region_features=torch.randn(regions, 6, generator=generator),
        region_boxes=torch.rand(regions, 7, generator=generator),
        token_types=torch.randint(3, (words,), generator=generator),
    )


def make_samples(sizes: list[tuple[int, int]], seed: int = 0) -> list[Sample]:
    return [make_sample(*size, seed=key_of(seed, number) % 2**31) for number, size in enumerate(sizes)]


def by_sample(values: Tensor, batch: PackedBatch) -> list[Tensor]:
    return list(values.split(batch.unit_lengths.tolist()))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@few
@given(shapes, st.randoms(use_true_random=False))
def test_a_sample_knows_nothing_of_what_it_is_packed_with(sizes: list[tuple[int, int]], random) -> None:
    """Alone, among others, and among others in another order, its outputs and gradients are the same."""
    encoder = ENCODERS["sdpa"]
    samples = make_samples(sizes)
    order = random.sample(range(len(samples)), len(samples))
    together, shuffled = pack(samples), pack([samples[number] for number in order])
    packed = by_sample(encoder(together), together)
    in_other_order = by_sample(encoder(shuffled), shuffled)
    pooled, pooled_shuffled = encoder.pool(torch.cat(packed), together), encoder.pool(encoder(shuffled), shuffled)
    for place, number in enumerate(order):
        close(in_other_order[place], packed[number])
        close(pooled_shuffled[place], pooled[number])
        close(encoder(pack([samples[number]])), packed[number])


@few
@given(st.integers(0, 6), st.integers(1, 7), st.randoms(use_true_random=False))
def test_permuting_regions_permutes_their_outputs(words: int, regions: int, random) -> None:
    encoder = ENCODERS["sdpa"]
    sample = make_sample(words, regions, seed=regions)
    order = torch.tensor(random.sample(range(regions), regions))
    permuted = replace(sample, region_features=sample.region_features[order], region_boxes=sample.region_boxes[order])
    before, after = encoder(pack([sample])), encoder(pack([permuted]))
    close(after[:words], before[:words])
    close(after[words:], before[words:][order])


@few
@given(shapes)
def test_backends_agree_in_values_and_gradients(sizes: list[tuple[int, int]]) -> None:
    batch = pack(make_samples(sizes))
    results = {}
    for name, encoder in ENCODERS.items():
        encoder.zero_grad()
        units = encoder(batch)
        (units * torch.linspace(-1, 1, units.numel()).view_as(units)).sum().backward()
        results[name] = (units.detach(), {key: p.grad for key, p in encoder.named_parameters() if p.grad is not None})
    values, gradients = results["eager"]
    for name in ("sdpa", "auto"):
        close(results[name][0], values)
        assert results[name][1].keys() == gradients.keys()
        for key, gradient in gradients.items():
            scale = max(1.0, float(gradient.abs().max()))
            torch.testing.assert_close(results[name][1][key] / scale, gradient / scale, rtol=1e-5, atol=1e-5, msg=key)


def test_backends_agree_in_bfloat16() -> None:
    lengths = [3, 5, 3, 1]
    qkv = [torch.randn(12, 3, 8, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    expected = attention_backend("eager")(*qkv, segment(lengths), 0.0)
    found = attention_backend("sdpa")(*(tensor.bfloat16() for tensor in qkv), segment(lengths), 0.0)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.03)


def test_attention_is_softmax_of_scaled_products() -> None:
    """One head of width 1, two units: softmax([0, ln 3]) = [1/4, 3/4] by hand."""
    query, key = torch.ones(2, 1, 1), torch.tensor([1.0, 3.0]).log().view(2, 1, 1)
    value = torch.tensor([4.0, 8.0]).view(2, 1, 1)
    for name in ("sdpa", "eager"):
        attended = attention_backend(name)(query, key, value, segment([2]), 0.0)
        torch.testing.assert_close(attended.flatten(), torch.tensor([7.0, 7.0]))


@few
@given(shapes, st.sampled_from([torch.float32, torch.bfloat16]))
def test_the_first_units_alone_are_those_of_all(sizes: list[tuple[int, int]], precision: torch.dtype) -> None:
    encoder, batch = ENCODERS["sdpa"], pack(make_samples(sizes))
    half = precision != torch.float32
    with torch.autocast("cpu", dtype=precision, enabled=half), torch.no_grad():
        units = encoder.embed(batch).index_select(0, batch.gather[batch.segments.arrange])
        first = encoder.transform_first(units, batch.segments)
        expected = encoder(batch)[batch.cls_units][list(batch.segments.samples)]
    torch.testing.assert_close(first, expected, rtol=0, atol=0.05 if half else 1e-5)


def test_hidden_states_and_attention_maps() -> None:
    encoder = ENCODERS["sdpa"]
    batch = pack(make_samples([(3, 2), (2, 0), (4, 1), (0, 2)]))
    with torch.no_grad():
        states, maps = encoder.hidden_states(batch), encoder.attention_maps(batch)
        assert len(states) == CONFIG.num_layers + 1
        assert torch.equal(states[-1], encoder(batch))
        assert len(maps) == CONFIG.num_layers
        layer = encoder.layers[0].attention
        for weights, units in zip(maps[0], by_sample(states[0], batch), strict=True):
            assert weights.shape == (CONFIG.num_heads, len(units), len(units))
            close(weights.sum(-1), torch.ones(weights.shape[:2]))
            values = layer.value(units).unflatten(-1, (CONFIG.num_heads, -1)).transpose(0, 1)
            close(layer.output((weights @ values).transpose(0, 1).flatten(1)), layer(units, segment([len(units)])))


@pytest.mark.parametrize("shape", [(4, 0), (0, 3)])
def test_one_modality_is_enough(shape: tuple[int, int]) -> None:
    encoder = UniterEncoder(CONFIG, seed=1)
    batch = pack(make_samples([shape, shape]))
    units = encoder(batch)
    assert units.shape == (2 * sum(shape), CONFIG.hidden_size)
    encoder.pool(units, batch).sum().backward()
    unused = encoder.region_embedding.mask.weight  # no region is masked
    assert unused.grad is None
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters() if p is not unused)


def test_row_0_of_the_mask_table_acts_as_zero() -> None:
    encoder = UniterEncoder(CONFIG, seed=1)
    batch = pack(make_samples([(3, 4)]))
    masked = replace(batch, region_masked=torch.tensor([True, False, False, True]))
    seen, hidden = encoder(batch), encoder(masked)
    assert not torch.allclose(seen, hidden)
    with torch.no_grad():
        encoder.region_embedding.mask.weight[0] = 100.0
    assert torch.equal(encoder(batch), seen)
    assert torch.equal(encoder(masked), hidden)
    by_hand = batch.region_features + masked.region_masked[:, None] * encoder.region_embedding.mask.weight[1]
    close(encoder(replace(batch, region_features=by_hand)), hidden)


def test_half_precision_features_are_cast() -> None:
    sample = make_sample(3, 4, seed=1)
    half = replace(sample, region_features=sample.region_features.half())
    widened = replace(sample, region_features=half.region_features.float())
    encoder = ENCODERS["sdpa"]
    assert torch.equal(encoder(pack([half])), encoder(pack([widened])))


def test_parameters_are_a_function_of_the_seed() -> None:
    torch.manual_seed(0)
    first = UniterEncoder(CONFIG, seed=9)
    torch.manual_seed(1)
    second = UniterEncoder(CONFIG, seed=9, attention="eager")
    other = UniterEncoder(CONFIG, seed=10)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
    assert not torch.equal(first.word_table, other.word_table)
    torch.manual_seed(5)
    drawn = UniterEncoder(CONFIG)
    torch.manual_seed(5)
    assert torch.equal(drawn.word_table, UniterEncoder(CONFIG).word_table)


def test_initial_values() -> None:
    encoder = UniterEncoder(UniterConfig.tiny(vocab_size=500, region_dim=64, initializer_range=0.05), seed=2)
    for name, value in encoder.named_parameters():
        if name.endswith("bias"):
            assert not value.any(), name
        elif "norm" in name:
            assert torch.equal(value, torch.ones_like(value)), name
        else:  # 6 standard errors of a standard deviation
            assert abs(float(value.detach().std()) - 0.05) < 6 * 0.05 / (2 * value.numel()) ** 0.5, name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_ids": torch.tensor([1, 30, 2])}, r"token_ids must be in \[0, 30\), got 1 to 30: the texts were"),
        ({"token_ids": torch.tensor([1, -1, 2])}, "token_ids must be in"),
        ({"token_positions": torch.tensor([0, 1, 12])}, r"token_positions must be in \[0, 12\).*larger max_positions"),
        ({"token_types": torch.tensor([0, 1, 3])}, r"token_types must be in \[0, 3\).*larger num_types"),
        ({"region_types": torch.tensor([0, 7])}, "region_types must be in"),
        ({"region_features": torch.zeros(2, 9)}, r"region_features must be 6 wide \(config.region_dim\), got 9"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Tensor], message: str) -> None:
    batch = replace(pack(make_samples([(3, 2)])), **changes)
    with pytest.raises(ValueError, match=message):
        ENCODERS["sdpa"](batch)


def test_a_long_text_is_named() -> None:
    with pytest.raises(ValueError, match=r"token_positions .* 0 to 12: shorten the text"):
        ENCODERS["sdpa"](pack(make_samples([(13, 2)])))


def test_unknown_attention_lists_the_known() -> None:
    with pytest.raises(ValueError, match="attention must be one of auto, varlen, sdpa, eager, got 'flash'"):
        UniterEncoder(CONFIG, attention="flash")


def test_varlen_says_what_it_needs() -> None:
    batch = pack(make_samples([(3, 2)]))
    encoder = UniterEncoder(UniterConfig.tiny(**(CONFIG.to_dict() | {"attention_dropout": 0.1})), attention="varlen")
    with pytest.raises(
        ValueError, match=r"no attention dropout, the configuration asks for 0.1.*attention_dropout=0.0"
    ):
        encoder(batch)
    with pytest.raises(ValueError, match="needs CUDA, the units are on cpu: choose attention='sdpa'"):
        encoder.eval()(batch)


def test_varlen_is_called_as_this_torch_wants_it() -> None:
    varlen = pytest.importorskip("torch.nn.attention.varlen")
    first = list(inspect.signature(varlen.varlen_attn).parameters)[:7]
    assert first == ["query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the flash kernels of varlen need CUDA")
def test_varlen_agrees_with_the_formula() -> None:
    lengths = [3, 50, 3, 1, 17]
    results = {}
    for name in ("varlen", "eager"):
        generator = torch.Generator().manual_seed(0)
        leaves = [torch.randn(sum(lengths), 3, 32, generator=generator).cuda().requires_grad_() for _ in range(3)]
        segments = segment(lengths)
        segments = replace(segments, cu_seqlens=segments.cu_seqlens.cuda())
        attended = attention_backend(name)(*(leaf.bfloat16() for leaf in leaves), segments, 0.0)
        attended.float().square().sum().backward()
        results[name] = [attended.detach().float(), *(leaf.grad for leaf in leaves)]
    for found, expected in zip(results["varlen"], results["eager"], strict=True):
        torch.testing.assert_close(found, expected, rtol=0.03, atol=0.03)


@torch.no_grad()
def test_autocast_and_double_precision_stay_near() -> None:
    batch = pack(make_samples([(3, 2), (4, 4), (3, 2)]))
    encoder = UniterEncoder(CONFIG, seed=4).eval()
    single = encoder(batch)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(encoder(batch).float(), single, rtol=0, atol=0.1)
    torch.testing.assert_close(encoder.double()(batch).float(), single, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["sdpa", "eager"])
def test_attention_dropout_is_honoured(name: str, dtype: torch.dtype) -> None:
    """With equal scores and values of 1, outputs average to 1 and vary as the dropped weights make them."""
    torch.manual_seed(0)
    length, p = 16, 0.25
    zeros, ones = torch.zeros(length * 200, 2, 4, dtype=dtype), torch.ones(length * 200, 2, 4, dtype=dtype)
    attended = attention_backend(name)(zeros, zeros, ones, segment([length] * 200), p)[..., 0].float()
    assert abs(float(attended.mean()) - 1) < 0.02
    assert abs(float(attended.std()) - (p / (1 - p) / length) ** 0.5) < 0.01


@pytest.mark.parametrize("shape", [(1001, 3), (0, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout(shape: tuple[int, int], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    dropout = Dropout(0.3)
    values = torch.ones(shape, dtype=dtype, requires_grad=True)
    dropped = dropout(values)
    dropped.sum().backward()
    assert dropped.dtype == dtype
    assert torch.equal(values.grad, dropped)  # the same mask, the same scale
    assert torch.equal(dropout.eval()(values), values)
    if values.numel():
        zero = (dropped == 0).double()
        assert abs(float(zero.mean()) - 0.3) < 6 * (0.3 * 0.7 / values.numel()) ** 0.5
        torch.testing.assert_close(dropped.max(), torch.tensor(1 / 0.7, dtype=dtype))


def test_dropout_bits_are_fair_in_every_slice_of_a_draw() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.1)(torch.ones(400_000)) > 0).view(-1, 4).double().mean(0)
    assert (kept - 0.9).abs().max() < 6 * (0.1 * 0.9 / 100_000) ** 0.5


def test_training_with_dropout_is_reproducible() -> None:
    config = UniterConfig.tiny(**(CONFIG.to_dict() | {"attention_dropout": 0.1, "hidden_dropout": 0.1}))
    encoder, batch = UniterEncoder(config, seed=1), pack(make_samples([(3, 2), (4, 4)]))
    torch.manual_seed(3)
    first, second = encoder(batch), encoder(batch)
    torch.manual_seed(3)
    assert torch.equal(encoder(batch), first)
    assert not torch.equal(first, second)
