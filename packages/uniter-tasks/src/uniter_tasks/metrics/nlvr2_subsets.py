"""Files that single out NLVR2 examples: balanced and unbalanced subsets, sentences annotated for phenomena."""

import json
from pathlib import Path

__all__ = ["read_phenomena", "read_subset"]


def read_subset(path: Path) -> frozenset[str]:
    """The identifiers of an annotation file, a JSON object a line: `balanced_dev.json`, `unbalanced_test1.json`, …

    Raises:
        ValueError: a line has no identifier; the message names file and line.
    """
    found: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            identifier = json.loads(line)["identifier"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}:{number}: expected a JSON object with an identifier: name an NLVR2 file"
            ) from error
        found.add(str(identifier))
    if not found:
        raise ValueError(f"{path}: expected at least one example, got none")
    return frozenset(found)


def read_phenomena(path: Path) -> dict[str, frozenset[str]]:
    """Phenomenon → sentences that show it, from `annotated_dev_examples.txt`: a sentence on a line of its own, the
    phenomena it shows on the lines after it, each behind an asterisk.

    Raises:
        ValueError: a phenomenon stands before any sentence, or there is none.
    """
    found: dict[str, set[str]] = {}
    sentence = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if text.startswith("*"):
            if not sentence:
                raise ValueError(f"{path}:{number}: expected a sentence before {text!r}")
            found.setdefault(text.lstrip("* ").lower(), set()).add(sentence)
        elif text:
            sentence = text
    if not found:
        raise ValueError(f"{path}: expected lines '* phenomenon' after their sentence, got none")
    return {name: frozenset(sentences) for name, sentences in found.items()}
