"""SNLI-VE (Xie et al., 2019): does a Flickr30k picture entail a sentence? `snli_ve_train.jsonl`, a JSON object a line.

`sentence1` is a caption of the picture, which the task does not show; `sentence2` is the sentence to judge.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uniter_data.annotations.fields import Fields, Seen
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_lines

__all__ = ["LABELS", "SnliVeRecord", "read_snli_ve"]

LABELS = ("contradiction", "entailment", "neutral")
UNDECIDED = "-"  # the annotators did not agree
PICTURE = ("Flickr30K_ID", "Flikr30kID")  # the first release has the second name


@dataclass(frozen=True, kw_only=True, slots=True)
class SnliVeRecord:
    """A sentence about a picture.

    Attributes:
        source: file and line, for messages.
        pair_id: unique in the file.
        flickr_id: of the picture, as Flickr30k's file is called.
        hypothesis: as written.
        label: one of `LABELS`; None where the annotators did not agree or the file has no labels.
        undecided: the annotators did not agree.
    """

    source: str
    pair_id: str
    flickr_id: str
    hypothesis: str
    label: str | None
    undecided: bool


def read_snli_ve(path: Path) -> Iterator[SnliVeRecord]:
    """The records of a file, line after line.

    Raises:
        ValueError: the file is of another format, or a record is wrong or doubled; the message names file and line.
    """
    seen = Seen("pairID")
    for number, raw in read_lines(path):
        picture = next((name for name in PICTURE if name in raw), None)
        if "sentence2" not in raw or "pairID" not in raw or picture is None:
            raise other_format(path, "a file of SNLI-VE")
        fields = Fields(raw, f"{path}:{number}")
        pair_id = fields.text("pairID")
        seen.add(pair_id, fields.where)
        label = fields.choice("gold_label", (*LABELS, UNDECIDED)) if "gold_label" in raw else None
        yield SnliVeRecord(
            source=fields.where,
            pair_id=pair_id,
            flickr_id=fields.text(picture).removesuffix(".jpg"),
            hypothesis=fields.text("sentence2"),
            label=None if label == UNDECIDED else label,
            undecided=label == UNDECIDED,
        )
