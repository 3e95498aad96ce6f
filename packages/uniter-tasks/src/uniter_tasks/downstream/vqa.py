"""Visual question answering: a multi-label classifier over frequent answers. Paper, appendix A.2; VQA v2.

Ten people answered each question; an answer that n of them gave is worth 0, 0.3, 0.6, 0.9, 1, 1, … for n = 0, 1, 2, …
The loss is the binary cross-entropy of every answer, summed over the answers and averaged over the questions.

E examples, A answers, H hidden.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniter_core import Example, Sample, UniterConfig, UniterEncoder
from uniter_tasks.batch import TaskBatch
from uniter_tasks.downstream.heads import mlp
from uniter_tasks.downstream.layout import expect, lay_out, single_pair_units
from uniter_tasks.downstream.settings import TaskSettings
from uniter_tasks.downstream.task import Task, annotated, target
from uniter_tasks.loss import Loss, tally
from uniter_tasks.metrics.vqa_answers import normalise_answer

__all__ = ["VQA", "answer_scores", "build_answers"]

WORTH = (0.0, 0.3, 0.6, 0.9, 1.0)  # of an answer that so many people gave; of more than four, the last


def build_answers(annotations: Iterable[Mapping[str, Any]], *, least: int = 9) -> tuple[str, ...]:
    """The answers that a classifier learns: those that are the most frequent one of at least `least` questions.

    With VQA v2's training and validation questions and `least` 9 these are the 3,129 of the paper.

    Args:
        annotations: of the questions to learn from: `answers`, and `multiple_choice_answer` where the source has it.
        least: questions.

    Returns:
        normalised answers, the frequent ones first, equally frequent ones in alphabetical order.

    Raises:
        ValueError: no answer is that frequent.

    >>> build_answers([{"answers": ["a dog", "Dog", "cat"]}, {"answers": ["dog"]}, {"answers": ["cat"]}], least=2)
    ('dog',)
    """
    counts: Counter[str] = Counter()
    for annotation in annotations:
        given = [normalise_answer(answer) for answer in annotation.get("answers", ())]
        chosen = annotation.get("multiple_choice_answer")
        if chosen is not None:
            counts[normalise_answer(chosen)] += 1
        elif given:
            counts[Counter(given).most_common(1)[0][0]] += 1
    answers = sorted((answer for answer, count in counts.items() if count >= least), key=lambda a: (-counts[a], a))
    if not answers:
        raise ValueError(f"annotations: no answer is the most frequent one of {least} questions: lower `least`")
    return tuple(answers)


def answer_scores(answers: Sequence[str]) -> dict[str, float]:
    """What each normalised answer is worth, given what people said.

    A question with a single answer, as Visual Genome has them, is worth 1 where that answer is given.

    >>> answer_scores(["a dog", "dog", "cat", "dogs"])
    {'dog': 0.6, 'cat': 0.3, 'dogs': 0.3}
    """
    counts = Counter(normalise_answer(answer) for answer in answers)
    if len(answers) == 1:
        return dict.fromkeys(counts, 1.0)
    return {answer: WORTH[min(count, len(WORTH) - 1)] for answer, count in counts.items()}


def samples(example: Example, settings: TaskSettings, training: bool) -> list[Sample]:
    """[CLS] question [SEP] regions."""
    expect(example, texts=1, images=1)
    return [lay_out(example, example.texts, example.images, settings.vocabulary)]


def targets(examples: Sequence[Example], settings: TaskSettings, training: bool) -> tuple[dict[str, Tensor], int]:
    """`worth` (E, A) float32; `people` (E, 2) float32: those whose answer is not in the vocabulary, and all.

    Such answers are skipped; a question that has no others teaches that every answer is wrong, as released.
    """
    given = annotated(examples, "answers", list, training=training)
    if given is None:
        return {}, len(examples)
    worth = torch.zeros(len(examples), len(settings.answers))
    people = torch.zeros(len(examples), 2)
    rows = settings.answer_rows
    for number, answers in enumerate(given):
        scored = answer_scores(answers)
        for answer, score in scored.items():
            if answer in rows:
                worth[number, rows[answer]] = score
        outside = sum(normalise_answer(answer) not in rows for answer in answers)
        people[number] = torch.tensor([outside, len(answers)])
    return {"worth": worth, "people": people}, len(examples)


def head(config: UniterConfig, settings: TaskSettings, seed: int) -> nn.Module:
    """(E, H) → (E, A)."""
    if not settings.answers:
        raise ValueError("answers: vqa needs the answers its classifier chooses from: build_answers, or a file of them")
    return mlp(config, inner=2 * config.hidden_size, outputs=len(settings.answers))


def logits(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch) -> Tensor:
    """(E, A) float32, from the pooled [CLS]."""
    found: Tensor = head(encoder.pool(encoder(batch.packed), batch.packed))
    return found.float()


def loss(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> Loss:
    """Binary cross-entropy, summed over answers and examples. Logged: `accuracy`, what the likeliest answer is worth,
    and `outside`, the share of people whose answer is not in the vocabulary.
    """
    worth, people = target(batch, "worth"), target(batch, "people")
    scores = logits(encoder, head, batch)
    losses = F.binary_cross_entropy_with_logits(scores, worth, reduction="none").sum(1)
    logged = {
        "loss": tally(losses),
        "accuracy": tally(worth.gather(1, scores.argmax(1, keepdim=True))),
        "outside": people.sum(0),
    }
    return Loss(sum=losses.sum(), count=batch.count, logged=logged)


def scores(encoder: UniterEncoder, head: nn.Module, batch: TaskBatch, settings: TaskSettings) -> list[Tensor]:
    """(A,) for each example: the probability of each answer, apart from the others'."""
    return list(logits(encoder, head, batch).sigmoid().cpu())


def decode(scores: Tensor, settings: TaskSettings) -> str:
    """The likeliest answer."""
    return settings.answers[int(scores.argmax())]


VQA = Task(
    name="vqa",
    head_name="vqa",
    samples=samples,
    units=single_pair_units,
    targets=targets,
    head=head,
    loss=loss,
    scores=scores,
    decode=decode,
)
