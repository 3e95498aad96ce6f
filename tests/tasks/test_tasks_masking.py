"""What is hidden: at least one unit, never [CLS] or [SEP], in the published shares, by the key alone."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uniter_core import Sample, Vocabulary, key_of, pack
from uniter_tasks import OBJECTIVES, ObjectiveSettings
from uniter_tasks.masking import corrupt, mask_regions, mask_words

Draw = Callable[..., list[Sample]]
PAIRS = 400


def long_pairs(count: int, *, words: int, regions: int, seed: int) -> list[Sample]:
    return [
        Sample(
            token_ids=torch.cat((torch.tensor([2]), torch.full((words,), 9), torch.tensor([3]))),
            region_features=torch.ones(regions, 3),
            region_boxes=torch.rand(regions, 7, generator=torch.Generator().manual_seed(number)),
            key=key_of(seed, number),
        )
        for number in range(count)
    ]


def keys_of(samples: list[Sample]) -> torch.Tensor:
    return torch.tensor([sample.key for sample in samples])


@pytest.mark.parametrize("probability", [0.05, 0.15, 0.5])
def test_shares_of_masked_units_follow_the_probability(vocabulary: Vocabulary, probability: float) -> None:
    settings = ObjectiveSettings(vocabulary=vocabulary, word_probability=probability, region_probability=probability)
    samples = long_pairs(PAIRS, words=50, regions=50, seed=1)
    hidden = corrupt(samples, settings, words=True, regions=True)
    share = probability + (1 - probability) ** 50 / 50  # one unit where nothing was drawn
    deviation = (probability * (1 - probability) / (PAIRS * 50)) ** 0.5
    for rows in (hidden.words, hidden.regions):
        assert abs(len(rows) / (PAIRS * 50) - share) < 4 * deviation


def test_masked_words_become_mask_random_or_stay(vocabulary: Vocabulary) -> None:
    settings = ObjectiveSettings(vocabulary=vocabulary)
    hidden = corrupt(long_pairs(PAIRS, words=50, regions=1, seed=2), settings, words=True, regions=False)
    shown = hidden.packed.token_ids[hidden.words]
    first, end = vocabulary.random_range
    stays = 0.1 + 0.1 / (end - first)  # a random word may be the same one
    for observed, expected in (
        ((shown == vocabulary.mask_id).float().mean(), 0.8),
        ((shown == 9).float().mean(), stays),
    ):
        assert abs(float(observed) - expected) < 4 * (expected * (1 - expected) / len(shown)) ** 0.5
    others = shown[(shown != vocabulary.mask_id) & (shown != 9)]
    assert set(others.tolist()) <= set(range(first, end))
    assert len(set(others.tolist())) > (end - first) // 2


def test_a_word_masked_for_want_of_another_becomes_the_mask_token(vocabulary: Vocabulary) -> None:
    settings = ObjectiveSettings(vocabulary=vocabulary, word_probability=0.0, region_probability=0.0)
    hidden = corrupt(long_pairs(PAIRS, words=4, regions=3, seed=3), settings, words=True, regions=True)
    assert hidden.packed.word_samples[hidden.words].tolist() == list(range(PAIRS))
    assert hidden.packed.region_samples[hidden.regions].tolist() == list(range(PAIRS))
    assert (hidden.packed.token_ids[hidden.words] == vocabulary.mask_id).all()
    # and it may be any of them, not always the first
    assert len(set(hidden.packed.token_positions[hidden.words].tolist())) == 4


def test_probability_one_masks_every_word_but_no_special(vocabulary: Vocabulary, draw_pairs: Draw) -> None:
    settings = ObjectiveSettings(vocabulary=vocabulary, word_probability=1.0, region_probability=1.0)
    samples = draw_pairs(20)
    hidden = corrupt(samples, settings, words=True, regions=True)
    assert len(hidden.words) == sum(len(sample.token_ids) - 2 for sample in samples)
    assert len(hidden.regions) == sum(len(sample.region_features) for sample in samples)
    assert not hidden.packed.region_features.any()


def test_separators_inside_a_text_are_never_masked(vocabulary: Vocabulary) -> None:
    settings = ObjectiveSettings(vocabulary=vocabulary, word_probability=1.0)
    two_sentences = Sample(
        token_ids=torch.tensor([2, 9, 3, 9, 9, 3]), region_features=torch.ones(1, 3), region_boxes=torch.zeros(1, 7)
    )
    hidden = corrupt([two_sentences], settings, words=True, regions=False)
    assert hidden.words.tolist() == [1, 3, 4]


@given(st.integers(0, 2**62), st.integers(1, 12), st.floats(0, 1), st.floats(0, 1))
def test_every_pair_has_a_masked_unit_of_each_kind(
    draw_pairs: Draw, vocabulary: Vocabulary, seed: int, count: int, words: float, regions: float
) -> None:
    settings = ObjectiveSettings(vocabulary=vocabulary, word_probability=words, region_probability=regions)
    samples = draw_pairs(count, seed)
    hidden = corrupt(samples, settings, words=True, regions=True)
    packed, clean = hidden.packed, pack(samples)
    assert torch.equal(hidden.features, clean.region_features[hidden.regions])
    assert set(packed.word_samples[hidden.words].tolist()) == set(range(count))
    assert set(packed.region_samples[hidden.regions].tolist()) == set(range(count))
    originals = hidden.token_ids
    assert torch.equal(originals, clean.token_ids[hidden.words])
    assert not ((originals == vocabulary.cls_id) | (originals == vocabulary.sep_id)).any()
    untouched = torch.ones(len(packed.token_ids), dtype=torch.bool)
    untouched[hidden.words] = False
    assert torch.equal(packed.token_ids[untouched], clean.token_ids[untouched])
    assert torch.equal(packed.region_masked.nonzero().squeeze(1), hidden.regions)
    assert not packed.region_features[packed.region_masked].any()
    assert torch.equal(packed.region_features[~packed.region_masked], clean.region_features[~packed.region_masked])
    assert torch.equal(packed.region_boxes, clean.region_boxes)


@given(st.integers(0, 2**62), st.permutations(range(7)), st.integers(1, 7))
def test_masks_do_not_depend_on_the_batch(
    draw_pairs: Draw, settings: ObjectiveSettings, seed: int, order: list[int], size: int
) -> None:
    samples = draw_pairs(7, seed)
    together = corrupt(samples, settings, words=True, regions=True).packed
    apart = corrupt([samples[number] for number in order[:size]], settings, words=True, regions=True).packed
    token_ids = together.token_ids.split(together.text_lengths.tolist())
    masked = together.region_masked.split(together.region_lengths.tolist())
    assert torch.equal(apart.token_ids, torch.cat([token_ids[number] for number in order[:size]]))
    assert torch.equal(apart.region_masked, torch.cat([masked[number] for number in order[:size]]))


def test_masks_differ_between_keys_and_streams(vocabulary: Vocabulary) -> None:
    settings = ObjectiveSettings(vocabulary=vocabulary, word_probability=0.5, region_probability=0.5)
    sample = long_pairs(1, words=62, regions=64, seed=4)[0]
    packed = pack([sample])
    draws = []
    for key in (1, 2):
        words, _ = mask_words(packed, torch.tensor([key]), settings)
        draws += [words, mask_regions(packed, torch.tensor([key]), settings)]
    assert all(not torch.equal(one, other) for n, one in enumerate(draws) for other in draws[n + 1 :])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_collate_leaves_its_samples_alone(draw_pairs: Draw, settings: ObjectiveSettings, name: str) -> None:
    for count in (1, 5):
        samples, copies = draw_pairs(count), draw_pairs(count)
        OBJECTIVES[name].collate(samples, replace(settings, masking="joint"))
        for sample, copy in zip(samples, copies, strict=True):
            assert torch.equal(sample.token_ids, copy.token_ids)
            assert torch.equal(sample.region_features, copy.region_features)


@pytest.mark.parametrize("name", ["mlm", "mrc", "mrc-kl", "mrfr"])
def test_conditional_masking_shows_the_other_modality_and_joint_hides_some(
    draw_pairs: Draw, settings: ObjectiveSettings, name: str
) -> None:
    samples = draw_pairs(12)
    clean = pack(samples)
    conditional = OBJECTIVES[name].collate(samples, settings)
    joint = OBJECTIVES[name].collate(samples, replace(settings, masking="joint"))
    words_change = not torch.equal(conditional.packed.token_ids, clean.token_ids)
    assert words_change == (name == "mlm")
    assert bool(conditional.packed.region_masked.any()) == (name != "mlm")
    assert not torch.equal(joint.packed.token_ids, clean.token_ids)
    assert set(joint.packed.region_samples[joint.packed.region_masked].tolist()) == set(range(12))
    # the targets are the same: hiding more does not change what is asked
    assert joint.count == conditional.count
    for target in conditional.targets:
        assert torch.equal(joint.targets[target], conditional.targets[target])


def test_itm_hides_nothing(draw_pairs: Draw, settings: ObjectiveSettings) -> None:
    samples = draw_pairs(6)
    batch = OBJECTIVES["itm"].collate(samples, replace(settings, masking="joint"))
    assert torch.equal(batch.packed.token_ids, pack(samples).token_ids)
    assert not batch.packed.region_masked.any()
