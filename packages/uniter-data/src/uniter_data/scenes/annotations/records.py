"""Writes annotation files: JSON, and JSON lines."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Record", "write_json", "write_lines"]

Record = dict[str, Any]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """One JSON object, on one line as the published files have it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
