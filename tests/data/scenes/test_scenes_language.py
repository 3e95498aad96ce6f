"""Sentences: what they say is true of their scene, and a noun phrase fits one object only; checked by brute force."""

from collections.abc import Callable
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data.scenes.captions import captions, phrases, snap_captions
from uniter_data.scenes.lexicon import CURTAIN, NAMES, NUMBERS, PLACES, PLURALS, RELATIONS, meaning
from uniter_data.scenes.speaker import ATTRIBUTE, FUNCTION, NOBODY, NOUN, Speaker, Word, relations, text_of
from uniter_data.scenes.world import CANVAS, COUNTS, Scene, sample_scene

SPEECH: dict[str, tuple[str, Callable[[Scene, np.random.Generator], list[list[Word]]]]] = {
    "captions": ("in-domain", captions),
    "phrases": ("in-domain", phrases),
    "snaps": ("snaps", snap_captions),
}
SEEDS = st.integers(0, 2**32)


def speak(name: str, seed: int) -> tuple[Scene, list[list[Word]]]:
    rng = np.random.default_rng(seed)
    source, say = SPEECH[name]
    scene = sample_scene(rng, counts=COUNTS[source])
    return scene, say(scene, rng)


def noun_phrases(sentence: list[Word]) -> list[tuple[int, list[str]]]:
    """Runs of words of one thing."""
    return [
        (thing, [word.text.strip(",") for word in words])
        for thing, words in groupby(sentence, key=lambda word: word.thing)
        if thing != NOBODY
    ]


@pytest.mark.parametrize("name", SPEECH)
@given(seed=SEEDS)
def test_a_noun_phrase_fits_its_object_only(name: str, seed: int) -> None:
    scene, sentences = speak(name, seed)
    for sentence in sentences:
        for thing, words in noun_phrases(sentence):
            if thing == len(scene.objects):
                assert scene.curtain
                assert words[-1] in CURTAIN
                continue
            said = dict(filter(None, map(meaning, words)))
            assert len(said) == len(words)
            assert scene.matching(**said) == (thing,)


@pytest.mark.parametrize("name", SPEECH)
@given(seed=SEEDS)
def test_kinds_of_words(name: str, seed: int) -> None:
    _, sentences = speak(name, seed)
    for word in (word for sentence in sentences for word in sentence):
        text = word.text.strip(",")
        attribute = meaning(text)
        noun = text in CURTAIN or (attribute and attribute[0] == "shape") or any(text in p for p in PLURALS.values())
        assert (word.kind == NOUN) == bool(noun)
        assert (word.kind == ATTRIBUTE) == bool(text == "grey" or (attribute and attribute[0] != "shape"))
        assert word.thing == NOBODY or word.kind != FUNCTION


@pytest.mark.parametrize("name", SPEECH)
@given(seed=SEEDS)
def test_an_before_vowels_only(name: str, seed: int) -> None:
    for sentence in speak(name, seed)[1]:
        words = text_of(sentence).split()
        for article, following in pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (following[0] in "aeiou"), text_of(sentence)


@given(seed=SEEDS)
def test_counts_are_true(seed: int) -> None:
    scene, sentences = speak("captions", seed)
    for sentence in sentences:
        words = [word.text for word in sentence]
        for place, word in enumerate(words):
            if word not in NUMBERS or words[place + 1] in ("of", "finds"):
                continue
            following = words[place + 1].strip(",")
            shapes = [shape for shape, plurals in PLURALS.items() if following in plurals]
            if shapes:
                expected = len(scene.matching(shape=shapes[0]))
            elif following in ("objects", "things"):
                expected = len(scene.objects)
            else:
                expected = len(scene.matching(**dict([meaning(following) or ("", "")])))
            assert NUMBERS.index(word) == expected, text_of(sentence)


@given(seed=SEEDS)
def test_snaps_name_every_object(seed: int) -> None:
    scene, sentences = speak("snaps", seed)
    assert len(sentences) == 4
    for sentence in sentences:
        assert {word.thing for word in sentence} - {NOBODY} == set(range(len(scene.objects)))


@given(seed=SEEDS)
def test_phrases_begin_with_their_object(seed: int) -> None:
    scene, sentences = speak("phrases", seed)
    assert [noun_phrases(sentence)[0][0] for sentence in sentences] == list(range(len(scene.objects)))


@given(seed=SEEDS)
def test_relations_mirror_each_other(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed), counts=COUNTS["in-domain"])
    mirror = {"left": "right", "right": "left", "above": "below", "below": "above", "near": "near"}
    there, back = relations(scene, 0, 1), relations(scene, 1, 0)
    assert {mirror[name] for name in there} == set(back)
    (a1, b1, a2, b2), (c1, d1, c2, d2) = scene.boxes[:2]
    truth = {
        "left": a1 + a2 < c1 + c2,
        "right": a1 + a2 > c1 + c2,
        "above": b1 + b2 < d1 + d2,
        "below": b1 + b2 > d1 + d2,
    }
    assert all(truth[name] for name in there if name != "near")


@given(seed=SEEDS)
def test_places_are_thirds_of_the_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng, counts=COUNTS["in-domain"])
    said = text_of(Speaker(scene, rng).place(0))
    ((row, column),) = [place for place, phrasings in PLACES.items() if said in phrasings]
    x1, y1, x2, y2 = scene.boxes[0]
    assert (row, column) == (int(3 * (y1 + y2) / 2 / CANVAS), int(3 * (x1 + x2) / 2 / CANVAS))


def test_statistics() -> None:
    lengths: dict[str, list[int]] = {name: [] for name in SPEECH}
    content: dict[str, list[bool]] = {name: [] for name in SPEECH}
    for name in SPEECH:
        for seed in range(300):
            for sentence in speak(name, seed)[1]:
                lengths[name].append(len(sentence))
                content[name] += [word.kind != FUNCTION for word in sentence]
    assert len(lengths["captions"]) == 5 * 300
    assert np.mean(lengths["captions"]) == pytest.approx(13, abs=0.6)
    assert np.mean(lengths["phrases"]) == pytest.approx(4.8, abs=0.5)
    assert np.mean(lengths["snaps"]) == pytest.approx(11, abs=1)
    assert max(max(found) for found in lengths.values()) < 40  # far from the limit of 60 word pieces
    assert 0.25 < np.mean(content["captions"]) < 0.4


def test_captions_of_a_picture_differ() -> None:
    same = sum(len({text_of(s) for s in speak("captions", seed)[1]}) < 5 for seed in range(200))
    assert same == 0


def test_every_word_of_the_lexicon_is_used() -> None:
    said = {word.text.strip(",") for name in SPEECH for seed in range(400) for s in speak(name, seed)[1] for word in s}
    names = {word for values in NAMES.values() for words in values.values() for word in words}
    phrasings = {
        word for options in (*RELATIONS.values(), *PLACES.values()) for text in options for word in text.split()
    }
    plurals = {word for words in PLURALS.values() for word in words}
    assert names | phrasings | plurals | set(CURTAIN) <= said
