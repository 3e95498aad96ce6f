"""Visual commonsense reasoning: which of four answers, and which of four rationales for it? Paper, appendix A.2.

Q→A and QA→R are trained together: each choice is a sample of its own, right or wrong, with a two-way cross-entropy; the
rationales are shown with the true answer. To predict, all rationales are shown with every answer, and the rationale is
chosen given the *predicted* answer.

    [CLS] question [SEP] answer [SEP]                      types 0 … 0, 2 … 2
    [CLS] question [SEP] answer [SEP] rationale [SEP]      types 0 … 0, 2 … 2, 3 … 3

As released, a [SEP] has the type of the text that it opens. Second-stage pre-training shows the second form, with the
true answer and rationale, and there a [SEP] has the type of the text that it closes. (The released script is told to
show the first form as well, but keeps both loaders under one key: only the second is trained on.)

E examples, T = 9 texts of an example, S samples, H hidden.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from uniter_core import Example, Sample, UniterConfig, UniterEncoder, Vocabulary
from uniter_tasks.batch import TaskBatch
from uniter_tasks.downstream.heads import mlp
from uniter_tasks.downstream.layout import expect, lay_out
from uniter_tasks.downstream.settings import TaskSettings
from uniter_tasks.downstream.task import SecondStage, Task, annotated, target
from uniter_tasks.loss import Loss, tally

__all__ = ["VCR"]

CHOICES = 4
LABELS = ("answer_label", "rationale_label")
TYPES = (0, 2, 3)  # of question, answer and rationale; 1 is the regions'
ALL = CHOICES + CHOICES * CHOICES  # samples of an example that is predicted
TRAINED = 2 * CHOICES  # samples of an example that is trained on


def samples(example: Example, settings: TaskSettings, training: bool) -> list[Sample]:
    """Four answers, then four rationales for the true answer; or for each answer in turn, to predict."""
    expect(example, texts=1 + 2 * CHOICES, images=1)
    question, answers, rationales = _parts(example)
    given = [answers[_label(example, "answer_label")]] if training else answers
    choices: list[tuple[Tensor, ...]] = [(question, answer) for answer in answers]
    choices += [(question, answer, rationale) for answer in given for rationale in rationales]
    return [
        lay_out(example, texts, example.images, settings.vocabulary, text_types=TYPES[: len(texts)])
        for texts in choices
    ]


def pretraining_sample(example: Example, vocabulary: Vocabulary) -> Sample:
    """The pair that second-stage pre-training learns from: question, true answer and true rationale.

    Raises:
        ValueError: the example has no labels.
    """
    expect(example, texts=1 + 2 * CHOICES, images=1)
    question, answers, rationales = _parts(example)
    answer, rationale = (_label(example, field) for field in LABELS)
    texts = (question, answers[answer], rationales[rationale])
    return lay_out(example, texts, example.images, vocabulary, text_types=TYPES, separators="closing")


def pretraining_lengths(text_lengths: Tensor, annotations: Iterable[Mapping[str, Any]]) -> Tensor:
    """(E,) int64: tokens of the pairs of `pretraining_sample`; 0 where the answer or the rationale is not known.

    Raises:
        ValueError: a label is none of the choices.
    """
    labels = torch.tensor([[each.get(field, -1) for field in LABELS] for each in annotations])
    if labels.max() >= CHOICES:
        raise ValueError(f"an example's label is {int(labels.max())}, expected 0 to {CHOICES - 1}: import it again")
    places = torch.tensor([1, 1 + CHOICES]) + labels.clamp(min=0)
    lengths = text_lengths[:, 0] + text_lengths.gather(1, places).sum(1) + 4
    return torch.where((labels >= 0).all(1), lengths, 0)


def units(text_lengths: Tensor, region_lengths: Tensor, settings: TaskSettings, training: bool) -> Tensor:
    """(E,): exact to predict; to train, with the longest answer in front of the rationales."""
    question, answers, rationales = text_lengths.tensor_split((1, 1 + CHOICES), dim=1)
    shared = question + region_lengths  # (E, 1)
    of_answers = (shared + answers + 3).sum(1)
    given = answers.amax(1, keepdim=True) if training else answers
    of_rationales = (shared[:, None] + given[:, :, None] + rationales[:, None] + 4).sum((1, 2))
    return of_answers + of_rationales


def positions(text_lengths: Tensor) -> Tensor:
    """(E,): question, longest answer and longest rationale."""
    question, answers, rationales = text_lengths.tensor_split((1, 1 + CHOICES), dim=1)
    return question[:, 0] + answers.amax(1) + rationales.amax(1) + 4


def targets(examples: Sequence[Example], settings: TaskSettings, training: bool) -> tuple[dict[str, Tensor], int]:
    """`rows` (8 E,) int64: the samples of each example's answers and of its rationales given the true answer;
    `right` (8 E,) int64: 1 for the true choices.
    """
    count = TRAINED * len(examples)
    answers = annotated(examples, "answer_label", int, training=training)
    rationales = annotated(examples, "rationale_label", int, training=training)
    if answers is None or rationales is None:
        return {}, count
    choice = torch.arange(CHOICES)
    rows, right = [], []
    for number, example in enumerate(examples):
        answer, rationale = (_label(example, field) for field in LABELS)
        first = number * (TRAINED if training else ALL)
        rows += [first + choice, first + CHOICES + choice + (0 if training else answer * CHOICES)]
        right += [choice == answer, choice == rationale]
    return {"rows": torch.cat(rows), "right": torch.cat(right).long()}, count


def head(config: UniterConfig, settings: TaskSettings, seed: int) -> nn.Module:
    """(S, H) → (S, 2), row 1 = the choice is right; with a ReLU where other tasks have a GELU, as released."""
    return mlp(config, inner=2 * config.hidden_size, outputs=2, activation=nn.ReLU)


def logits(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch) -> Tensor:
    """(S, 2) float32, from the pooled [CLS] of every choice."""
    found: Tensor = head(encoder.pool(encoder(batch.packed), batch.packed))
    return found.float()


def loss(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> Loss:
    """Cross-entropy, summed over the choices. Logged: how often the choice with the largest score is the true one, of
    answers, of rationales given the true answer, and of both.
    """
    rows, right = target(batch, "rows"), target(batch, "right")
    found = logits(encoder, head, batch)[rows]
    losses = F.cross_entropy(found, right, reduction="none")
    by_question = rearrange(found[:, 1], "(e two choice) -> two e choice", two=2, choice=CHOICES)
    truth = rearrange(right, "(e two choice) -> two e choice", two=2, choice=CHOICES)
    answered, explained = by_question.argmax(-1) == truth.argmax(-1)
    logged = {
        "loss": tally(losses),
        "accuracy": tally(answered & explained),  # after a right answer, the predicted answer is the true one
        "answer_accuracy": tally(answered),
        "rationale_accuracy": tally(explained),
    }
    return Loss(sum=losses.sum(), count=batch.count, logged=logged)


def scores(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> list[Tensor]:
    """(20,) for each example: of the four answers, then of the four rationales given answer 0, 1, 2 and 3; each four
    add up to 1.

    They are the softmax of logit 1 over the four choices, which ranks them as the released score, logit 1 alone, does.

    Raises:
        ValueError: the batch was made to train on, with the true answers only.
    """
    if set(batch.pairs) != {ALL}:
        raise ValueError("the batch shows only rationales for the true answers: collate with training=False to predict")
    of_choices = rearrange(logits(encoder, head, batch)[:, 1], "(e four) -> e four", four=CHOICES).softmax(-1)
    return list(rearrange(of_choices, "(e five) four -> e (five four)", five=1 + CHOICES).cpu())


def decode(scores: Tensor, settings: TaskSettings) -> dict[str, int]:
    """The likeliest answer, and the likeliest rationale given that answer."""
    blocks = rearrange(scores, "(five four) -> five four", four=CHOICES)
    answer = int(blocks[0].argmax())
    return {"answer": answer, "rationale": int(blocks[1 + answer].argmax())}


VCR = Task(
    name="vcr",
    head_name="vcr",
    type_sources=(0, 1, 0, 0),
    samples=samples,
    units=units,
    positions=positions,
    targets=targets,
    head=head,
    loss=loss,
    scores=scores,
    decode=decode,
    second_stage=SecondStage(lengths=pretraining_lengths, sample=pretraining_sample),
)

# ---------------------------------------------------------------------------------------------------------------------


def _parts(example: Example) -> tuple[Tensor, Sequence[Tensor], Sequence[Tensor]]:
    question, *choices = example.texts
    return question, choices[:CHOICES], choices[CHOICES:]


def _label(example: Example, field: str) -> int:
    label: Any = annotated([example], field, int, training=True)
    if not 0 <= label[0] < CHOICES:
        raise ValueError(f"example {example.id!r}: {field!r} must be 0 to {CHOICES - 1}, got {label[0]}")
    return int(label[0])
