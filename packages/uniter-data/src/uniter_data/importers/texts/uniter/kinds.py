"""What a released text database holds, and to which split it belongs: by its files, its records and its name."""

import re
from pathlib import Path

from uniter_data.importers.texts.uniter.database import TextDatabase

__all__ = ["CAPTIONS", "TASKS", "split_of_database", "task_of"]

PROBE = 32  # records among which there is a whole one
CAPTIONS = "captions"
TASKS = (CAPTIONS, "vqa", "snli-ve", "nlvr2", "refexp", "vcr")
SPLITS = {
    **{name: name for name in ("train", "restval", "trainval", "devval", "minival", "val", "test", "testA", "testB")},
    "dev": "val",
    "test1": "test",
}


def split_of_database(folder: Path) -> str:
    """The split that a folder's name says; dev is val.

    Raises:
        ValueError: it says none.

    >>> split_of_database(Path("itm_coco_restval_base-cased.db")), split_of_database(Path("ve_dev.db"))
    ('restval', 'val')
    """
    words = re.split(r"[_.]", folder.name)
    found = next((SPLITS[word] for word in words if word in SPLITS), "")
    if not found:
        raise ValueError(f"{folder}: its name says no split: name it, as in train={folder}")
    return found


def task_of(database: TextDatabase) -> str:
    """One of `TASKS`.

    Raises:
        ValueError: the database is damaged, or nothing tells.
    """
    if (database.folder / "refs.json").is_file():
        return "refexp"
    if (database.folder / "id2len_qar.json").is_file():
        return "vcr"
    record = database.sample(PROBE)[0].raw
    if isinstance(record.get("img_fname"), list):
        return "nlvr2"
    # records need not keep the sentence under a telling name
    word = database.name.partition("_")[0]
    if "question" in record or word == "vqa":
        return "vqa"
    if "hypothesis" in record or word == "ve":
        return "snli-ve"
    if "target" in record:
        raise ValueError(f"{database.folder}: nothing says whether it is of vqa or of snli-ve: say it with --task")
    return CAPTIONS
