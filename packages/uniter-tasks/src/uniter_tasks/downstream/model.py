"""The fine-tuned model: an encoder and the head of one task."""

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Self

import torch
from torch import Tensor, nn

from uniter_core import UniterConfig, UniterEncoder, Vocabulary, initialise, key_of
from uniter_core.checkpoints import ModelFolder, load_folder, load_tensors, save_folder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.downstream.settings import TaskSettings
from uniter_tasks.downstream.tasks import task as task_called
from uniter_tasks.inference import evaluating
from uniter_tasks.loss import Loss
from uniter_tasks.widening import entries_needed, widen

__all__ = ["DownstreamModel"]


class DownstreamModel(nn.Module):
    """UNITER with the head of a downstream task.

    Args:
        config: sizes; the type table gets as many rows as the task needs.
        task: its name.
        settings: of the task.
        seed: decides the initial parameters, alone.
        attention: backend of the encoder.

    Attributes:
        task: the task itself.
        settings: with the task's defaults filled in.
        encoder: parameters named `encoder.…`.
        heads: holds one head; parameters named `heads.…`, as official checkpoints are converted.
        notes: what `from_encoder` did to make the checkpoint fit, a line each.

    Raises:
        ValueError: there is no such task, setting or loss; or vocabulary and word table differ in size.
    """

    def __init__(
        self, config: UniterConfig, task: str, settings: TaskSettings, *, seed: int = 0, attention: str = "auto"
    ) -> None:
        super().__init__()
        self.task = task_called(task)
        self.settings = self.task.resolve(settings)
        if settings.vocabulary.size != config.vocab_size:
            raise ValueError(
                f"settings.vocabulary: expected {config.vocab_size} entries as in config.vocab_size, "
                f"got {settings.vocabulary.size}"
            )
        config = replace(config, num_types=max(config.num_types, self.task.num_types))
        self.notes: tuple[str, ...] = ()
        self.encoder = UniterEncoder(config, attention=attention, seed=key_of(seed, "encoder"))
        head = self.task.head(config, self.settings, key_of(seed, "head"))
        self.heads = nn.ModuleDict({self.task.head_name: head})
        initialise(self.heads, deviation=config.initializer_range, seed=key_of(seed, "heads"))

    @property
    def config(self) -> UniterConfig:
        """Sizes of the model."""
        return self.encoder.config

    @property
    def head(self) -> nn.Module:
        """The task's head."""
        return self.heads[self.task.head_name]

    def forward(self, name: str, batch: TaskBatch) -> Loss:
        """The loss of a batch that the task's `collate` made.

        Args:
            name: the task's, for the loop that knows none, or that of one of its `narrowings`.
            batch: made for it.

        Raises:
            ValueError: the model is for another task, or the batch has no labels.
        """
        if name in self.task.narrowings:
            batch = self.narrowed(name, batch)
        elif name != self.task.name:
            raise ValueError(f"this model is for {self.task.name}, not for {name}")
        return self.task.loss(self.encoder, self.head, batch, self.settings)

    def narrowed(self, name: str, batch: TaskBatch) -> TaskBatch:
        """The part of a batch that one of the task's `narrowings` trains on, by what the model thinks of it now."""
        with evaluating(self):
            part = self.task.narrowings[name](self.encoder, self.head, batch, self.settings)
        torch.clear_autocast_cache()  # weights that were cast without gradient must not serve the pass that follows
        return part

    def scores(self, batch: TaskBatch) -> list[Tensor]:
        """The probabilities of each example, float32 on the CPU; in evaluation mode, without gradient.

        Raises:
            ValueError: the batch was made to train on and lacks what predictions need.
        """
        with evaluating(self) as device:
            return self.task.scores(self.encoder, self.head, batch.to(device), self.settings)

    @classmethod
    def from_encoder(
        cls,
        source: str | PathLike[str],
        task: str,
        settings: TaskSettings,
        *,
        seed: int = 0,
        attention: str = "auto",
        max_positions: int = 1,
        overrides: Mapping[str, float] | None = None,
    ) -> Self:
        """A model to fine-tune: the encoder of a checkpoint and a fresh head (retrieval's is the matching head's row).

        Args:
            source: a folder or hub id of a pre-trained or fine-tuned model.
            task: its name.
            settings: of the task.
            seed: of the head and of new rows.
            attention: backend of the encoder.
            max_positions: positions that the task's texts need at least.
            overrides: fields of the configuration that differ from the checkpoint's: dropout, not sizes.

        Raises:
            ValueError: the checkpoint's encoder does not load fully, or it was made with another vocabulary.
        """
        folder = load_folder(source)
        entries = entries_needed(folder, settings.vocabulary)
        if entries == folder.config.vocab_size:
            _check_vocabulary(folder, settings.vocabulary, origin=str(source))
        chosen = task_called(task)
        tensors, config, notes = widen(
            {name: tensor for name, tensor in folder.tensors.items() if name.startswith("encoder.")},
            folder.config,
            type_sources=chosen.type_sources,
            max_positions=max_positions,
            vocab_size=entries,
            seed=seed,
        )
        config = UniterConfig.from_dict(config.to_dict() | dict(overrides or {}))
        model = cls(config, task, settings, seed=seed, attention=attention)
        adopted = {f"heads.{chosen.head_name}.{name}": v for name, v in chosen.adopt(folder.tensors).items()}
        load_tensors(model, tensors | adopted, origin=str(source), allow_missing=() if adopted else ("heads.",))
        head = "the checkpoint's" if adopted else "fresh"
        model.notes = (*notes, f"head {chosen.head_name}: {head}")
        return model

    @classmethod
    def from_pretrained(
        cls,
        source: str | PathLike[str],
        task: str = "",
        settings: TaskSettings | None = None,
        *,
        attention: str = "auto",
    ) -> Self:
        """A fine-tuned model of a folder or hub id; other heads that lie with it are left aside.

        Args:
            source: what `save_pretrained` or `uniter convert official` wrote.
            task: its name; empty = as the folder says, which a converted one does not.
            settings: of the task; None = as the folder says, which always decides the answers if it has any.
            attention: backend of the encoder.

        Raises:
            ValueError: the folder does not say what it is for, or is for something else; or a tensor is missing,
                unexpected or of another shape.
        """
        folder = load_folder(source)
        name, settings = _recorded(folder, task, settings, origin=str(source))
        model = cls(folder.config, name, settings, attention=attention)
        own = ("encoder.", f"heads.{model.task.head_name}.")
        tensors = {name: tensor for name, tensor in folder.tensors.items() if name.startswith(own)}
        load_tensors(model, tensors, origin=str(source))
        return model

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write config.json, with the task, its settings and vocabulary, and model.safetensors."""
        described = {"name": self.task.name, **self.settings.to_dict()}
        save_folder(folder, self, self.config, vocabulary=self.settings.vocabulary, task=described)


# ---------------------------------------------------------------------------------------------------------------------


def _check_vocabulary(folder: ModelFolder, vocabulary: Vocabulary, *, origin: str) -> None:
    """Refuse texts that were not tokenised as the checkpoint's were."""
    if folder.config.vocab_size != vocabulary.size:
        raise ValueError(
            f"{origin} has a vocabulary of {folder.config.vocab_size} entries, the task's data have {vocabulary.size}: "
            "import the data again with the checkpoint's tokenizer.json"
        )
    own = folder.vocabulary.digest if folder.vocabulary else ""
    if own and vocabulary.digest and own != vocabulary.digest:
        raise ValueError(
            f"{origin} and the task's data have vocabularies of equal size but other words: "
            "import the data again with the checkpoint's tokenizer.json"
        )


