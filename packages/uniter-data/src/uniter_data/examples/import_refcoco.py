"""Imports RefCOCO, RefCOCO+ and RefCOCOg: an expression and the region that it means."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from uniter_data.annotations.records import refexp_annotation
from uniter_data.annotations.refcoco import Expression, read_refcoco
from uniter_data.examples.draft import Draft, ImportOptions, ImportReport
from uniter_data.examples.image_names import coco_image
from uniter_data.examples.importing import Plan, write_examples
from uniter_data.examples.join import Join
from uniter_data.examples.overlap import box_overlaps

__all__ = ["BOXES", "import_refcoco", "with_target"]

# least overlap with the object's box of the region that is the object: ground-truth boxes are stored in the unit
# square, some of them as float16; a detected box counts as right from one half on
BOXES = {"ground-truth": 0.75, "detected": 0.5}
NO_BOX = "no region is its object's box, as if the boxes were detected"


def import_refcoco(
    out: str | Path,
    *,
    refs: str | Path,
    instances: str | Path,
    regions: Sequence[str | Path],
    boxes: str = "ground-truth",
    options: ImportOptions | None = None,
) -> ImportReport:
    """Import the expressions of all splits.

    Args:
        out: the data set to write.
        refs: `refs(unc).p` or `refs(umd).p`.
        instances: the `instances.json` beside it.
        regions: the region stores in which the pictures are looked for.
        boxes: what the regions are. "ground-truth": the boxes of COCO's objects; each expression's object must be one
            of them. "detected": the object may be missing; `target` is -1 then.
        options: see `ImportOptions`.

    Raises:
        ValueError: `boxes` is something else, an object is not among the ground-truth regions; and see
            `write_examples`.
    """
    if boxes not in BOXES:
        raise ValueError(f"boxes: expected one of {', '.join(BOXES)}, got {boxes!r}")
    expressions = list(read_refcoco(Path(refs), Path(instances)))
    plan = Plan(
        task="refexp",
        name=Path(refs).resolve().parent.name or "refcoco",
        label="box",
        source=f"RefCOCO, RefCOCO+ or RefCOCOg: {Path(refs).name}",
        splits={split: _of_split(expressions, split) for split in dict.fromkeys(e.split for e in expressions)},
        layers=[regions],
        settings={"boxes": boxes},
        finish=partial(with_target, boxes=boxes),
    )
    return write_examples(out, plan, options or ImportOptions())


def with_target(draft: Draft, images: Sequence[tuple[str, ...]], join: Join, *, boxes: str) -> dict[str, Any] | str:
    """The annotation with the row of the region that is the object, and how far the two overlap; see `Finish`.

    Where the annotation names the row as `target` already, its region must be the object.
    """
    (layer,), ((name,),) = join.layers, images
    row = layer.rows[name]
    places = layer.boxes.read(layer.starts[row : row + 1], layer.stops[row : row + 1])
    known = draft.annotation
    overlaps = box_overlaps(places, tuple(known["box"]), tuple(known["size"]))
    best = int(known.get("target", np.argmax(overlaps)))
    found = best < len(overlaps) and bool(overlaps[best] > BOXES[boxes])
    if not found and boxes == "ground-truth":
        return NO_BOX
    return {**known, "target": best if found else -1, "overlap": round(float(overlaps[best]), 4)}


# ---------------------------------------------------------------------------------------------------------------------


def _of_split(expressions: Sequence[Expression], split: str) -> Callable[[], Iterator[Draft]]:
    def drafts() -> Iterator[Draft]:
        return (_draft(expression) for expression in expressions if expression.split == split)

    return drafts


def _draft(expression: Expression) -> Draft:
    return Draft(
        id=str(expression.sent_id),
        source=expression.source,
        texts=(expression.sentence,),
        images=(coco_image(expression.image_id, expression.collection, expression.stem),),
        annotation=refexp_annotation(expression),
    )
