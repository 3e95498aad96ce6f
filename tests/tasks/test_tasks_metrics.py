"""Metrics against loops written from their definitions."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uniter_core import Sample, pack
from uniter_ot import cosine_cost, ipot
from uniter_tasks import (
    MajorityBaseline,
    ObjectiveSettings,
    PretrainingModel,
    attention_alignment,
    objective,
    plan_alignment,
)
from uniter_tasks.gold import falls_on, gold_links

Draw = Callable[..., list[Sample]]


def gold_nouns(sample: Sample) -> list[tuple[int, int]]:
    """(word, region) of every gold noun of a matched pair."""
    if not sample.matched or sample.gold_regions is None or sample.token_kinds is None:
        return []
    links = enumerate(zip(sample.gold_regions.tolist(), sample.token_kinds.tolist(), strict=True))
    return [(word, region) for word, (region, kind) in links if region >= 0 and kind == 1]


def mixed_pairs(draw_pairs: Draw) -> list[Sample]:
    """Annotated pairs, pairs without kinds, pairs without links, mismatched pairs."""
    samples = draw_pairs(12)
    samples[2] = replace(samples[2], gold_regions=None)
    samples[4] = replace(samples[4], token_kinds=None)
    samples[6] = replace(samples[6], gold_regions=None, token_kinds=None)
    return samples


def test_gold_links_are_those_of_matched_pairs(draw_pairs: Draw) -> None:
    samples = mixed_pairs(draw_pairs)
    links = gold_links(samples, pack(samples))
    assert links is not None
    expected = [[pair, word, region] for pair, sample in enumerate(samples) for word, region in gold_nouns(sample)]
    assert links.nouns().tolist() == expected
    named = [
        sample.matched and sample.gold_regions is not None and region in sample.gold_regions.tolist()
        for sample in samples
        for region in range(len(sample.region_features))
    ]
    assert links.mentioned(pack(samples)).tolist() == named
    bare = [replace(sample, gold_regions=None) for sample in samples]
    assert gold_links(bare, pack(bare)) is None


def test_word_accuracies(model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw) -> None:
    samples = mixed_pairs(draw_pairs)
    batch = objective("mlm").collate(samples, settings)
    logged = model.eval()("mlm", batch).logged
    logits = model.heads["mlm"](model.encoder(batch.packed)[batch.targets["units"]], model.encoder.word_table)
    kinds = [kind for s in samples for kind in ([0] * len(s.token_ids) if s.token_kinds is None else s.token_kinds)]
    clean = pack(samples)
    rows = [int((batch.packed.word_units == unit).nonzero()) for unit in batch.targets["units"]]
    assert batch.targets["words"].tolist() == clean.token_ids[rows].tolist()
    right = (logits.argmax(-1) == clean.token_ids[rows]).tolist()
    content = [hit for hit, row in zip(right, rows, strict=True) if kinds[row] > 0]
    assert logged["accuracy"].tolist() == [sum(right), len(rows)]
    assert logged["content_accuracy"].tolist() == [sum(content), len(content)]


@pytest.mark.parametrize("name", ["mrc", "mrc-kl"])
def test_class_accuracies(model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw, name: str) -> None:
    settings = replace(settings, region_probability=0.6)
    samples = mixed_pairs(draw_pairs)
    batch = objective(name).collate(samples, settings)
    logged = model.eval()(name, batch).logged
    predicted = model.heads["mrc"](model.encoder(batch.packed)[batch.targets["units"]]).argmax(-1).tolist()
    hits, mentioned = [], []
    masked = iter(batch.packed.region_masked.tolist())
    for sample in samples:
        named = set() if sample.gold_regions is None or not sample.matched else set(sample.gold_regions.tolist())
        for region in range(len(sample.region_features)):
            if next(masked):
                assert sample.region_labels is not None
                probabilities = sample.region_labels[region].tolist()
                target = max(range(1, len(probabilities)), key=probabilities.__getitem__)
                hits.append(predicted[len(hits)] == target)
                mentioned += [hits[-1]] if region in named else []
    assert logged["accuracy"].tolist() == [sum(hits), len(hits)]
    assert logged["mentioned_accuracy"].tolist() == [sum(mentioned), len(mentioned)]
    assert len(mentioned) > 0


def test_transport_metrics(model: PretrainingModel, settings: ObjectiveSettings, draw_pairs: Draw) -> None:
    samples = mixed_pairs(draw_pairs)
    batch = objective("itm").collate(samples, settings)
    logged = model.eval()("itm", batch).logged
    hits, distances, chances = [], {True: [], False: []}, []
    for sample in samples:
        units = model.encoder(pack([sample])).detach()
        words, regions = units[: len(sample.token_ids)], units[len(sample.token_ids) :]
        solved = ipot(cosine_cost(words[None], regions[None]))
        distances[sample.matched].append(float(solved.distance))
        for word, region in gold_nouns(sample):
            hits.append(int(solved.plan[0, word].argmax()) == region)
            chances.append(1 / len(regions))
    assert logged["alignment_accuracy"].tolist() == [sum(hits), len(hits)]
    for matched, metric in ((True, "matched_distance"), (False, "mismatched_distance")):
        total, count = logged[metric].tolist()
        assert count == len(distances[matched])
        assert total == pytest.approx(sum(distances[matched]), rel=1e-4)
    baseline = MajorityBaseline(objective("itm").baselines)
    baseline.update(batch)
    assert baseline.result()["alignment_accuracy"] == pytest.approx(sum(chances) / len(chances))
    whole = plan_alignment(model.encoder, samples, units=40)
    assert whole.accuracy == pytest.approx(sum(hits) / len(hits))
    assert whole.chance == pytest.approx(sum(chances) / len(chances))
    assert whole.nouns == len(hits)


def test_attention_alignment(model: PretrainingModel, draw_pairs: Draw) -> None:
    samples = mixed_pairs(draw_pairs)
    calls: list[tuple[int, int]] = []
    model.train()
    found = attention_alignment(
        model.encoder, samples, units=20, progress=lambda done, total: calls.append((done, total))
    )
    assert model.encoder.training
    assert calls == [(number, len(calls)) for number in range(1, len(calls) + 1)]
    assert len(calls) > 1
    config = model.config
    hits = torch.zeros(config.num_layers, config.num_heads)
    nouns = 0
    for sample in samples:
        for word, region in gold_nouns(sample):
            maps = model.encoder.attention_maps(pack([sample]))
            nouns += 1
            for layer in range(config.num_layers):
                for head in range(config.num_heads):
                    row = maps[layer][0][head, word, len(sample.token_ids) :]
                    hits[layer, head] += int(row.argmax()) == region
    assert torch.allclose(torch.tensor(found.accuracy), hits / nouns)
    assert found.nouns == nouns
    layer, head = found.best
    assert found.accuracy[layer][head] == max(max(heads) for heads in found.accuracy)


def test_alignment_needs_a_gold_noun(model: PretrainingModel, draw_pairs: Draw) -> None:
    bare = [replace(sample, gold_regions=None) for sample in draw_pairs(3)]
    for measure in (attention_alignment, plan_alignment):
        with pytest.raises(ValueError, match="gold noun"):
            measure(model.encoder, bare, units=100)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.data())
def test_a_tie_is_not_a_hit(mass: list[int], data: st.DataObject) -> None:
    region = data.draw(st.integers(0, len(mass) - 1))
    others = mass[:region] + mass[region + 1 :]
    expected = all(mass[region] > other for other in others)
    assert bool(falls_on(torch.tensor([mass], dtype=torch.float32), torch.tensor([region]))) == expected


def test_baselines_of_an_objective_are_the_constant_answers(settings: ObjectiveSettings, draw_pairs: Draw) -> None:
    batches = [objective("mlm").collate(draw_pairs(7, seed), settings) for seed in range(4)]
    baseline = MajorityBaseline(objective("mlm").baselines)
    for batch in batches:
        baseline.update(batch)
    words = [int(word) for batch in batches for word in batch.targets["words"]]
    nouns = [word for word in words if word >= 10]  # of the synthetic vocabulary: nouns are the content words
    for metric, targets in (("accuracy", words), ("content_accuracy", nouns)):
        share = max(targets.count(word) for word in targets) / len(targets)
        assert baseline.result()[metric] == pytest.approx(share)
