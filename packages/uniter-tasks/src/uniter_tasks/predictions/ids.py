"""Ids of predictions against ids of records: none missing, none doubled, none unknown."""

from collections.abc import Collection, Iterable

__all__ = ["integer_id", "match_ids", "refuse_doubled"]


def integer_id(name: str, field: str) -> int:
    """The id as the official file holds it.

    Raises:
        ValueError: it is no integer.
    """
    try:
        return int(name)
    except ValueError as error:
        raise ValueError(f"{field}: expected an integer as the official file has, got {name!r}") from error


def refuse_doubled(ids: Iterable[str], where: str) -> None:
    """
    Raises:
        ValueError: an id stands twice; the message names it.

    >>> refuse_doubled(["a", "b", "a"], "val.csv")
    Traceback (most recent call last):
    ValueError: val.csv: 'a' stands twice: keep one of them
    """
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise ValueError(f"{where}: {name!r} stands twice: keep one of them")
        seen.add(name)


def match_ids(found: Collection[str], expected: Collection[str], where: str) -> None:
    """
    Raises:
        ValueError: the ids are not the same; the message names one that is missing or unknown, and how many there are.

    >>> match_ids({"a"}, {"a", "b", "c"}, "val.csv")
    Traceback (most recent call last):
    ValueError: val.csv: no prediction for 'b' (2 of 3 records have none): predict the whole split
    """
    missing = frozenset(expected).difference(found)
    if missing and len(missing) == len(expected):
        raise ValueError(
            f"{where}: none of the {len(expected)} records has a prediction, {min(missing)!r} for one: name the "
            "annotations of the split that was predicted"
        )
    if missing:
        raise ValueError(
            f"{where}: no prediction for {min(missing)!r} ({len(missing)} of {len(expected)} records have none): "
            "predict the whole split"
        )
    unknown = frozenset(found).difference(expected)
    if unknown:
        raise ValueError(
            f"{where}: {min(unknown)!r} is no record ({len(unknown)} of {len(found)} predictions are of none): "
            "name the annotations of the split that was predicted"
        )
