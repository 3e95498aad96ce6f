"""What a downstream task is: how its examples are laid out, its head, its loss, its answers.

E examples of a batch, T texts and I images of an example.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from uniter_core import Example, Sample, UniterConfig, UniterEncoder, Vocabulary, pack
from uniter_tasks.batch import TaskBatch
from uniter_tasks.downstream.settings import TaskSettings
from uniter_tasks.loss import Loss

__all__ = ["SecondStage", "Task", "annotated", "target"]


@dataclass(frozen=True, kw_only=True)
class SecondStage:
    """How a task's labelled examples become pairs of one text and one image, to pre-train on before fine-tuning.

    Attributes:
        lengths: (lengths of the texts (E, T) without [CLS] and [SEP], annotations of the E examples) → (E,) int64,
            tokens of each example's text; 0 where its label is not known.
        sample: (example, vocabulary) → its pair.
    """

    lengths: Callable[[Tensor, Iterable[Mapping[str, Any]]], Tensor]
    sample: Callable[[Example, Vocabulary], Sample]


def _longest_text(text_lengths: Tensor) -> Tensor:
    return text_lengths.amax(1) + 2


def _no_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A value, not a script: the loop calls it without knowing which one it is.

    Functions that take `training` are told whether the batch is to be trained on, which needs labels; otherwise labels
    may be absent, and everything is laid out that predictions need.

    Attributes:
        name: as in `uniter finetune`.
        head_name: of its head in `DownstreamModel.heads`; official checkpoints call the heads of vqa and snli-ve alike.
        settings: names of its settings, the default first.
        losses: names of its losses, the default first.
        type_sources: for every row of the type table, the row of a pre-trained table that it starts from.
        samples: (example, settings, training) → what the encoder sees of it.
        units: (lengths of the texts (E, T) without [CLS] and [SEP], numbers of regions (E, I), settings, training)
            → (E,) int64, how many units the example has at most.
        positions: lengths of the texts (E, T) without [CLS] and [SEP] → (E,) int64, tokens of its longest sample.
        targets: (examples, settings, training) → the targets by name, none where labels are absent; and how many there
            are.
        head: (config, settings, seed) → its head, of which the caller initialises what is Linear or LayerNorm.
        loss: (encoder, head, batch, settings) → the loss.
        scores: (encoder, head, batch, settings) → the probabilities of each example, float32 on the CPU; what
            predictions keep and ensembles average.
        decode: (scores of an example, settings) → the answer, a plain JSON value.
        adopt: the head's tensors that a pre-training checkpoint holds already, from all its tensors.
        narrowings: objectives that train on a part of their batch which the model itself chooses: their name →
            (encoder, head, batch, settings) → the part; called in evaluation mode, without gradient.
        second_stage: for a task on whose data pre-training goes on.
    """

    name: str
    head_name: str
    settings: tuple[str, ...] = ("",)
    losses: tuple[str, ...] = ("",)
    type_sources: tuple[int, ...] = (0, 1)
    samples: Callable[[Example, TaskSettings, bool], list[Sample]]
    units: Callable[[Tensor, Tensor, TaskSettings, bool], Tensor]
    targets: Callable[[Sequence[Example], TaskSettings, bool], tuple[dict[str, Tensor], int]]
    head: Callable[[UniterConfig, TaskSettings, int], nn.Module]
    loss: Callable[[UniterEncoder, nn.Module, TaskBatch, TaskSettings], Loss]
    scores: Callable[[UniterEncoder, nn.Module, TaskBatch, TaskSettings], list[Tensor]]
    decode: Callable[[Tensor, TaskSettings], Any]
    positions: Callable[[Tensor], Tensor] = _longest_text  # a name: a task travels to the loader's workers
    adopt: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = _no_tensors
    narrowings: Mapping[str, Callable[[UniterEncoder, nn.Module, TaskBatch, TaskSettings], TaskBatch]] = field(
        default_factory=dict
    )
    second_stage: SecondStage | None = None

    @property
    def num_types(self) -> int:
        """Rows of the type table that its samples use."""
        return len(self.type_sources)

    def resolve(self, settings: TaskSettings) -> TaskSettings:
        """The settings with the task's own defaults filled in.

        Raises:
            ValueError: the task has no such setting or loss; the message lists those there are.
        """
        setting = _one_of(self.settings, settings.setting, f"setting of {self.name}")
        loss = _one_of(self.losses, settings.loss, f"loss of {self.name}")
        return replace(settings, setting=setting, loss=loss)

    def collate(self, examples: Sequence[Example], settings: TaskSettings, *, training: bool = True) -> TaskBatch:
        """A batch of examples; runs on the CPU, in the loader's workers.

        Args:
            examples: at least one.
            settings: of the task.
            training: labels must be there; see above.

        Raises:
            ValueError: there is no example, or one lacks something the task needs; the message names it.
        """
        if not examples:
            raise ValueError("examples: expected at least one, got none")
        settings = self.resolve(settings)
        laid_out = [self.samples(example, settings, training) for example in examples]
        targets, count = self.targets(examples, settings, training)
        return TaskBatch(
            packed=pack([sample for samples in laid_out for sample in samples]),
            targets=targets,
            ids=tuple(example.id for example in examples),
            count=count,
            pairs=tuple(len(samples) for samples in laid_out),
        )


def annotated(
    examples: Sequence[Example], field: str, kind: type | tuple[type, ...], *, training: bool
) -> list[Any] | None:
    """One field of every example's annotation; None where it is absent and need not be there.

    Raises:
        ValueError: the field is absent from an example to train on, or no `kind`.
    """
    values = []
    for example in examples:
        value = example.annotation.get(field)
        if value is None and not training:
            return None
        if value is None:
            raise ValueError(f"example {example.id!r} has no {field!r} in its annotation: training needs it")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise ValueError(f"example {example.id!r}: {field!r} is {value!r}, not what the task expects")
        values.append(value)
    return values


def target(batch: TaskBatch, name: str) -> Tensor:
    """A target of the batch.

    Raises:
        ValueError: the batch was made without labels.
    """
    if name not in batch.targets:
        raise ValueError(f"the examples of the batch (the first is {batch.ids[0]!r}) have no labels: no loss")
    return batch.targets[name]


def _one_of(names: Sequence[str], name: str, what: str) -> str:
    if not name:
        return names[0]
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        there = ", ".join(filter(None, names))
        raise ValueError(
            f"{what}: " + (f"expected one of {there}" if there else "there is but one") + f", got {name!r}{hint}"
        )
    return name
