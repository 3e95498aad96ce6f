"""The pre-training model: initial parameters from the seed alone, tied decoders, folders that come back whole."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from uniter_core import Sample, UniterConfig, key_of
from uniter_tasks import ObjectiveSettings, PretrainingModel, objective
from uniter_tasks.heads import build_heads

Draw = Callable[..., list[Sample]]


def test_parameters_are_a_function_of_the_seed(tiny_config: UniterConfig, settings: ObjectiveSettings) -> None:
    torch.manual_seed(1)
    one = PretrainingModel(tiny_config, settings, seed=7)
    torch.manual_seed(2)
    again = PretrainingModel(tiny_config, settings, seed=7)
    other = PretrainingModel(tiny_config, settings, seed=8)
    for (name, first), second in zip(one.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(first, second), name
    assert not torch.equal(one.heads["itm"].weight, other.heads["itm"].weight)
    assert not torch.equal(one.encoder.word_table, other.encoder.word_table)


def test_heads_start_as_the_configuration_says(tiny_config: UniterConfig) -> None:
    config = replace(tiny_config, hidden_size=256, initializer_range=0.03)
    for name, parameter in build_heads(config, seed=key_of("heads")).named_parameters():
        if name.endswith("norm.weight"):
            assert (parameter == 1).all()
        elif name.endswith("bias"):
            assert not parameter.any()
        elif parameter.numel() > 10_000:
            assert float(parameter.detach().std()) == pytest.approx(0.03, rel=0.03)
        if name.endswith(".weight") and "norm" not in name:
            assert parameter.any()


def test_the_folder_comes_back_whole(
    model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path / "model", vocabulary=settings.vocabulary)
    back = PretrainingModel.from_pretrained(tmp_path / "model", settings)
    assert back.vocabulary == settings.vocabulary
    assert back.config == model.config
    assert set(back.state_dict()) == set(model.state_dict())
    model.eval(), back.eval()
    for name in ("mlm", "itm", "mrc-kl", "mrfr"):
        batch = objective(name).collate(draw_pairs(3), settings)
        assert torch.equal(model(name, batch).sum, back(name, batch).sum)


def test_the_vocabulary_of_the_settings_is_saved_by_default(
    model: PretrainingModel, settings: ObjectiveSettings, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path / "model")
    assert PretrainingModel.from_pretrained(tmp_path / "model", settings).vocabulary == settings.vocabulary


def test_another_vocabulary_size_is_refused(tiny_config: UniterConfig, settings: ObjectiveSettings) -> None:
    with pytest.raises(ValueError, match=r"settings\.vocabulary: expected 41 entries.*got 40"):
        PretrainingModel(replace(tiny_config, vocab_size=41), settings)


def test_decoders_are_tied(model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw) -> None:
    """The tables get gradient through the decoder even where the lookup does not reach them."""
    samples = draw_pairs(2)
    model("mlm", objective("mlm").collate(samples, settings)).sum.backward()
    gradient = model.encoder.word_table.grad
    assert gradient is not None
    assert gradient.any(dim=1).all()
