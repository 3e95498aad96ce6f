"""The pre-training model: one encoder, the heads of all objectives."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Self

from torch import nn

from uniter_core import UniterConfig, UniterEncoder, Vocabulary, key_of
from uniter_core.checkpoints import load_folder, load_tensors, save_folder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.heads import build_heads
from uniter_tasks.loss import Loss
from uniter_tasks.objectives import objective
from uniter_tasks.settings import ObjectiveSettings
from uniter_tasks.widening import entries_needed, widen

__all__ = ["PretrainingModel"]


class PretrainingModel(nn.Module):
    """UNITER with its pre-training heads; heads that an objective does not use get no gradient.

    Args:
        config: sizes.
        settings: of the objectives.
        seed: decides the initial parameters, alone.
        attention: backend of the encoder.

    Attributes:
        encoder: the part that fine-tuning keeps.
        heads: `mlm`, `mrfr`, `mrc` (also of mrc-kl), `itm`.
        vocabulary: the one the model was made or trained with; None where a checkpoint does not say.
        notes: what `from_pretrained` did to make the checkpoint fit, a line each.

    Raises:
        ValueError: the vocabulary of the settings and the word table differ in size.
    """

    def __init__(
        self, config: UniterConfig, settings: ObjectiveSettings, *, seed: int = 0, attention: str = "auto"
    ) -> None:
        super().__init__()
        if settings.vocabulary.size != config.vocab_size:
            raise ValueError(
                f"settings.vocabulary: expected {config.vocab_size} entries as in config.vocab_size, "
                f"got {settings.vocabulary.size}"
            )
        self.settings = settings
        self.vocabulary: Vocabulary | None = settings.vocabulary
        self.notes: tuple[str, ...] = ()
        self.encoder = UniterEncoder(config, attention=attention, seed=key_of(seed, "encoder"))
        self.heads = build_heads(config, seed=key_of(seed, "heads"))

    @property
    def config(self) -> UniterConfig:
        """Sizes of the model."""
        return self.encoder.config

    def forward(self, objective_name: str, batch: TaskBatch) -> Loss:
        """The loss of a batch that `objective(objective_name).collate` made."""
        return objective(objective_name).loss(self.encoder, self.heads, batch, self.settings)

    @classmethod
    def from_pretrained(
        cls,
        source: str | PathLike[str],
        settings: ObjectiveSettings,
        *,
        attention: str = "auto",
        type_sources: Sequence[int] = (),
        max_positions: int = 1,
        seed: int = 0,
    ) -> Self:
        """The model of a folder or of a hub id, with as many types, positions and words as are needed.

        Args:
            source: the folder or id.
            settings: of the objectives; the word table grows by the pieces that their vocabulary adds to the model's.
            attention: backend of the encoder.
            type_sources: for every row of the type table that is needed, the row that a new one is a copy of; a table
                that has as many rows stays as it is.
            max_positions: positions that are needed at least.
            seed: of new positions and words.

        Raises:
            ValueError: a tensor is missing, unexpected or of another shape; the message lists them.
        """
        folder = load_folder(source)
        entries = entries_needed(folder, settings.vocabulary)
        tensors, config, notes = widen(
            folder.tensors,
            folder.config,
            type_sources=type_sources,
            max_positions=max_positions,
            vocab_size=entries,
            seed=seed,
        )
        model = cls(config, settings, attention=attention)
        load_tensors(model, tensors, origin=str(source))
        if entries == folder.config.vocab_size:
            model.vocabulary = folder.vocabulary
        model.notes = notes
        return model

    def save_pretrained(self, folder: str | PathLike[str], *, vocabulary: Vocabulary | None = None) -> None:
        """Write config.json and model.safetensors, with the vocabulary of the settings or the one given."""
        save_folder(Path(folder), self, self.config, vocabulary=vocabulary or self.settings.vocabulary)
