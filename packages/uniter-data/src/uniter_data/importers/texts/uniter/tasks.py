"""Examples of the released databases of tasks: their word pieces as they come, their targets as annotations."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from uniter_data.annotations.fields import Fields
from uniter_data.annotations.snli_ve import LABELS
from uniter_data.annotations.vcr import CHOICES
from uniter_data.annotations.vqa import PEOPLE
from uniter_data.examples.draft import Draft
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.uniter.database import TextDatabase, pieces
from uniter_data.importers.texts.uniter.images import images_of, scene_of
from uniter_data.importers.texts.uniter.sentences import Sentences
from uniter_data.tokenizer import Tokenizer

__all__ = ["nlvr2_drafts", "people_behind", "snli_ve_drafts", "vcr_drafts", "vqa_drafts"]

TOO_LONG = "a text is too long"
WORTH = {0.3: 1, 0.6: 2, 0.9: 3, 1.0: 4}  # how many people an answer's score stands for, at least
NOT_KEPT = ""  # stands for the answers of the others, which the databases do not hold
TOLERANCE = 1e-3

# from the id, the number of word pieces and the fields of a record
MakeDraft = Callable[[str, int, Fields], Draft]


def vqa_drafts(
    database: TextDatabase, tokenizer: Tokenizer, damages: Damages, *, answers: Sequence[str]
) -> Iterator[Draft]:
    """Questions; `answers` are the classes, in the order of their numbers.

    Raises:
        ValueError: a record is wrong, unless damaged records are left out.
    """
    sentences = Sentences(database, "question", tokenizer)

    def make(name: str, length: int, fields: Fields) -> Draft:
        question = sentences.of(fields)
        annotation: dict[str, Any] = {"question_id": int(name) if name.isdecimal() else name, "question": question}
        annotation |= {"question_type": "", "answer_type": ""}
        if "target" in fields.raw:
            annotation["answers"] = people_behind(_target(fields, len(answers)), answers)
        return _draft(name, length, fields, question, annotation)

    return _drafts(database, damages, make)


def people_behind(scores: dict[int, float], answers: Sequence[str]) -> list[str]:
    """Ten people's answers that are worth these scores, by class: of an answer worth 0.6, two people gave it.

    What the others said is lost: their answers are empty, which no classifier and no metric counts as right.

    >>> people_behind({0: 1.0, 1: 0.3}, ["yes", "no"])
    ['yes', 'yes', 'yes', 'yes', 'no', '', '', '', '', '']
    """
    given = [answers[number] for number, score in scores.items() for _ in range(WORTH[score])]
    return given + [NOT_KEPT] * (PEOPLE - len(given))


def snli_ve_drafts(database: TextDatabase, tokenizer: Tokenizer, damages: Damages) -> Iterator[Draft]:
    """Sentences with one of three classes.

    Raises:
        ValueError: a record is wrong, unless damaged records are left out.
    """
    sentences = Sentences(database, "hypothesis", tokenizer)

    def make(name: str, length: int, fields: Fields) -> Draft:
        sentence = sentences.of(fields)
        annotation = {"pair_id": name, "sentence": sentence}
        if "target" in fields.raw:
            scores = _target(fields, len(LABELS))
            if list(scores.values()) != [1.0]:
                fields.fail("target", "one label with the score 1", fields.raw["target"])
            (number,) = scores
            annotation["label"] = LABELS[number]
        return _draft(name, length, fields, sentence, annotation)

    return _drafts(database, damages, make)


def nlvr2_drafts(database: TextDatabase, tokenizer: Tokenizer, damages: Damages) -> Iterator[Draft]:
    """Sentences about two pictures.

    Raises:
        ValueError: a record is wrong, unless damaged records are left out.
    """
    sentences = Sentences(database, "sentence", tokenizer)

    def make(name: str, length: int, fields: Fields) -> Draft:
        sentence = sentences.of(fields)
        label = {"label": bool(fields.integer("target", most=1))} if "target" in fields.raw else {}
        synset = str(fields.raw.get("synset", ""))
        annotation = {"identifier": name, "sentence": sentence, **label, "synset": synset}
        return _draft(name, length, fields, sentence, annotation, images=2)

    return _drafts(database, damages, make)


def vcr_drafts(database: TextDatabase, tokenizer: Tokenizer, damages: Damages, *, limit: int | None) -> Iterator[Draft]:
    """Questions with four answers and four rationales; those of more than `limit` word pieces together are unwanted.

    Raises:
        ValueError: a record is wrong, unless damaged records are left out.
    """

    def make(name: str, length: int, fields: Fields) -> Draft:
        choices = [
            pieces(Fields({field: choice}, fields.where), field)
            for field in ("input_ids_as", "input_ids_rs")
            for choice in fields.items(field, count=CHOICES)
        ]
        ids = (pieces(fields), *choices)
        labels = {"answer_label": "qa_target", "rationale_label": "qar_target"}
        known = {
            label: fields.integer(target, most=CHOICES - 1)
            for label, target in labels.items()
            if fields.raw.get(target, -1) != -1
        }
        return Draft(
            id=name,
            source=fields.where,
            texts=tuple(map(tokenizer.sentence, ids)),
            images=(scene_of(fields),),
            annotation={"annot_id": name, **known, "people": []},
            unwanted=TOO_LONG if limit is not None and length > limit else "",
            pieces=ids,
        )

    return _drafts(database, damages, make, "id2len_qar.json")


# ---------------------------------------------------------------------------------------------------------------------


def _drafts(database: TextDatabase, damages: Damages, make: MakeDraft, lengths: str = "id2len.json") -> Iterator[Draft]:
    return damages.sift(lambda record: make(*record), database.records(database.lengths(lengths), damages))


def _draft(
    name: str, length: int, fields: Fields, sentence: str, annotation: dict[str, Any], *, images: int = 1
) -> Draft:
    """An example of one text."""
    return Draft(
        id=name,
        source=fields.where,
        texts=(sentence,),
        images=images_of(fields, count=images),
        annotation=annotation,
        pieces=(pieces(fields, count=length),),
    )


def _target(fields: Fields, classes: int) -> dict[int, float]:
    """Score by class; scores are brought to the values that there are."""
    target = Fields(fields.raw["target"], f"{fields.where}: target")
    labels = target.items("labels")
    scores = target.numbers("scores", count=len(labels))
    if not all(type(label) is int and 0 <= label < classes for label in labels) or len(set(labels)) != len(labels):
        target.fail("labels", f"different numbers from 0 to {classes - 1}", labels)
    found = {}
    for label, score in zip(labels, scores, strict=True):
        near = min(WORTH, key=lambda worth: abs(worth - score))
        if not math.isclose(near, score, abs_tol=TOLERANCE):
            target.fail("scores", "scores of 0.3, 0.6, 0.9 or 1", score)
        found[label] = near
    return found
