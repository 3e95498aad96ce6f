"""What a downstream task may be told: its setting, its answers, its loss."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from uniter_core import Vocabulary

__all__ = ["TaskSettings"]


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Settings of a downstream task; those that a task does not know are ignored by it.

    Attributes:
        vocabulary: whose [CLS] and [SEP] frame the texts.
        setting: one of the task's settings, such as `triplet` of nlvr2; empty = the task's first.
        loss: one of the task's losses, such as `softmax` of snli-ve; empty = the task's first.
        answers: of vqa, in the order of the classifier's rows.
        margin: of ranking losses, on scores between 0 and 1.
        head_layers: of refexp, 1 (one linear layer) or 2 (an MLP).

    Raises:
        ValueError: answers stand twice, the margin is not in [0, 1], or there are not 1 or 2 layers.
    """

    vocabulary: Vocabulary
    setting: str = ""
    loss: str = ""
    answers: tuple[str, ...] = ()
    margin: float = 0.2
    head_layers: int = 1

    def __post_init__(self) -> None:
        if len(self.answer_rows) != len(self.answers):
            twice = next(answer for row, answer in enumerate(self.answers) if self.answer_rows[answer] != row)
            raise ValueError(f"answers: {twice!r} stands twice")
        if not 0 <= self.margin <= 1:
            raise ValueError(f"margin: expected a number between 0 and 1, got {self.margin}")
        if self.head_layers not in (1, 2):
            raise ValueError(f"head_layers: expected 1 or 2, got {self.head_layers}")

    @cached_property
    def answer_rows(self) -> dict[str, int]:
        """The classifier's row of each answer."""
        return {answer: row for row, answer in enumerate(self.answers)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it, without the vocabulary, which model folders hold themselves."""
        return {
            "setting": self.setting,
            "loss": self.loss,
            "answers": list(self.answers),
            "margin": self.margin,
            "head_layers": self.head_layers,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, vocabulary: Vocabulary) -> "TaskSettings":
        """The settings that `to_dict` wrote.

        Raises:
            ValueError: a key is unknown, or a value outside its range.
        """
        known = {field.name for field in fields(cls)} - {"vocabulary"}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown task setting {unknown[0]!r}: known are {', '.join(sorted(known))}")
        answers = tuple(values.get("answers", ()))
        return replace(cls(vocabulary=vocabulary), **(dict(values) | {"answers": answers}))
