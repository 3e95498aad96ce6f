"""Ways to run the encoder that change its cost and not its numbers: recomputed activations, compiled layers."""

import pytest
import torch

from uniter_core import Sample, UniterConfig, UniterEncoder, pack

CONFIG = UniterConfig.tiny(vocab_size=40, region_dim=16)


def batch_of(*sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return pack(
        [
            Sample(
                token_ids=torch.randint(0, 40, (words,), generator=generator),
                region_features=torch.randn(regions, 16, generator=generator),
                region_boxes=torch.rand(regions, 7, generator=generator),
            )
            for words, regions in sizes
        ]
    )


BATCHES = [batch_of((3, 2), (5, 5)), batch_of((9, 12), (2, 30), (4, 4)), batch_of((7, 7))]


def values_and_gradients(encoder, batch):
    torch.manual_seed(5)  # of dropout
    encoder.zero_grad()
    units = encoder(batch)
    units.square().sum().backward()
    return units.detach(), {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_recomputed_activations_are_bit_for_bit_the_kept_ones(dropout):
    config = UniterConfig.tiny(vocab_size=40, region_dim=16, hidden_dropout=dropout, attention_dropout=dropout)
    encoder = UniterEncoder(config, seed=1)
    for batch in BATCHES:
        kept = values_and_gradients(encoder, batch)
        encoder.recompute = True
        again = values_and_gradients(encoder, batch)
        encoder.recompute = False
        assert torch.equal(kept[0], again[0])
        assert kept[1].keys() == again[1].keys()
        assert all(torch.equal(kept[1][name], again[1][name]) for name in kept[1])


def test_recomputing_keeps_less():
    def kept_bytes(recompute):
        encoder = UniterEncoder(CONFIG, seed=1)
        encoder.recompute = recompute
        sizes: dict[int, int] = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: sizes.setdefault(tensor.data_ptr(), tensor.nbytes) and tensor, lambda tensor: tensor
        ):
            encoder(BATCHES[1])
        return sum(sizes.values())

    assert kept_bytes(True) < 0.5 * kept_bytes(False)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # of torch's compiler itself
def test_compiled_layers_agree_and_are_compiled_once_for_all_sizes():
    torch._dynamo.reset()
    plain, compiled = UniterEncoder(CONFIG, seed=1), UniterEncoder(CONFIG, seed=1)
    compiled.compile_layers(backend="aot_eager")
    compiled_graphs = []
    for batch in BATCHES:
        expected, found = values_and_gradients(plain, batch), values_and_gradients(compiled, batch)
        torch.testing.assert_close(found[0], expected[0], rtol=0, atol=1e-5)
        for name, gradient in expected[1].items():
            torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-5)
        compiled_graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert compiled_graphs[0] > 0
    assert len(set(compiled_graphs)) == 1, "another size is not another graph"
    assert not torch._dynamo.utils.counters["graph_break"]
