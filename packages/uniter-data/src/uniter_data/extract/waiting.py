"""What waits for extraction: the region stores of a data set that has pictures, or one of a folder of pictures."""

# R regions of a picture

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from uniter_data.extract.boxes import BoxFile, box_file
from uniter_data.pictures import SUFFIXES, find_files
from uniter_data.stores import TextStore, read_manifest
from uniter_data.stores.locations import is_remote, join, locate

__all__ = ["IDS", "PictureRow", "WaitingStore", "has_boxes", "waiting_folder", "waiting_stores"]

IDS: dict[str, Callable[[PurePosixPath], str]] = {
    "stem": lambda path: path.stem,
    "path": lambda path: str(path.with_suffix("")),
}


@dataclass(frozen=True, kw_only=True)
class PictureRow:
    """A picture to be read.

    Attributes:
        image: its id.
        picture: its file below the folder of pictures; empty where none has been found.
        boxes: x1, y1, x2, y2 of each of R given regions in the unit square; None where none are given.
        classes: class of each given region.
    """

    image: str
    picture: str
    boxes: Sequence[Sequence[float]] | None = None
    classes: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class WaitingStore:
    """A region store that is to be.

    Attributes:
        path: of the store.
        directory: of its data set; None for a store on its own.
        pictures: folder or URL of the pictures.
        rows: gives its pictures, each time from the first.
        given: whether each row has boxes.
        class_names: of the given regions' classes, the background first.
        ignored: files in the folder that are no pictures by their suffix.
    """

    path: Path
    directory: Path | None
    pictures: str
    rows: Callable[[], Iterable[PictureRow]]
    given: bool = False
    class_names: tuple[str, ...] = ()
    ignored: int = 0


def has_boxes(source: str | Path) -> bool:
    """Whether a data set has box files."""
    directory = Path(source)
    if is_remote(str(source)) or not (directory / "dataset.json").is_file():
        return False
    return any(box_file(directory / split.regions).is_file() for split in read_manifest(directory).splits.values())


def waiting_stores(directory: Path) -> list[WaitingStore]:
    """The region stores of a data set's splits: by their box file, or by the texts' images in the folder of pictures.

    Raises:
        ValueError: there is neither a box file nor a folder of pictures, the pictures are not there, or the data set is
            a view.
    """
    splits = list(read_manifest(directory).splits.values())
    if any(split.keep for split in splits):
        raise ValueError(f"{directory} is a view, its stores belong to another data set: extract that one's regions")
    found = []
    for path in dict.fromkeys(directory / split.regions for split in splits):
        mine = [split for split in splits if directory / split.regions == path]
        folders = dict.fromkeys(split.pictures for split in mine if split.pictures)
        if box_file(path).is_file():
            found.append(_of_box_file(path, directory))
        elif len(folders) > 1:
            raise ValueError(f"{path}: its splits have pictures in {', '.join(folders)}: put them below one folder")
        elif folders:
            texts = [directory / split.texts for split in mine]
            found.append(_of_texts(path, directory, _place(directory, next(iter(folders))), texts))
    if not found:
        raise ValueError(
            f"{directory} has no box file (such as regions-train.boxes.jsonl) and no folder of pictures: there is "
            "nothing to extract"
        )
    return found


def waiting_folder(folder: str, out: Path, ids: str) -> WaitingStore:
    """A store of all pictures below a folder or URL.

    Args:
        folder: of the pictures, searched with its subfolders.
        out: the store to be.
        ids: what an image's id is; a key of `IDS`.

    Raises:
        ValueError: there is no picture, or two have one id.
    """
    if ids not in IDS:
        raise ValueError(f"ids: expected {' or '.join(IDS)}, got {ids!r}")
    location = locate(folder)
    pictures, others = _find_pictures(location)
    if not pictures:
        raise ValueError(f"{folder} has no picture ({', '.join(sorted(SUFFIXES))}): give a folder of pictures")
    named: dict[str, str] = {}
    for picture in pictures:
        image = IDS[ids](PurePosixPath(picture))
        if image in named:
            raise ValueError(
                f"{folder}: {named[image]} and {picture} would both be image {image!r}: rename one, or take the path "
                "for the id (--ids path)"
            )
        named[image] = picture
    rows = [PictureRow(image=image, picture=picture) for image, picture in named.items()]
    return WaitingStore(path=out, directory=None, pictures=location, rows=lambda: rows, ignored=others)


# ---------------------------------------------------------------------------------------------------------------------


def _of_box_file(path: Path, directory: Path) -> WaitingStore:
    boxes = BoxFile(box_file(path))
    if not boxes.pictures.is_dir():
        raise ValueError(f"{boxes.path} expects its pictures in {boxes.pictures}: put them there, or import again")

    def rows() -> Iterable[PictureRow]:
        for row in boxes:
            yield PictureRow(image=row.image, picture=row.picture, boxes=row.boxes, classes=row.classes)

    return WaitingStore(
        path=path,
        directory=directory,
        pictures=str(boxes.pictures),
        rows=rows,
        given=True,
        class_names=boxes.class_names,
    )


def _of_texts(path: Path, directory: Path, folder: str, texts: Sequence[Path]) -> WaitingStore:
    """The images that the texts name, as they come up in them."""
    named = dict.fromkeys(str(name) for store in texts for name in TextStore(store).image_names.tolist())
    pictures, _ = _find_pictures(folder)
    if not pictures:
        raise ValueError(f"{directory} expects its pictures in {folder}: put them there, or import again")
    files: dict[str, str] = {}
    for picture in pictures:
        image = PurePosixPath(picture).stem
        if image in named and image in files:
            raise ValueError(f"{folder}: {files[image]} and {picture} would both be image {image!r}: rename one")
        files[image] = picture
    rows = [PictureRow(image=image, picture=files.get(image, "")) for image in named]
    return WaitingStore(path=path, directory=directory, pictures=folder, rows=lambda: rows)


def _find_pictures(folder: str) -> tuple[list[str], int]:
    """The pictures below a folder, in the order of their names, and how many other files there are."""
    files = sorted(str(path) for path in find_files(folder))
    pictures = [file for file in files if PurePosixPath(file).suffix.lower() in SUFFIXES]
    return pictures, len(files) - len(pictures)


def _place(directory: Path, pictures: str) -> str:
    return pictures if is_remote(pictures) else join(str(directory), pictures)
