"""NLVR2 (Suhr, Zhou et al., ACL 2019): is a sentence true of two pictures? `train.json`, …, a JSON object a line.

The identifier `split-set-pair-sentence` names the pictures too: `split-set-pair-img0` is the left one, `…-img1` the
right.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from uniter_data.annotations.fields import Fields, Seen
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_lines

__all__ = ["Nlvr2Record", "read_nlvr2"]

IDENTIFIER = re.compile(r"[^-\s]+-\d+-\d+-\d+")
LABELS = ("True", "False")


@dataclass(frozen=True, kw_only=True, slots=True)
class Nlvr2Record:
    """A sentence about two pictures.

    Attributes:
        source: file and line, for messages.
        identifier: split-set-pair-sentence, unique in the file.
        sentence: as written.
        label: whether it holds; None where the file has no labels.
        synset: what the pictures were searched for; empty if the file does not say.
        urls: where the pictures came from, left and right.
    """

    source: str
    identifier: str
    sentence: str
    label: bool | None
    synset: str
    urls: tuple[str, str]

    @property
    def images(self) -> tuple[str, str]:
        """Names of the left and the right picture.

        >>> empty = {"source": "", "sentence": "", "label": None, "synset": "", "urls": ("", "")}
        >>> Nlvr2Record(identifier="dev-850-0-1", **empty).images
        ('dev-850-0-img0', 'dev-850-0-img1')
        """
        pair = self.identifier.rpartition("-")[0]
        return f"{pair}-img0", f"{pair}-img1"

    @property
    def url_stems(self) -> tuple[str, str]:
        """The pictures' names where they came from, without suffix."""
        left, right = (PurePosixPath(urlsplit(url).path).stem for url in self.urls)
        return left, right


def read_nlvr2(path: Path) -> Iterator[Nlvr2Record]:
    """The records of a file, line after line.

    Raises:
        ValueError: the file is of another format, or a record is wrong or doubled; the message names file and line.
    """
    seen = Seen("identifier")
    for number, raw in read_lines(path):
        if not {"identifier", "sentence"} <= raw.keys() or raw.keys() & {"structured_rep", "evals"}:
            raise other_format(path, "a file of NLVR2")
        fields = Fields(raw, f"{path}:{number}")
        identifier = fields.text("identifier")
        if not IDENTIFIER.fullmatch(identifier):
            fields.fail("identifier", "split-set-pair-sentence, such as dev-850-0-1", identifier)
        seen.add(identifier, fields.where)
        yield Nlvr2Record(
            source=fields.where,
            identifier=identifier,
            sentence=fields.text("sentence"),
            label=fields.choice("label", LABELS) == "True" if "label" in raw else None,
            synset=fields.text("synset", empty=True) if "synset" in raw else "",
            urls=(_url(fields, "left_url"), _url(fields, "right_url")),
        )


def _url(fields: Fields, name: str) -> str:
    return fields.text(name, empty=True) if name in fields.raw else ""
