"""A training step against what people run instead: ``python benchmarks/step.py``.

One step is forward, backward, clipping and AdamW, on pairs of the lengths of captions and detections; candidates take
turns on the same pairs, tables hold medians and their ratios. Units are real ones, padding never counts.

    packed        ours
    padded        our parameters, every sample filled up to the longest
    VisualBERT    HuggingFace's, padded as its users run it

On a CPU: width 768, 4 layers, float32 and bfloat16 autocast. On CUDA: UNITER-base, bfloat16, 10,240 units.
"""

import argparse
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from padded import encode_padded
from pairs import VOCABULARY, random_pairs
from timing import machine, medians
from torch import Tensor, nn
from visualbert import build_visualbert, visualbert_inputs

from uniter_core import Sample, UniterConfig, pack, training_flops
from uniter_tasks import ObjectiveSettings, PretrainingModel, objective

OBJECTIVES = {"mlm": 0.0, "itm": 0.0, "itm + wra": 0.1, "mrc-kl": 0.0, "mrfr": 0.0}  # with the weight of transport
CLIP = 2.0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What is measured: sizes, a batch's units, precision, device."""

    config: UniterConfig
    units: int
    dtype: torch.dtype
    device: str

    def autocast(self) -> torch.autocast | nullcontext[None]:
        """Half precision for products where it is asked for; the parameters stay float32."""
        return torch.autocast(self.device, self.dtype) if self.dtype != torch.float32 else nullcontext()

    def step(self, model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
        """Forward, backward, clip, update: as the training loop does it."""
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)

        def run() -> None:
            with self.autocast():
                value = loss()
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return run


def encoder_steps(bench: Bench, samples: Sequence[Sample]) -> dict[str, Callable[[], None]]:
    """The encoder alone: the mean of what it gives, of every candidate the same."""
    model = _pretraining(bench).encoder
    batch = pack(samples).to(bench.device)
    rival = build_visualbert(bench.config).visual_bert.to(bench.device).train()
    padded = {name: value.to(bench.device) for name, value in visualbert_inputs(list(samples)).items()}
    return {
        "packed": bench.step(model, lambda: model(batch).float().square().mean()),
        "padded": bench.step(model, lambda: encode_padded(model, batch).float().square().mean()),
        "VisualBERT": bench.step(rival, lambda: rival(**padded).last_hidden_state.float().square().mean()),
    }


def objective_steps(bench: Bench, samples: Sequence[Sample]) -> dict[str, Callable[[], None]]:
    """Every objective with its head, collating included; VisualBERT's own masked language modelling beside them."""

    def ours(name: str, weight: float) -> Callable[[], None]:
        model = _pretraining(bench, wra_weight=weight)
        used = objective(name.split(" ")[0])

        def loss() -> Tensor:
            found = model(used.name, used.collate(samples, model.settings).to(bench.device))
            return found.sum / found.count

        return bench.step(model, loss)

    rival = build_visualbert(bench.config).to(bench.device).train()
    padded = {name: value.to(bench.device) for name, value in visualbert_inputs(list(samples)).items()}
    slots = padded["input_ids"].shape[1] + padded["visual_embeds"].shape[1]
    labels = torch.full((len(samples), slots), -100, device=bench.device)
    labels[:, 1:4] = padded["input_ids"][:, 1:4]
    return {name: ours(name, weight) for name, weight in OBJECTIVES.items()} | {
        "VisualBERT mlm": bench.step(rival, lambda: rival(**padded, labels=labels).loss)
    }


def product_rate(bench: Bench) -> float:
    """Floating-point operations a second of the largest product of a layer, alone."""
    rows, hidden, inner = bench.units, bench.config.hidden_size, bench.config.intermediate_size
    left = torch.randn(rows, hidden, device=bench.device, dtype=bench.dtype)
    right = torch.randn(hidden, inner, device=bench.device, dtype=bench.dtype)
    seconds = medians({"product": lambda: left @ right}, rounds=15)["product"]
    return 2 * rows * hidden * inner / seconds


def print_table(bench: Bench, samples: Sequence[Sample], seconds: dict[str, float], *, against: str) -> None:
    """Median milliseconds, real units a second, how many times as fast as one of them, share of the product rate."""
    lengths = [sample.num_words + sample.num_regions for sample in samples]
    units = sum(lengths)
    work = training_flops(bench.config, lengths, regions=sum(sample.num_regions for sample in samples))
    limit = product_rate(bench)
    precision = str(bench.dtype).removeprefix("torch.")
    print(f"\n{units:,} units in {len(samples)} pairs, {precision}; products alone run at {limit / 1e9:,.0f} GFLOP/s\n")
    print(f"| step | ms | units/s | times {against} | share of the product rate |")
    print("|---|---|---|---|---|")
    for name, took in seconds.items():
        print(
            f"| {name} | {1e3 * took:,.0f} | {units / took:,.0f} | {seconds[against] / took:.2f} "
            f"| {work / took / limit:.0%} |"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="turns of every candidate")
    parser.add_argument("--units", type=int, nargs="*", help="units of a batch (default 1024 2048; CUDA 10240)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    on_gpu = arguments.device == "cuda"
    sizes = {"vocab_size": VOCABULARY.size}
    config = UniterConfig.base(**sizes) if on_gpu else UniterConfig.base(num_layers=4, **sizes)
    print(machine())
    for dtype in (torch.bfloat16,) if on_gpu else (torch.float32, torch.bfloat16):
        for units in arguments.units or ((10_240,) if on_gpu else (1024, 2048)):
            bench = Bench(config=config, units=units, dtype=dtype, device=arguments.device)
            samples = random_pairs(config, units=units, seed=1)
            for steps, against in ((encoder_steps, "VisualBERT"), (objective_steps, "VisualBERT mlm")):
                seconds = medians(steps(bench, samples), rounds=arguments.rounds)
                print_table(bench, samples, seconds, against=against)


def _pretraining(bench: Bench, *, wra_weight: float = 0.0) -> PretrainingModel:
    settings = ObjectiveSettings(vocabulary=VOCABULARY, wra_weight=wra_weight)
    return PretrainingModel(bench.config, settings, seed=1).to(bench.device).train()


if __name__ == "__main__":
    main()
