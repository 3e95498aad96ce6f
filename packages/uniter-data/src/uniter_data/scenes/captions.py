"""The sentences of a picture: five captions, one dense phrase for each object, four noisy snaps' captions.

In the manner of COCO, Visual Genome, and the alternative texts of the web (Conceptual Captions, SBU).
"""

from collections.abc import Callable, Sequence

import numpy as np

from uniter_data.scenes.lexicon import NUMBERS, PLURALS, SNAP_PREFIXES, SNAP_SUFFIXES
from uniter_data.scenes.speaker import ATTRIBUTE, NOBODY, NOUN, Speaker, Word, say, text_of
from uniter_data.scenes.world import Scene, pick

__all__ = ["captions", "phrases", "snap_captions"]

CAPTIONS = 5
SNAPS = 4
TRIES = 8

Sentence = list[Word]


def captions(scene: Scene, rng: np.random.Generator) -> list[Sentence]:
    """Five captions of about twelve words: relation, location twice, list, count; a curtain's may replace one."""
    speaker = Speaker(scene, rng)
    templates = [_relation, _location, _location, _list, _count]
    if scene.curtain:
        templates.append(_with_curtain)
    order = rng.permutation(len(templates))[:CAPTIONS]
    return _different([templates[at] for at in order], speaker)


def phrases(scene: Scene, rng: np.random.Generator) -> list[Sentence]:
    """One dense phrase for each object, in the objects' order."""
    speaker = Speaker(scene, rng)
    return [_phrase(speaker, number) for number in range(len(scene.objects))]


def snap_captions(scene: Scene, rng: np.random.Generator) -> list[Sentence]:
    """Four captions that name every object, between noise that says nothing of the picture."""
    return _different([_snap] * SNAPS, Speaker(scene, rng))


# ---------------------------------------------------------------------------------------------------------------------


def _different(templates: Sequence[Callable[[Speaker], Sentence]], speaker: Speaker) -> list[Sentence]:
    """A sentence of each template, none the same as an earlier one if a few tries can help it."""
    found: dict[str, Sentence] = {}
    sentences = []
    for template in templates:
        for _ in range(TRIES):
            sentence = template(speaker)
            if text_of(sentence) not in found:
                break
        found[text_of(sentence)] = sentence
        sentences.append(sentence)
    return sentences


def _relation(speaker: Speaker) -> Sentence:
    one, other = speaker.some(2)
    first = speaker.noun_phrase(one, article="the")
    second = speaker.noun_phrase(other, article="the")
    where = speaker.relation(one, other)
    if speaker.rng.random() < 0.5:
        return [*first, *say(speaker.pick("is", "is", "can be seen", "lies")), *where, *second]
    return [
        *say(speaker.pick("there is", "we see", "i see")),
        *speaker.noun_phrase(one, article="a"),
        *where,
        *second,
    ]


def _location(speaker: Speaker) -> Sentence:
    one, other = speaker.some(2)
    if speaker.rng.random() < 0.5:
        return [
            *speaker.noun_phrase(one, article="the"),
            *say("is"),
            *speaker.place(one),
            *say(speaker.pick("and", "while")),
            *speaker.noun_phrase(other, article="the"),
            *say("is"),
            *speaker.place(other),
        ]
    return [
        *speaker.place(one),
        *say(speaker.pick("there is", "one finds", "we see")),
        *speaker.noun_phrase(one, article="a"),
        *speaker.relation(one, other),
        *speaker.noun_phrase(other, article="the"),
    ]


def _list(speaker: Speaker) -> Sentence:
    numbers = speaker.some(pick(speaker.rng, (2, 3, 3, 4)))
    return [
        *say(speaker.pick("", "", "there is", "we see", "a picture of")),
        *_enumeration([speaker.noun_phrase(number, article="a") for number in numbers]),
    ]


