"""VQA's answers, NLVR2's two sides, regions by softmax, groups of retrieval: what each task does with its examples."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from uniter_core import Example, Sample, Vocabulary, pack
from uniter_tasks.downstream import (
    HARD,
    DownstreamModel,
    TaskSettings,
    answer_scores,
    build_answers,
    group,
    match_scores,
    pool_of,
    task,
)
from uniter_tasks.downstream.padding import pad_samples
from uniter_tasks.downstream.refexp import log_softmax_by_sample, region_scores
from uniter_tasks.downstream.vqa import logits

Draw = Callable[..., list[Example]]
Make = Callable[..., DownstreamModel]

# ------------------------------------------------------------------------------------------------------------------ VQA


def test_ten_people_by_hand() -> None:
    people = ["Yes"] * 5 + ["yes."] + ["no"] * 3 + ["the  No"]
    assert answer_scores(people) == {"yes": 1.0, "no": 1.0}
    assert answer_scores(["a"] * 2 + ["red"] * 3 + ["two", "2"] + ["blue"] * 3) == {
        "": 0.6, "red": 0.9, "2": 0.6, "blue": 0.9
    }  # fmt: skip
    assert answer_scores(["on the table"]) == {"on table": 1.0}  # Visual Genome gives one


def test_answers_are_those_of_enough_questions() -> None:
    questions = [{"answers": ["Dog"] * 6 + ["cat"] * 4}] * 3 + [{"answers": ["cat"] * 9 + ["dog"]}] * 2
    questions += [{"answers": ["ant"] * 10}] * 2 + [{}, {"multiple_choice_answer": "a bee"}]
    assert build_answers(questions, least=2) == ("dog", "ant", "cat")
    assert build_answers(questions, least=1) == ("dog", "ant", "cat", "bee")
    assert build_answers(reversed(questions), least=2) == ("dog", "ant", "cat")
    with pytest.raises(ValueError, match="no answer is the most frequent one of 9 questions"):
        build_answers(questions)


def test_answers_outside_the_vocabulary_are_counted(draw_examples: Draw, make_model: Make) -> None:
    model = make_model("vqa")
    (example,) = draw_examples("vqa", 1)
    examples = [
        replace(example, annotation={"answers": ["yes"] * 7 + ["unheard of"] * 3}),
        replace(example, annotation={"answers": ["unheard of"] * 10}),
    ]
    batch = model.task.collate(examples, model.settings)
    assert batch.targets["worth"].tolist() == [[1.0, 0.0, 0.0, 0.0, 0.0], [0.0] * 5]
    assert model("vqa", batch).logged["outside"].tolist() == [13.0, 20.0]


def test_sure_answers_cost_nothing_and_unsure_ones_a_bit_each(draw_examples: Draw, make_model: Make) -> None:
    model = make_model("vqa")
    example = replace(draw_examples("vqa", 1)[0], annotation={"answers": ["red"] * 10})
    batch = model.task.collate([example], model.settings)
    with torch.no_grad():
        model.head[-1].weight.zero_()
    loss = model("vqa", batch)
    assert float(loss.mean.detach()) == pytest.approx(len(model.settings.answers) * math.log(2), rel=1e-6)
    with torch.no_grad():
        model.head[-1].bias.copy_(torch.tensor([-99.0, -99.0, 99.0, -99.0, -99.0]))
    assert float(model("vqa", batch).sum.detach()) < 1e-6
    (scores,) = model.scores(batch)
    assert model.task.decode(scores, model.settings) == "red"


# ------------------------------------------------------------------------------------------------------------ SNLI-VE


def test_entailment_has_two_losses_and_one_ranking(draw_examples: Draw, make_model: Make) -> None:
    examples, decoded = draw_examples("snli-ve", 5), []
    for loss in ("sigmoid", "softmax"):
        model = make_model("snli-ve", loss=loss)
        batch = model.task.collate(examples, model.settings)
        decoded.append([model.task.decode(each, model.settings) for each in model.scores(batch)])
        found = logits(model.encoder, model.head, batch).detach()
        right = torch.eye(3)[batch.targets["labels"]].bool()
        if loss == "softmax":
            costs = -found.log_softmax(1)[right]
        else:
            costs = -torch.where(right, found.sigmoid(), (-found).sigmoid()).log()
        torch.testing.assert_close(model("snli-ve", batch).sum.detach(), costs.sum())
    assert decoded[0] == decoded[1]


# -------------------------------------------------------------------------------------------------------------- NLVR2


@torch.no_grad()
def mirrored(model: DownstreamModel) -> DownstreamModel:
    """The model that takes the left for the right."""
    other = DownstreamModel(model.config, "nlvr2", model.settings).eval()
    other.load_state_dict(model.state_dict())
    types, output = other.encoder.text_embedding.types.weight, other.head.output.weight
    types[[1, 2]] = types[[2, 1]].clone()
    if model.settings.setting != "triplet":
        output.copy_(torch.cat(output.chunk(2, dim=1)[::-1], dim=1))
    if model.settings.setting == "pair-biattn":
        other.head.left, other.head.right = other.head.right, other.head.left
    return other


@pytest.mark.parametrize("setting", task("nlvr2").settings)
def test_a_mirrored_model_sees_mirrored_images_alike(draw_examples: Draw, make_model: Make, setting: str) -> None:
    """Left and right differ by their types, their place in the output, and the direction of attention; by no more."""
    model = make_model("nlvr2", setting=setting)
    with torch.no_grad():
        model.encoder.text_embedding.types.weight[2] += 1.0
    examples = draw_examples("nlvr2", 5)
    swapped = [replace(example, images=example.images[::-1]) for example in examples]
    plain, turned = (model.scores(model.task.collate(each, model.settings)) for each in (examples, swapped))
    other = mirrored(model)
    seen = other.scores(other.task.collate(swapped, other.settings))
    torch.testing.assert_close(torch.stack(seen), torch.stack(plain), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(torch.stack(turned), torch.stack(plain), atol=1e-3)


def test_biattention_sees_no_padding(draw_examples: Draw, make_model: Make) -> None:
    """Attention, fusion and pooling written out for one example, from the parameters."""
    model = make_model("nlvr2", setting="pair-biattn")
    head = model.head
    batch = model.task.collate(draw_examples("nlvr2", 4), model.settings)
    found = head(model.encoder, batch.packed)
    sides = torch.split(model.encoder(batch.packed), batch.packed.unit_lengths.tolist())

    def attend(part: torch.nn.Module, own: Tensor, other: Tensor) -> Tensor:
        q, k, v = (
            (x @ w.T + b).unflatten(1, (part.num_heads, -1)).transpose(0, 1)
            for x, w, b in zip(
                (own, other, other), part.in_proj_weight.chunk(3), part.in_proj_bias.chunk(3), strict=True
            )
        )
        weights = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1)
        return part.out_proj((weights @ v).transpose(0, 1).flatten(1))

    for number in range(4):
        left, right = sides[2 * number : 2 * number + 2]
        pooled = []
        for seen, own in ((attend(head.left, left, right), left), (attend(head.right, right, left), right)):
            fused = head.fusion(torch.cat([seen, own], dim=1)).relu()
            pooled.append(head.pool(fused).relu().softmax(0).T @ fused)
        expected = head.output(torch.cat(pooled, dim=1))[0]
        torch.testing.assert_close(found[number], expected, rtol=1e-4, atol=1e-5)


def test_samples_side_by_side() -> None:
    def sample(words: int) -> Sample:
        empty = {"region_features": torch.zeros(0, 2), "region_boxes": torch.zeros(0, 7)}
        return Sample(token_ids=torch.zeros(words, dtype=torch.int64), **empty)

    packed = pack([sample(2), sample(3), sample(1)])
    padded, real = pad_samples(torch.arange(1.0, 7.0)[:, None], packed)
    assert padded.squeeze(-1).tolist() == [[1, 2, 0], [3, 4, 5], [6, 0, 0]]
    assert real.tolist() == [[True, True, False], [True] * 3, [True, False, False]]


# ------------------------------------------------------------------------------------------------ referring expressions


@given(st.lists(st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=5), min_size=1, max_size=4))
def test_softmax_by_sample_is_softmax_of_each(rows: list[list[float]]) -> None:
    owners = torch.cat([torch.full((len(row),), number) for number, row in enumerate(rows)])
    flat = torch.tensor([score for row in rows for score in row], requires_grad=True)
    found = log_softmax_by_sample(flat, owners, len(rows))
    weights = torch.linspace(-1, 1, len(flat))
    (gradient,) = torch.autograd.grad((found * weights).sum(), flat)
    again = flat.detach().clone().requires_grad_()
    expected = torch.cat([part.log_softmax(0) for part in torch.split(again, [len(row) for row in rows])])
    (wanted,) = torch.autograd.grad((expected * weights).sum(), again)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5)


def test_the_hardest_other_region_is_ranked_against(draw_examples: Draw, make_model: Make) -> None:
    model = make_model("refexp", loss="rank", margin=0.4)
    examples = draw_examples("refexp", 6)
    lonely = examples[0].images[0]
    lonely = replace(lonely, features=lonely.features[:1], boxes=lonely.boxes[:1])
    examples[0] = replace(examples[0], images=(lonely,), annotation={"target": 0})
    batch = model.task.collate(examples, model.settings)
    loss = model("refexp", batch)
    loss.sum.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    scores = region_scores(model.encoder, model.head, batch).detach().sigmoid()
    expected = 0.0  # a region that is alone has nothing to be ranked against
    for example, own in zip(examples, torch.split(scores, batch.packed.region_lengths.tolist()), strict=True):
        meant = example.annotation["target"]
        others = [float(score) for row, score in enumerate(own) if row != meant]
        expected += max(0.0, 0.4 + max(others) - float(own[meant])) if others else 0.0
    assert float(loss.sum.detach()) == pytest.approx(expected, rel=1e-5)


def test_expressions_without_a_target_are_predicted_only(draw_examples: Draw, make_model: Make) -> None:
    model = make_model("refexp")
    examples = [replace(example, annotation={"target": -1}) for example in draw_examples("refexp", 2)]
    batch = model.task.collate(examples, model.settings, training=False)
    assert batch.targets == {}
    assert len(model.scores(batch)) == 2
    bare = replace(examples[0].images[0], features=torch.zeros(0, 12), boxes=torch.zeros(0, 7))
    with pytest.raises(ValueError, match=r"'refexp-0': image 'image-0-0' has no region to choose from"):
        model.task.collate([replace(examples[0], images=(bare,))], model.settings, training=False)


def test_sum_and_mean_differ_by_the_count_alone(draw_examples: Draw, make_model: Make) -> None:
    examples = draw_examples("refexp", 5)
    losses = [(m := make_model("refexp", loss=loss))("refexp", m.task.collate(examples, m.settings)) for loss in
              ("mean", "sum")]  # fmt: skip
    assert torch.equal(losses[0].sum, losses[1].sum)
    assert (losses[0].count, losses[1].count) == (5, 1)


# ---------------------------------------------------------------------------------------------------------- retrieval


def test_groups_of_a_data_sets_pairs(draw_pairs: Callable[..., list[Sample]], vocabulary: Vocabulary) -> None:
    positive, image, text = draw_pairs(3)
    example = group(positive, images=[image], texts=[text], vocabulary=vocabulary)
    retrieval = task("retrieval")
    settings = TaskSettings(vocabulary=vocabulary)
    samples = retrieval.samples(example, settings, True)
    for sample, (words, regions) in zip(
        samples, ((positive, positive), (positive, image), (text, positive)), strict=True
    ):
        assert torch.equal(sample.token_ids, words.token_ids)
        assert torch.equal(sample.region_features, regions.region_features)
    batch = retrieval.collate([example, example], settings)
    assert batch.targets["positives"].tolist() == [0, 0, 3, 3]
    assert batch.targets["negatives"].tolist() == [1, 2, 4, 5]
    assert (batch.ids, batch.count) == (("pair-0", "pair-0"), 4)
    with pytest.raises(ValueError, match=r"'pair-0' does not stand between \[CLS\] and \[SEP\]"):
        group(replace(positive, token_ids=positive.token_ids[1:], gold_regions=None, token_kinds=None),
              vocabulary=vocabulary)  # fmt: skip
    with pytest.raises(ValueError, match="at least one other text or image, got 1 and 1"):
        retrieval.collate([group(positive, vocabulary=vocabulary)], settings)


def test_a_margin_is_kept(draw_examples: Draw, make_model: Make) -> None:
    """All scores equal: every negative costs the margin; the loss is a mean over negatives, whatever the groups."""
    model = make_model("retrieval", margin=0.35)
    with torch.no_grad():
        model.head.weight.zero_()
    batch = model.task.collate(draw_examples("retrieval", 5), model.settings)
    loss = model("retrieval", batch)
    assert float(loss.mean.detach()) == pytest.approx(0.35)
    assert loss.logged["accuracy"].tolist() == [0.0, batch.count]  # a tie is no success


def test_hard_negatives_are_the_best_candidates(draw_examples: Draw, make_model: Make) -> None:
    model = make_model("retrieval")
    (one,), others = draw_examples("retrieval", 1), draw_examples("retrieval", 6, seed=2)
    texts = (one.texts[0], *(text for other in others for text in other.texts))
    images = (one.images[0], *(image for other in others for image in other.images))
    many = replace(one, texts=texts, images=images)
    few = replace(one, texts=texts[:2], images=images[:1])
    batch = model.task.collate([many, few], model.settings)
    pool = pool_of(batch, [many, few], keep=3)
    assert pool.count == 3 + 3 + 1
    kept = model.narrowed(HARD, pool)
    scores = match_scores(model.encoder, model.head, batch.packed)
    first_text, first_few = len(images), len(images) + len(texts) - 1
    best = [
        sorted((start + scores[start:stop].argsort(descending=True)[:3]).tolist())
        for start, stop in ((1, first_text), (first_text, first_few))
    ]
    expected = batch.packed.select([0, *best[0], *best[1], first_few, first_few + 1])
    assert torch.equal(kept.packed.token_ids, expected.token_ids)
    assert torch.equal(kept.packed.region_features, expected.region_features)
    assert (kept.pairs, kept.ids, kept.count) == ((7, 2), batch.ids, 7)
    assert kept.targets["positives"].tolist() == [0] * 6 + [7]
    assert kept.targets["negatives"].tolist() == [1, 2, 3, 4, 5, 6, 8]
    with pytest.raises(ValueError, match="keep: expected at least 1"):
        pool_of(batch, [many, few], keep=0)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_only_the_hardest_are_trained_on(draw_examples: Draw, make_model: Make, precision: torch.dtype) -> None:
    """Loss and gradients of a pool are those of the group of its hardest, whatever the precision of the pass."""
    examples = draw_examples("retrieval", 3)
    model = make_model("retrieval").train()
    pool = pool_of(model.task.collate(examples, model.settings), examples, keep=1)
    kept = model.narrowed(HARD, pool)
    gradients = []
    for name, batch in ((HARD, pool), ("retrieval", kept)):
        model.zero_grad()
        with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
            loss = model(name, batch)
        loss.sum.backward()
        assert model.training
        assert loss.count == kept.count
        gradients.append({name: each.grad for name, each in model.named_parameters() if each.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert len(gradients[0]) == len(list(model.parameters())) - 1  # all but the vector of masked regions
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)
