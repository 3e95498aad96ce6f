"""NLVR v1: sentences that people wrote about drawn scenes, the true ones as captions of the scenes' pictures.

Each record has six pictures, which show its three boxes in each order; a sentence that is true of the scene is paired
with each of them. What the sentence's words name is not annotated: there are no gold links. The regions are the objects
of the structured representation; their features are made by `uniter_data.extract`. The grey boxes are no regions of
their own: an object's place says in which of them it stands, and with them ITM did no better (.64 against .67).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from uniter_data.extract.boxes import PictureBoxes, box_file, write_boxes
from uniter_data.importers.nlvr_records import ORDERS, read_records
from uniter_data.stores import Split, TextWriter, write_dataset
from uniter_data.stores.publishing import beside, publish, relative_to
from uniter_data.tokenizer import Tokenizer

__all__ = ["NlvrReport", "NlvrSplit", "import_nlvr"]

Progress = Callable[[str, int, int], None]

BACKGROUND = "background"
SOURCE = "NLVR v1 (Suhr et al., ACL 2017)"


@dataclass(frozen=True, kw_only=True)
class NlvrSplit:
    """What was read of a split.

    Attributes:
        records: lines of the file.
        true: records whose sentence holds.
        pictures: of all records, those of false sentences included.
        regions: objects in them.
        pairs: of a true sentence and a picture.
        dropped: of these, left out because the sentence is too long.
    """

    records: int
    true: int
    pictures: int
    regions: int
    pairs: int
    dropped: int


@dataclass(frozen=True, kw_only=True)
class NlvrReport:
    """What an import did.

    Attributes:
        directory: the data set.
        class_names: of the regions' soft labels.
        splits: by name.
    """

    directory: Path
    class_names: tuple[str, ...]
    splits: dict[str, NlvrSplit]

    def __str__(self) -> str:
        rows = [f"NLVR in {self.directory}: classes {', '.join(self.class_names)}"]
        for name, split in self.splits.items():
            rows.append(
                f"  {name:<8} {split.records:,} records, {split.true:,} true: {split.pairs - split.dropped:,} pairs"
                + (f" ({split.dropped:,} dropped as too long)" if split.dropped else "")
                + f", {split.pictures:,} pictures, {split.regions:,} regions"
            )
        return "\n".join(rows)


def import_nlvr(
    source: str | Path,
    out: str | Path,
    *,
    tokenizer: Tokenizer | None = None,
    max_tokens: int = 60,
    truncate: bool = False,
    progress: Progress | None = None,
) -> NlvrReport:
    """Import every split of an NLVR v1 directory: SPLIT/SPLIT.json with SPLIT/images/….

    The data set is written beside `out` and renamed. It has texts and box files; its regions come from
    `extract_regions`. The pictures stay where they are.

    Args:
        source: the NLVR directory.
        out: the data set to write.
        tokenizer: for the sentences; default: one built from the true sentences of all splits.
        max_tokens: longest sentence in word pieces.
        truncate: keep the head of longer sentences instead of dropping them.
        progress: called with what is done, how much of it, and of how much.

    Raises:
        ValueError: `out` exists, `source` has no split, a record is wrong or a picture is missing; the message names
            the file, the line and what to do.
    """
    root, target = Path(source), Path(out)
    folder = beside(target)  # an import takes seconds: what an interrupted one left is not worth taking up
    tell = progress or (lambda what, done, total: None)
    files = _split_files(root)
    # everything is read and checked before anything is written
    surveys = {split: _survey(file, tell) for split, file in files.items()}
    class_names = (BACKGROUND, *sorted(set().union(*(survey.types for survey in surveys.values()))))
    if tokenizer is None:
        tokenizer = Tokenizer.build(sentence for survey in surveys.values() for sentence in survey.sentences)
    folder.mkdir(parents=True)
    splits, stores = {}, {}
    for split, file in files.items():
        stores[split] = Split(
            texts=f"texts-{split}.zarr",
            regions=f"regions-{split}.zarr",
            pictures=relative_to(target, _images(file)),
        )
        boxes = _boxes(file, surveys[split].pictures, class_names)
        write_boxes(
            box_file(folder / stores[split].regions), boxes, pictures=stores[split].pictures, class_names=class_names
        )
        with TextWriter(
            folder / stores[split].texts, tokenizer=tokenizer, max_tokens=max_tokens, truncate=truncate
        ) as texts:
            _append_texts(texts, file)
            texts.publish()
        splits[split] = surveys[split].result(dropped=texts.dropped)
    write_dataset(folder, name="nlvr", splits=stores, tokenizer=tokenizer, source=SOURCE, licence="CC-BY-4.0")
    publish(target)
    return NlvrReport(directory=target, class_names=class_names, splits=splits)


# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Survey:
    """What a first reading of a split finds."""

    records: int
    regions: int
    pictures: dict[str, str]  # file of each picture below the images, by its stem
    types: set[str]
    sentences: list[str]  # the true ones

    def result(self, *, dropped: int) -> NlvrSplit:
        return NlvrSplit(
            records=self.records,
            true=len(self.sentences),
            pictures=self.records * len(ORDERS),
            regions=self.regions * len(ORDERS),
            pairs=len(self.sentences) * len(ORDERS),
            dropped=dropped,
        )


def _split_files(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise ValueError(f"{root} is not a directory: give the NLVR directory, which holds SPLIT/SPLIT.json")
    files = {folder.name: folder / f"{folder.name}.json" for folder in sorted(root.iterdir())}
    found = {split: file for split, file in files.items() if file.is_file()}
    if not found:
        raise ValueError(f"{root} has no SPLIT/SPLIT.json (such as dev/dev.json): give the NLVR directory")
    return found


def _images(file: Path) -> Path:
    return file.parent / "images"


def _survey(file: Path, tell: Progress) -> _Survey:
    images = _images(file)
    # a record need not say in which directory its pictures lie, and one's pictures may be spread over several
    pictures = {path.stem: path.relative_to(images).as_posix() for path in sorted(images.rglob("*.png"))}
    types: set[str] = set()
    sentences: list[str] = []
    records = regions = 0
    for record in read_records(file):
        for order in range(len(ORDERS)):
            if record.image_id(order) not in pictures:
                raise ValueError(
                    f"{file}:{record.line}: its picture {record.image_id(order)}.png is not below {images}: unpack the "
                    "split's pictures there, or remove the line"
                )
        found = [kind for kind, _ in record.objects(0)]
        types.update(found)
        records, regions = records + 1, regions + len(found)
        sentences += [record.sentence] * record.label
        tell(f"checking {record.split}", records * len(ORDERS), len(pictures))
    return _Survey(records=records, regions=regions, pictures=pictures, types=types, sentences=sentences)


def _boxes(file: Path, pictures: dict[str, str], class_names: tuple[str, ...]) -> Iterator[PictureBoxes]:
    for record in read_records(file):
        for order in range(len(ORDERS)):
            image = record.image_id(order)
            objects = record.objects(order)
            yield PictureBoxes(
                image=image,
                picture=pictures[image],
                boxes=[place for _, place in objects],
                classes=[class_names.index(kind) for kind, _ in objects],
            )


def _append_texts(texts: TextWriter, file: Path) -> None:
    for record in read_records(file):
        for order in range(len(ORDERS)) if record.label else ():
            image = record.image_id(order)
            texts.append(image, record.sentence, image, group=record.group)
