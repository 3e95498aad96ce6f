"""VCR: which samples an example becomes, their types, what permuting the choices does, second-stage pre-training."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from uniter_core import Example, ImageRegions, Sample, Vocabulary
from uniter_tasks import objective
from uniter_tasks.downstream import DownstreamModel, TaskSettings, task
from uniter_tasks.downstream.vcr import pretraining_lengths, pretraining_sample
from uniter_tasks.settings import ObjectiveSettings

Draw = Callable[..., list[Example]]
Make = Callable[..., DownstreamModel]
VCR = task("vcr")
PERMUTATION = [2, 0, 3, 1]


def scores_of(model: DownstreamModel, example: Example) -> tuple[Tensor, Tensor]:
    """(4,) of the answers, (4, 4) of the rationales given each."""
    (scores,) = model.scores(VCR.collate([example], model.settings, training=False))
    return scores[:4], scores[4:].view(4, 4)


def test_the_worked_layout(vocabulary: Vocabulary) -> None:
    """[CLS] q [SEP] a [SEP] and [CLS] q [SEP] a [SEP] r [SEP]; a [SEP] opens, in pre-training closes, a text."""
    texts = tuple(torch.tensor(ids) for ids in ([5, 6], [10], [11], [12], [13], [20], [21], [22, 23], [24]))
    image = ImageRegions(features=torch.zeros(1, 3), boxes=torch.zeros(1, 7))
    labels = {"answer_label": 1, "rationale_label": 2}
    example = Example(id="a", texts=texts, images=(image,), annotation=labels)
    settings = TaskSettings(vocabulary=vocabulary)
    trained, predicted = (VCR.samples(example, settings, training) for training in (True, False))
    assert (len(trained), len(predicted)) == (8, 20)
    assert trained[0].token_ids.tolist() == [2, 5, 6, 3, 10, 3]
    assert types(trained[0]) == [0, 0, 0, 2, 2, 2]
    assert trained[6].token_ids.tolist() == [2, 5, 6, 3, 11, 3, 22, 23, 3]
    assert types(trained[6]) == [0, 0, 0, 2, 2, 3, 3, 3, 3]
    assert predicted[4 + 4 * 3 + 1].token_ids.tolist() == [2, 5, 6, 3, 13, 3, 21, 3]
    batch = VCR.collate([example, example], settings, training=False)
    assert batch.targets["rows"].tolist() == [0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 22, 23, 28, 29, 30, 31]
    assert batch.targets["right"].tolist() == [0, 1, 0, 0, 0, 0, 1, 0] * 2
    pair = pretraining_sample(example, vocabulary)
    assert pair.token_ids.tolist() == [2, 5, 6, 3, 11, 3, 22, 23, 3]
    assert types(pair) == [0, 0, 0, 0, 2, 2, 3, 3, 3]


def types(sample: Sample) -> list[int]:
    assert sample.token_types is not None
    return sample.token_types.tolist()


def test_permuting_the_choices_permutes_the_scores(draw_examples: Draw, make_model: Make) -> None:
    model = make_model("vcr")
    (example,) = draw_examples("vcr", 1)
    question, *choices = example.texts
    answers, rationales = choices[:4], choices[4:]
    moved = replace(
        example,
        texts=(question, *(answers[p] for p in PERMUTATION), *(rationales[p] for p in reversed(PERMUTATION))),
    )
    of_answers, of_rationales = scores_of(model, example)
    moved_answers, moved_rationales = scores_of(model, moved)
    torch.testing.assert_close(moved_answers, of_answers[PERMUTATION])
    torch.testing.assert_close(moved_rationales, of_rationales[PERMUTATION][:, PERMUTATION[::-1]])


def test_a_choice_does_not_see_the_others(draw_examples: Draw, make_model: Make) -> None:
    """Odds of two answers do not depend on a third: each is a sample of its own."""
    model = make_model("vcr")
    one, other = draw_examples("vcr", 2)
    changed = replace(one, texts=(*one.texts[:4], other.texts[4], *one.texts[5:]))
    (before, _), (after, _) = scores_of(model, one), scores_of(model, changed)
    torch.testing.assert_close(after[0] / after[1], before[0] / before[1])


def test_the_rationale_is_chosen_given_the_predicted_answer() -> None:
    settings = TaskSettings(vocabulary=Vocabulary(
        size=6, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4, random_range=(5, 6)
    ))  # fmt: skip
    scores = torch.full((5, 4), 0.1)
    scores[0, 2] = scores[3, 1] = scores[1, 3] = 0.7
    assert VCR.decode(scores.flatten(), settings) == {"answer": 2, "rationale": 1}


def test_logged_accuracies_are_those_of_the_decoded_answers(draw_examples: Draw, make_model: Make) -> None:
    model, examples = make_model("vcr"), draw_examples("vcr", 40)
    batch = VCR.collate(examples, model.settings, training=False)
    logged = model("vcr", batch).logged
    said = [VCR.decode(scores, model.settings) for scores in model.scores(batch)]
    truth = [(e.annotation["answer_label"], e.annotation["rationale_label"]) for e in examples]
    answered = sum(each["answer"] == answer for each, (answer, _) in zip(said, truth, strict=True))
    both = sum((each["answer"], each["rationale"]) == labels for each, labels in zip(said, truth, strict=True))
    assert logged["answer_accuracy"].tolist() == [answered, len(examples)]
    assert logged["accuracy"].tolist() == [both, len(examples)]


def test_predicting_needs_every_answer(draw_examples: Draw, make_model: Make) -> None:
    model = make_model("vcr")
    with pytest.raises(ValueError, match="collate with training=False to predict"):
        model.scores(VCR.collate(draw_examples("vcr", 2), model.settings))


def test_second_stage_samples_feed_the_objectives(
    draw_examples: Draw, vocabulary: Vocabulary, settings: ObjectiveSettings
) -> None:
    examples = draw_examples("vcr", 4)
    samples = [pretraining_sample(example, vocabulary) for example in examples]
    text_lengths = torch.tensor([[len(text) for text in example.texts] for example in examples])
    lengths = pretraining_lengths(text_lengths, [example.annotation for example in examples])
    assert lengths.tolist() == [len(sample.token_ids) for sample in samples]
    batch = objective("mlm").collate(samples, settings)
    assert set(batch.packed.token_types.tolist()) == {0, 2, 3}
    assert objective("mrfr").collate(samples, settings).count > 0
    with pytest.raises(ValueError, match="has no 'answer_label'"):
        pretraining_sample(replace(examples[0], annotation={}), vocabulary)


def test_second_stage_lengths_need_both_labels() -> None:
    text_lengths = torch.arange(1, 10).expand(4, 9)  # question 1, answers 2 to 5, rationales 6 to 9
    known = {"answer_label": 3, "rationale_label": 0}
    annotations = [known, {}, {"answer_label": 3}, {"rationale_label": 0}]
    assert pretraining_lengths(text_lengths, annotations).tolist() == [1 + 5 + 6 + 4, 0, 0, 0]
    with pytest.raises(ValueError, match="label is 4, expected 0 to 3"):
        pretraining_lengths(text_lengths[:1], [known | {"answer_label": 4}])


@pytest.mark.golden
def test_sequences_of_the_official_data_sets(golden_dir: Path) -> None:
    """Fine-tuning, prediction and second-stage sequences as the official data set classes make them."""
    recorded = json.loads((golden_dir / "lmdb" / "expected.json").read_text())
    texts, expected = recorded["texts"]["vcr_train.db"], recorded["datasets"]
    meta = texts["meta"]
    vocabulary = Vocabulary(
        size=2 + max(meta["v_range"]), pad_id=0, unk_id=meta["UNK"], cls_id=meta["CLS"], sep_id=meta["SEP"],
        mask_id=meta["MASK"], random_range=tuple(meta["v_range"]),
    )  # fmt: skip
    settings = TaskSettings(vocabulary=vocabulary)
    image = ImageRegions(features=torch.zeros(1, 3), boxes=torch.zeros(1, 7))
    for name, record in texts["examples"].items():
        example = Example(
            id=name,
            texts=tuple(map(torch.tensor, (record["input_ids"], *record["input_ids_as"], *record["input_ids_rs"]))),
            images=(image,),
            annotation={"answer_label": record["qa_target"], "rationale_label": record["qar_target"]},
        )
        trained, predicted = (VCR.samples(example, settings, training) for training in (True, False))
        wanted = [
            (trained[:4], expected["vcr_qa"]["examples"].get(name, {}).get("choices", [])),
            (trained[4:], expected["vcr_qar"]["examples"].get(name, {}).get("choices", [])),
            (trained, expected["vcr_eval_val"].get(name, {}).get("rows", [])),
            (predicted, expected["vcr_eval_test"].get(name, {}).get("rows", [])),
        ]
        row = expected["vcr_pretrain_qar"]["examples"].get(name)
        wanted.append(([pretraining_sample(example, vocabulary)], [row] if row else []))
        assert any(rows for _, rows in wanted)
        for samples, rows in wanted:
            for sample, row in zip(samples, rows, strict=bool(rows)):
                assert sample.token_ids.tolist() == row["input_ids"]
                assert types(sample) == row["txt_type_ids"]
