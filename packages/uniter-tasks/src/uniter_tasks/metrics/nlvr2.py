"""NLVR2: accuracy over examples, consistency over sentences, accuracy on subsets and per linguistic phenomenon.

An identifier is split-set-pair-sentence: a sentence was written for a set of pictures and is asked of up to four of
the set's pairs (Suhr et al., ACL 2019, section 3).

E examples, S sentences.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uniter_tasks.metrics.breakdown import mean_by

__all__ = ["Nlvr2Score", "phenomenon_accuracy", "score_nlvr2", "sentence_of"]


@dataclass(frozen=True, kw_only=True)
class Nlvr2Score:
    """Shares in [0, 1].

    Attributes:
        accuracy: of the examples.
        consistency: of the sentences, those whose examples are all right.
        examples: (E,) bool, right or wrong.
        sentences: (S,) bool, all right or not, in alphabetical order of their identifiers.
    """

    accuracy: float
    consistency: float
    examples: NDArray[np.bool_]
    sentences: NDArray[np.bool_]


def score_nlvr2(predicted: ArrayLike, labels: ArrayLike, identifiers: Sequence[str]) -> Nlvr2Score:
    """The numbers of the official metrics script.

    Args:
        predicted: (E,) bool.
        labels: (E,) bool.
        identifiers: E of them, split-set-pair-sentence.

    Raises:
        ValueError: the arguments differ in length, there is no example, or an identifier is not of that form.

    >>> score = score_nlvr2([1, 0, 1], [1, 1, 1], ["dev-7-0-0", "dev-7-1-0", "dev-7-0-1"])
    >>> round(score.accuracy, 2), score.consistency
    (0.67, 0.5)
    """
    answers, truth = np.asarray(predicted, dtype=bool), np.asarray(labels, dtype=bool)
    if answers.shape != truth.shape or truth.shape != (len(identifiers),) or not len(truth):
        raise ValueError(
            f"expected (E,) predictions, labels and identifiers, got {answers.shape}, {truth.shape}, {len(identifiers)}"
        )
    right = answers == truth
    shares = mean_by(right, [sentence_of(identifier) for identifier in identifiers])
    sentences = np.array(list(shares.values())) == 1.0
    return Nlvr2Score(
        accuracy=float(right.mean()), consistency=float(sentences.mean()), examples=right, sentences=sentences
    )


def sentence_of(identifier: str) -> str:
    """What the examples of one sentence have in common.

    Raises:
        ValueError: the identifier does not have four parts.

    >>> sentence_of("dev-850-3-1")
    'dev-850-1'
    """
    parts = identifier.split("-")
    if len(parts) != 4:
        raise ValueError(f"identifier: expected split-set-pair-sentence, got {identifier!r}")
    split, pictures, _, sentence = parts
    return f"{split}-{pictures}-{sentence}"


def phenomenon_accuracy(
    examples: ArrayLike, sentences: Sequence[str], phenomena: Mapping[str, Collection[str]]
) -> dict[str, tuple[float, int]]:
    """Accuracy and number of the examples whose sentence shows a phenomenon; phenomena without any are left out.

    Args:
        examples: (E,) bool, right or wrong.
        sentences: E texts.
        phenomena: name → sentences that show it; upper case and spacing do not count.

    Raises:
        ValueError: no sentence is annotated: the file is of another split.
    """
    right = np.asarray(examples, dtype=np.float64)
    rows: dict[str, list[int]] = {}
    for row, sentence in enumerate(sentences):
        rows.setdefault(_plain(sentence), []).append(row)
    found: dict[str, tuple[float, int]] = {}
    for name, shown in sorted(phenomena.items()):
        chosen = [row for sentence in {_plain(text) for text in shown} for row in rows.get(sentence, ())]
        if chosen:
            found[name] = (float(right[chosen].mean()), len(chosen))
    if not found:
        raise ValueError(
            "phenomena: none of the annotated sentences is among those scored: is it the file of this split?"
        )
    return found


# ---------------------------------------------------------------------------------------------------------------------


def _plain(sentence: str) -> str:
    return " ".join(sentence.lower().split())
