"""Names of the classes of soft labels, from the lists that detectors come with."""

import json
from pathlib import Path

__all__ = ["BACKGROUND", "name_classes", "read_class_names"]

BACKGROUND = "background"


def read_class_names(path: str | Path) -> tuple[str, ...]:
    """The classes of a list: a name a line as objects_vocab.txt of bottom-up attention and the labelmap.tsv of VinVL,
    or JSON with `label_to_idx` from names to numbers as VinVL's VG-SGG-dicts. The background, class 0, is put first.

    Raises:
        ValueError: the file cannot be read, or holds no such list.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
        names = _from_json(json.loads(text)) if file.suffix == ".json" else text.splitlines()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{file} is no list of classes ({error}): expected a name a line, or label_to_idx") from error
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise ValueError(f"{file} is empty: expected a class name a line")
    if names[0].strip("_").lower() == BACKGROUND:
        names = names[1:]
    return (BACKGROUND, *names)


def name_classes(count: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """`names`, or where there are none `class_0` and so on.

    Args:
        count: of the classes, the background included.
        names: as they were read.

    Raises:
        ValueError: they are not as many as the classes.

    >>> name_classes(2, ())
    ('class_0', 'class_1')
    """
    if names and len(names) != count:
        raise ValueError(f"expected names of {count} classes, the background included, got {len(names)}")
    return names or tuple(f"class_{number}" for number in range(count))


# ---------------------------------------------------------------------------------------------------------------------


def _from_json(value: dict[str, dict[str, int]]) -> list[str]:
    numbers = value["label_to_idx"]
    if sorted(numbers.values()) != list(range(1, len(numbers) + 1)):
        raise ValueError("label_to_idx must number its names from 1")
    return sorted(numbers, key=numbers.__getitem__)
