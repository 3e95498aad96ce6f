"""Referring expressions in the files of RefCOCO: `refs(scenes).p` and `instances.json`, in three flavours.

`locations` says where in the picture an object is and what it looks like, as in RefCOCO; `attributes` only what it
looks like, as in RefCOCO+; `relations` where it is as seen from another thing, as often in RefCOCOg. Whenever a picture
lets it, the noun alone would not do.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from uniter_core import key_of
from uniter_data.scenes.annotations.balance import Candidate, balanced
from uniter_data.scenes.annotations.kinds import kind_of, named
from uniter_data.scenes.annotations.pictures import Picture
from uniter_data.scenes.annotations.records import Record, write_json
from uniter_data.scenes.annotations.sides import may_be
from uniter_data.scenes.lexicon import RELATIONS
from uniter_data.scenes.speaker import Speaker, middle, relations, text_of
from uniter_data.scenes.world import CANVAS, CLASS_NAMES, Scene, pick

__all__ = ["DEFAULT", "EXPRESSIONS", "FLAVOURS", "INSTANCES", "REFS", "REFS_A_PICTURE", "refs_of", "write_refexp"]

DEFAULT = "attributes"  # the flavour that a small model learns in minutes
REFS = "refs(scenes).p"
INSTANCES = "instances.json"
REFS_A_PICTURE = 3 / 4
EXPRESSIONS = 2  # at most, of one object
AMBIGUOUS = 0.8  # how often an object is meant that shares its shape, where there is one
ANCHORS = 3  # things that an object is tried to be told from
THIRD = CANVAS / 3

Expression = Callable[[Scene, int, np.random.Generator], list[str]]


def write_refexp(folder: Path, pictures: Mapping[str, Sequence[Picture]], *, seed: int) -> None:
    """Write the two files of every flavour, in a folder each. File names are the pictures' names."""
    for flavour in FLAVOURS:
        refs: list[Record] = []
        sentences = 0
        for split, of in pictures.items():
            rng = np.random.default_rng(key_of(seed, "annotations", "refexp", flavour, split))
            for picture, number, said in refs_of(flavour, of, round(REFS_A_PICTURE * len(of)), rng):
                refs.append(_ref(picture, number, said, len(refs), sentences))
                sentences += len(said)
        target = folder / flavour
        target.mkdir(parents=True, exist_ok=True)
        # plain containers, strings and whole numbers only: what a cautious reader accepts
        (target / REFS).write_bytes(pickle.dumps(refs, protocol=2))
        write_json(target / INSTANCES, _instances([picture for of in pictures.values() for picture in of]))


def refs_of(
    flavour: str, pictures: Sequence[Picture], number: int, rng: np.random.Generator
) -> Iterator[tuple[Picture, int, list[str]]]:
    """So many objects, each with its picture and one or two different expressions."""

    def candidates(picture: Picture, rng: np.random.Generator) -> list[Candidate[tuple[int, list[str]]]]:
        found = []
        for thing in _meant(picture.scene, rng):
            said = FLAVOURS[flavour](picture.scene, thing, rng)
            if said:
                content = (thing, said[:EXPRESSIONS])
                found.append(Candidate(topic=thing, answer=picture.scene.objects[thing].shape, content=content))
        return found

    for picture, (thing, said) in balanced(pictures, candidates, number, rng):
        yield picture, thing, said


# ---------------------------------------------------------------------------------------------------------------------


def _ref(picture: Picture, thing: int, said: Sequence[str], number: int, sentences: int) -> Record:
    sent_ids = list(range(sentences, sentences + len(said)))
    return {
        "ref_id": number,
        "ann_id": _annotation_id(picture, thing),
        "image_id": picture.unique_number,
        "file_name": f"{picture.image_id}_{thing}.jpg",
        "category_id": picture.scene.classes[thing],
        "split": picture.split,
        "sent_ids": sent_ids,
        "sentences": [
            {"sent_id": sent_id, "sent": text, "raw": text, "tokens": text.split()}
            for sent_id, text in zip(sent_ids, said, strict=True)
        ],
    }


