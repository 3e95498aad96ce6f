"""The packed path against its padded twin, which shares the parameters and nothing of the layout."""

import importlib.util
from pathlib import Path

import pytest
import torch

from uniter_core import Sample, UniterConfig, UniterEncoder, pack

PADDED = Path(__file__).parents[2] / "benchmarks" / "padded.py"


@pytest.fixture(scope="module")
def encode_padded():
    spec = importlib.util.spec_from_file_location("padded", PADDED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.encode_padded


def ragged_batch(config, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = [(3, 1), (9, 12), (5, 5), (2, 30), (5, 5), (1, 0)]
    return pack(
        [
            Sample(
                token_ids=torch.randint(0, config.vocab_size, (words,), generator=generator),
                region_features=torch.randn(regions, config.region_dim, generator=generator),
                region_boxes=torch.rand(regions, 7, generator=generator),
            )
            for words, regions in sizes
        ]
    )


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_and_padded_agree_in_values_and_gradients(attention, encode_padded):
    config = UniterConfig.tiny(vocab_size=40, region_dim=16)
    encoder = UniterEncoder(config, attention=attention, seed=3)
    batch = ragged_batch(config)
    weights = torch.randn(batch.num_units, config.hidden_size, generator=torch.Generator().manual_seed(1))
    outputs, gradients = [], []
    for encode in (encoder, lambda packed: encode_padded(encoder, packed)):
        encoder.zero_grad()
        units = encode(batch)
        (units * weights).sum().backward()
        outputs.append(units.detach())
        gradients.append({n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None})
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=1e-5)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert float((gradients[1][name] - gradient).abs().max()) <= 2e-5 * float(gradient.abs().max()) + 1e-6, name
