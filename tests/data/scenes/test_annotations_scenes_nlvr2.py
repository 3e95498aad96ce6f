"""Statements about two pictures: labels are worked out again; two pairs of a sentence's four are true."""

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from uniter_data.annotations.nlvr2 import Nlvr2Record, read_nlvr2
from uniter_data.scenes.lexicon import NUMBERS

FILES = {"train": "train.json", "val": "dev.json", "test": "test1.json"}
IN = {"left": (0,), "right": (1,)}
FORMS = {"both", "exactly one", "at least one", "neither", "left", "right", "each", "more", "total"}


@pytest.fixture(scope="session")
def records(annotations: Path) -> dict[str, list[Nlvr2Record]]:
    return {split: list(read_nlvr2(annotations / "nlvr2" / name)) for split, name in FILES.items()}


def truth(sentence: str, count: Any) -> bool:
    """What a sentence says, where count(phrase) is how many things fit in the left and in the right picture."""

    def has(phrase: str) -> list[bool]:
        return [number > 0 for number in count(phrase)]

    if m := re.fullmatch(r"both pictures show (.+)|there is (.+) in both pictures", sentence):
        return all(has(m[1] or m[2]))
    if m := re.fullmatch(r"exactly one picture shows (.+)|there is (.+) in exactly one of the pictures", sentence):
        return sum(has(m[1] or m[2])) == 1
    if m := re.fullmatch(r"at least one picture shows (.+)|there is (.+) in at least one of the pictures", sentence):
        return any(has(m[1] or m[2]))
    if m := re.fullmatch(r"neither picture shows (.+)|there is no (.+) in either picture", sentence):
        return not any(has(m[1] or m[2]))
    patterns = (
        r"the left picture shows (.+) and the right picture shows (.+)",
        r"(.+) is in the left picture and (.+) is in the right picture",
    )
    for pattern in patterns:
        if m := re.fullmatch(pattern, sentence):
            return has(m[1])[0] and has(m[2])[1]
    pattern = r"(?:there are|we see)? ?more (.+?)(?: are)? in the (\w+) picture than in the (\w+) picture"
    if m := re.fullmatch(pattern, sentence):
        assert {m[2], m[3]} == {"left", "right"}
        left, right = count(m[1])
        return bool(left > right if m[2] == "left" else right > left)
    pattern = r"there are (\w+) (.+) in the two pictures in all|in all the two pictures show (\w+) (.+)"
    if m := re.fullmatch(pattern, sentence):
        return bool(sum(count(m[2] or m[4])) == NUMBERS.index(m[1] or m[3]))
    m = re.fullmatch(r"the (left|right) picture shows (.+)|there is (.+) in the (left|right) picture", sentence)
    assert m, sentence
    return has(m[2] or m[3])[{"left": 0, "right": 1}[m[1] or m[4]]]


@pytest.mark.parametrize("split", FILES)
def test_labels_are_true(records: Any, scene_of: Any, fitting: Any, split: str) -> None:
    for record in records[split]:
        scenes = [scene_of(stem) for stem in record.url_stems]
        assert truth(record.sentence, lambda phrase, s=scenes: [len(fitting(one, phrase)) for one in s]) == record.label


@pytest.mark.parametrize("split", FILES)
def test_a_sentence_has_four_different_pairs_of_which_two_are_true(records: Any, split: str) -> None:
    pairs = defaultdict(list)
    for record in records[split]:
        pairs[record.sentence].append((record.url_stems, record.label))
        left, right = record.url_stems
        assert left != right
        assert all(stem.startswith(f"in-domain-{split}-") for stem in record.url_stems)
    for found in pairs.values():
        assert len(set(found)) == 4
        assert sum(label for _, label in found) == 2


def test_sizes_and_forms(records: Any) -> None:
    for split, pictures in (("train", 240), ("val", 60), ("test", 60)):
        assert len(records[split]) == pytest.approx(4 * pictures * 2 / 3, rel=0.1)
        forms = Counter(record.synset for record in records[split])
        assert forms.keys() == FORMS
        assert max(forms.values()) <= 1.7 * min(forms.values())


def test_false_pairs_are_near_misses(records: Any, scene_of: Any, fitting: Any) -> None:
    """What is false of both pictures is true of one of them."""
    for record in records["train"]:
        if record.synset == "both" and not record.label:
            phrase = re.sub("both pictures show |there is | in both pictures", "", record.sentence)
            assert sum(bool(fitting(scene_of(stem), phrase)) for stem in record.url_stems) == 1


def test_identifiers_name_set_and_pair(records: Any) -> None:
    for split, name in FILES.items():
        sets = defaultdict(set)
        for record in records[split]:
            start, number, pair, sentence = record.identifier.split("-")
            assert (start, sentence) == (Path(name).stem, "0")
            sets[number].add((record.sentence, pair))
        assert all(len({text for text, _ in of}) == 1 and len(of) == 4 for of in sets.values())