def _instances(pictures: Sequence[Picture]) -> Record:
    """Every thing of every picture with its true box, as COCO lists them."""
    annotations = []
    for picture in pictures:
        for thing, (x1, y1, x2, y2) in enumerate(picture.scene.boxes):
            width, height = round(x2 - x1, 2), round(y2 - y1, 2)
            annotations.append(
                {
                    "id": _annotation_id(picture, thing),
                    "image_id": picture.unique_number,
                    "category_id": picture.scene.classes[thing],
                    "bbox": [round(x1, 2), round(y1, 2), width, height],
                    "area": round(width * height, 2),
                    "segmentation": [[round(at, 2) for at in (x1, y1, x2, y1, x2, y2, x1, y2)]],
                    "iscrowd": 0,
                }
            )
    return {
        "info": {"description": "Things of generated scenes, in the format of COCO."},
        "images": [
            {"id": one.unique_number, "file_name": f"{one.image_id}.jpg", "width": CANVAS, "height": CANVAS}
            for one in pictures
        ],
        "annotations": annotations,
        "categories": [
            {"id": row, "name": name, "supercategory": "thing"} for row, name in enumerate(CLASS_NAMES) if row
        ],
    }


def _annotation_id(picture: Picture, thing: int) -> int:
    return picture.unique_number * 100 + thing


def _meant(scene: Scene, rng: np.random.Generator) -> list[int]:
    """The objects of which one is to be meant: mostly only those that share their shape, if there are any."""
    shared = [at for at, thing in enumerate(scene.objects) if len(scene.matching(shape=thing.shape)) > 1]
    return shared if shared and rng.random() < AMBIGUOUS else list(range(len(scene.objects)))


def _by_attributes(scene: Scene, thing: int, rng: np.random.Generator) -> list[str]:
    """Noun phrases that fit this object alone."""
    speaker = Speaker(scene, rng)
    article = pick(rng, ("", "the"))
    return _different([text_of(speaker.noun_phrase(thing, article=article)) for _ in range(4)])


def _by_location(scene: Scene, thing: int, rng: np.random.Generator) -> list[str]:
    """A noun phrase and the part of the picture in which nothing else is like it."""
    speaker = Speaker(scene, rng)
    said = []
    for attributes in (("shape",), ("colour",), ("colour", "shape"), ("texture", "shape")):
        kind = kind_of(scene.objects[thing], attributes)
        others = [other for other in kind.objects(scene) if other != thing]
        if kind.texture != "plain" and not any(_same_part(scene, thing, other) for other in others):
            said += [(not others, f"{kind.words(rng)} {text_of(speaker.place(thing))}") for _ in range(2)]
    # where others are like it, the place is needed
    needed = [text for spare, text in said if not spare] or [text for _, text in said]
    return _different([needed[at] for at in rng.permutation(len(needed)).tolist()])


def _same_part(scene: Scene, one: int, other: int) -> bool:
    """Whether the words for the place of `one` might be said of `other`: "at the top" fits the corners, too."""
    (row, column), (other_row, other_column) = (
        tuple(min(2, int(at / THIRD)) for at in reversed(middle(scene, thing))) for thing in (one, other)
    )
    if (row != 1 and column != 1) or row == column == 1:
        return (row, column) == (other_row, other_column)
    return column == other_column if row == 1 else row == other_row


def _by_relation(scene: Scene, thing: int, rng: np.random.Generator) -> list[str]:
    """A noun phrase and the side of another thing, or its nearness, on which nothing else is like it."""
    said = []
    for anchor in rng.permutation([other for other in range(len(scene.boxes)) if other != thing])[:ANCHORS].tolist():
        name_of_anchor = named(scene, anchor, rng)
        for attributes in (("shape",), ("colour",), ("colour", "shape")):
            kind = kind_of(scene.objects[thing], attributes)
            others = [other for other in kind.objects(scene) if other not in (thing, anchor)]
            for relation in relations(scene, thing, anchor):
                if name_of_anchor and not any(may_be(scene, other, anchor, relation) for other in others):
                    text = f"{kind.words(rng, article='the')} {pick(rng, RELATIONS[relation])} {name_of_anchor}"
                    said.append((not others, text))
    needed = [text for spare, text in said if not spare] or [text for _, text in said]
    return _different([needed[at] for at in rng.permutation(len(needed)).tolist()])


def _different(said: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(said))


FLAVOURS: dict[str, Expression] = {
    "locations": _by_location,
    "attributes": _by_attributes,
    "relations": _by_relation,
}