def _recorded(
    folder: ModelFolder, task: str, settings: TaskSettings | None, *, origin: str
) -> tuple[str, TaskSettings]:
    """Task and settings as asked for, or else as the folder records them; both must agree where both speak."""
    if folder.task is None:
        if not task or settings is None:
            raise ValueError(f"{origin} does not say which task it is for: give task and settings")
        return task, settings
    values = dict(folder.task)
    name = str(values.pop("name", ""))
    if task and task != name:
        raise ValueError(f"{origin} is a model for {name}, not for {task}")
    vocabulary = settings.vocabulary if settings else folder.vocabulary
    if vocabulary is None:
        raise ValueError(f"{origin} does not say its vocabulary: give settings")
    _check_vocabulary(folder, vocabulary, origin=origin)
    recorded = TaskSettings.from_dict(values, vocabulary=vocabulary)
    if settings is None:
        return name, recorded
    wanted = task_called(name).resolve(settings)
    if wanted.setting != recorded.setting:
        raise ValueError(f"{origin} was made in the setting {recorded.setting!r} of {name}, not in {wanted.setting!r}")
    if recorded.answers and wanted.answers not in ((), recorded.answers):
        raise ValueError(f"{origin} was made with other answers ({len(recorded.answers)}, not {len(wanted.answers)})")
    return name, replace(settings, answers=recorded.answers)