def _count(speaker: Speaker) -> Sentence:
    """A group that shares a shape, colour or texture, and up to two others; or all objects, and two of them."""
    scene = speaker.scene
    everything = range(len(scene.objects))
    groups = [group for group in _groups(scene) if len(group[2]) < len(everything)]
    if not groups:
        number, noun = NUMBERS[len(everything)], speaker.pick("objects", "things")
        examples = [speaker.noun_phrase(one, article="a") for one in speaker.some(2)]
        return [*say(f"there are {number} {noun}, among them"), *_enumeration(examples)]
    attribute, value, members = pick(speaker.rng, groups)
    group = [*say(NUMBERS[len(members)]), *_group_phrase(speaker, attribute, value)]
    others = [one for one in speaker.some(len(everything)) if one not in members][:2]
    return [
        *say(speaker.pick("there are", "we see", "")),
        *_enumeration([group, *(speaker.noun_phrase(one, article="a") for one in others)]),
    ]


def _with_curtain(speaker: Speaker) -> Sentence:
    (one,) = speaker.some(1)
    curtain = len(speaker.scene.objects)
    if speaker.rng.random() < 0.5:
        return [
            *speaker.noun_phrase(one, article="the", colour=0.9, texture=0.5),
            *say(speaker.pick("is", "is", "can be seen")),
            *speaker.relation(one, curtain),
            *speaker.curtain_phrase(),
        ]
    return [
        *speaker.curtain_phrase(article=speaker.pick("a", "the")),
        *say(speaker.pick("hangs", "is")),
        *speaker.place(curtain),
        *say("and"),
        *speaker.noun_phrase(one, article="a", colour=0.9, texture=0.5),
        *say("is"),
        *speaker.relation(one, curtain),
        *say("it"),
    ]


def _phrase(speaker: Speaker, number: int) -> Sentence:
    """Mostly the object alone, sometimes with its place or its neighbour."""
    named = speaker.noun_phrase(number, article=speaker.pick("", "a", "the"), colour=0.85, texture=0.4, size=0.3)
    turn = speaker.rng.random()
    if turn < 0.2:
        return [*named, *speaker.place(number)]
    others = [other for other in range(len(speaker.scene.objects)) if other != number]
    if turn < 0.35 and others:
        other = pick(speaker.rng, others)
        return [*named, *speaker.relation(number, other), *speaker.noun_phrase(other, article="the")]
    return named


def _snap(speaker: Speaker) -> Sentence:
    numbers = speaker.some(len(speaker.scene.objects))
    named = [speaker.noun_phrase(number, article="a", texture=0.35, size=0.3) for number in numbers]
    return [
        *say(pick(speaker.rng, SNAP_PREFIXES)),
        *_enumeration(named),
        *say(pick(speaker.rng, SNAP_SUFFIXES)),
    ]


def _enumeration(parts: Sequence[Sentence]) -> Sentence:
    """One, two and three: a comma after all but the last two."""
    *firsts, last = parts
    sentence: Sentence = []
    for place, part in enumerate(firsts):
        comma = "," if place < len(firsts) - 1 else ""
        sentence += [*part[:-1], part[-1]._replace(text=part[-1].text + comma)]
    return [*sentence, *say("and"), *last] if firsts else list(last)


def _groups(scene: Scene) -> list[tuple[str, str, tuple[int, ...]]]:
    """What two or more objects share: (attribute, value, their numbers)."""
    shared = sorted(
        {(name, getattr(thing, name)) for thing in scene.objects for name in ("shape", "colour", "texture")}
    )
    groups = [(name, value, scene.matching(**{name: value})) for name, value in shared if value != "plain"]
    return [group for group in groups if len(group[2]) > 1]


def _group_phrase(speaker: Speaker, attribute: str, value: str) -> Sentence:
    """The plural of what is shared; it has no gold object, as it means several."""
    if attribute == "shape":
        return [Word(pick(speaker.rng, PLURALS[value]), NOBODY, NOUN)]
    return [Word(speaker.name(attribute, value), NOBODY, ATTRIBUTE), *say(speaker.pick("objects", "things"))]
