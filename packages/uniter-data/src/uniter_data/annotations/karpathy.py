"""Karpathy's splits (Karpathy and Fei-Fei, CVPR 2015) of COCO and Flickr30k: pictures with five captions each.

`dataset_coco.json` and `dataset_flickr30k.json` hold `images`. COCO's `restval` is what is left of COCO's validation
pictures when Karpathy's own val and test are taken out of them; it is used for training.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from uniter_data.annotations.fields import Fields, Seen
from uniter_data.annotations.formats import other_format
from uniter_data.annotations.json_stream import read_members

__all__ = ["SPLITS", "Caption", "KarpathyImage", "read_karpathy"]

SPLITS = ("train", "restval", "val", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """One caption.

    Attributes:
        sent_id: unique in the file.
        sentence: as written.
    """

    sent_id: int
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class KarpathyImage:
    """A picture and its captions.

    Attributes:
        source: file and record, for messages.
        file_name: of the picture.
        collection: folder of the picture, such as "val2014"; empty for Flickr30k.
        number: COCO id or Flickr photo id; -1 if the name has none.
        split: one of `SPLITS`.
        captions: of the picture, usually five.
    """

    source: str
    file_name: str
    collection: str
    number: int
    split: str
    captions: tuple[Caption, ...]

    @property
    def stem(self) -> str:
        """The file's name without its suffix."""
        return PurePosixPath(self.file_name).stem


def read_karpathy(path: Path) -> Iterator[KarpathyImage]:
    """The pictures of a file, one after another.

    Raises:
        ValueError: the file is of another format, or a record is wrong or doubled; the message names file and record.
    """
    pictures, sentences = Seen("filename"), Seen("sentid")
    empty = True
    for key, index, value in read_members(path):
        if key != "images" or index is None:
            continue
        if empty and not (isinstance(value, dict) and {"sentences", "split", "filename"} <= value.keys()):
            raise other_format(path, "a file of Karpathy's splits")
        empty = False
        image = _image(Fields(value, f"{path}: images[{index}]"))
        pictures.add(image.file_name, image.source)
        for caption in image.captions:
            sentences.add(caption.sent_id, image.source)
        yield image
    if empty:
        raise other_format(path, "a file of Karpathy's splits")


# ---------------------------------------------------------------------------------------------------------------------


def _image(fields: Fields) -> KarpathyImage:
    file_name = fields.text("filename")
    stem = PurePosixPath(file_name).stem
    if "cocoid" in fields.raw:
        number = fields.integer("cocoid")
    else:
        number = int(stem) if stem.isdecimal() else -1
    return KarpathyImage(
        source=fields.where,
        file_name=file_name,
        collection=PurePosixPath(fields.text("filepath")).name if "filepath" in fields.raw else "",
        number=number,
        split=fields.choice("split", SPLITS),
        captions=tuple(_captions(fields)),
    )


def _captions(fields: Fields) -> Iterator[Caption]:
    for place in range(len(fields.items("sentences"))):
        sentence = fields.within("sentences", place)
        yield Caption(sent_id=sentence.integer("sentid"), sentence=sentence.text("raw"))
