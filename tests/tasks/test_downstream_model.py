"""The fine-tuned model: seeds, folders that come back whole, checkpoints that fit, are widened, or are refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from uniter_core import Example, UniterConfig, Vocabulary
from uniter_core.checkpoints import CheckpointError, export_official, load_folder, write_folder
from uniter_tasks import PretrainingModel
from uniter_tasks.downstream import TASKS, DownstreamModel, TaskSettings
from uniter_tasks.settings import ObjectiveSettings

Draw = Callable[..., list[Example]]
Make = Callable[..., DownstreamModel]
POSITIONS, TYPES = "encoder.text_embedding.positions.weight", "encoder.text_embedding.types.weight"


@pytest.fixture
def pretrained(model: PretrainingModel, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path / "pretrained")
    return tmp_path / "pretrained"


@pytest.fixture
def told(vocabulary: Vocabulary) -> TaskSettings:
    return TaskSettings(vocabulary=vocabulary, answers=("yes", "no"))


def test_parameters_are_a_function_of_the_seed(make_model: Make) -> None:
    torch.manual_seed(1)
    one = make_model("nlvr2", seed=7)
    torch.manual_seed(2)
    again, other = make_model("nlvr2", seed=7), make_model("nlvr2", seed=8)
    for (name, first), second in zip(one.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(first, second), name
    for name, parameter in one.head.named_parameters():
        if not name.endswith("bias"):
            assert not torch.equal(parameter, other.head.get_parameter(name)), name
    assert not torch.equal(one.head.left.in_proj_weight, one.head.right.in_proj_weight)


@pytest.mark.parametrize("name", TASKS)
def test_the_folder_comes_back_whole(draw_examples: Draw, make_model: Make, tmp_path: Path, name: str) -> None:
    model = make_model(name, setting="pair" if name == "nlvr2" else "", margin=0.3)
    model.save_pretrained(tmp_path / "model")
    back = DownstreamModel.from_pretrained(tmp_path / "model")
    assert (back.task, back.settings, back.config) == (model.task, model.settings, model.config)
    batch = model.task.collate(draw_examples(name, 3), model.settings, training=False)
    for ours, theirs in zip(model.scores(batch), back.scores(batch), strict=True):
        assert torch.equal(ours, theirs)
    export_official(tmp_path / "model", tmp_path / "official.pt")  # every parameter has an official name


def test_folders_made_for_something_else_are_refused(make_model: Make, told: TaskSettings, tmp_path: Path) -> None:
    make_model("nlvr2", setting="pair").save_pretrained(tmp_path / "pair")
    make_model("vqa").save_pretrained(tmp_path / "vqa")
    for folder, task, settings, message in (
        ("pair", "vqa", None, "pair is a model for nlvr2, not for vqa"),
        ("pair", "", replace(told, setting="triplet"), "in the setting 'pair' of nlvr2, not in 'triplet'"),
        ("pair", "nlvr2", told, "in the setting 'pair' of nlvr2, not in 'pair-biattn'"),
        ("vqa", "vqa", told, r"with other answers \(5, not 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            DownstreamModel.from_pretrained(tmp_path / folder, task, settings)
    assert DownstreamModel.from_pretrained(tmp_path / "pair", "", replace(told, setting="pair", margin=0.1))


def test_folders_that_do_not_say_what_they_are_for(pretrained: Path, told: TaskSettings, make_model: Make) -> None:
    with pytest.raises(ValueError, match="does not say which task it is for: give task and settings"):
        DownstreamModel.from_pretrained(pretrained, "vqa")
    with pytest.raises(CheckpointError, match=r"missing \(6\): heads\.vqa\.0\.weight"):
        DownstreamModel.from_pretrained(pretrained, "vqa", told)
    make_model("vcr").save_pretrained(pretrained)
    described = json.loads((pretrained / "config.json").read_text())
    described["task"]["speed"] = 3
    (pretrained / "config.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match="unknown task setting 'speed': known are answers, head_layers"):
        DownstreamModel.from_pretrained(pretrained)


@pytest.mark.parametrize("name", TASKS)
def test_fine_tuning_starts_from_the_encoder(pretrained: Path, told: TaskSettings, name: str) -> None:
    tensors = load_folder(pretrained).tensors
    model = DownstreamModel.from_encoder(pretrained, name, told, seed=4)
    other = DownstreamModel.from_encoder(pretrained, name, told, seed=5)
    sources = list(model.task.type_sources)
    for parameter, value in model.state_dict().items():
        if parameter == TYPES:
            assert torch.equal(value, tensors[TYPES][sources])
        elif parameter.startswith("encoder."):
            assert torch.equal(value, tensors[parameter]), parameter
        elif name != "retrieval" and parameter.endswith(".0.weight"):
            assert not torch.equal(value, other.state_dict()[parameter])
    widened = [note for note in model.notes if "type table" in note]
    assert bool(widened) == (len(sources) > 2)
    assert model.notes[-1].startswith(f"head {model.task.head_name}: ")


def test_positions_are_widened_when_texts_need_them(
    pretrained: Path, told: TaskSettings, tiny_config: UniterConfig
) -> None:
    have = tiny_config.max_positions
    model, again, other = (
        DownstreamModel.from_encoder(pretrained, "vcr", told, max_positions=have + 50, seed=seed) for seed in (1, 1, 2)
    )
    table, old = model.state_dict()[POSITIONS], load_folder(pretrained).tensors[POSITIONS]
    assert torch.equal(table[:have], old)
    assert table[have:].std().item() == pytest.approx(tiny_config.initializer_range, rel=0.1)
    assert torch.equal(table, again.state_dict()[POSITIONS])
    assert not torch.equal(table, other.state_dict()[POSITIONS])
    assert model.config.max_positions == have + 50
    assert model.notes == (
        "type table widened from 2 to 4 rows (new: 2 = row 0, 3 = row 0)",
        f"position table widened from {have} to {have + 50} rows (new ones drawn, to be learned)",
        "head vcr: fresh",
    )
    enough = DownstreamModel.from_encoder(pretrained, "vqa", told, max_positions=have)
    assert enough.config.max_positions == have


def test_pieces_behind_the_vocabulary_widen_the_word_table(
    pretrained: Path, told: TaskSettings, settings: ObjectiveSettings, vocabulary: Vocabulary
) -> None:
    """As the released databases of VCR have them; random words are drawn from none, by which they are told."""
    tensors, have = load_folder(pretrained).tensors, vocabulary.size
    more = replace(vocabulary, size=have + 7, digest="of more words")
    assert more.random_range[1] == have
    tuned = DownstreamModel.from_encoder(pretrained, "vcr", replace(told, vocabulary=more), seed=3)
    stage = PretrainingModel.from_pretrained(
        pretrained, replace(settings, vocabulary=more), type_sources=(0, 1, 0, 0), max_positions=200, seed=3
    )
    for model in (tuned, stage):
        assert f"word table widened from {have} to {have + 7} rows (new ones drawn, to be learned)" in model.notes
        assert torch.equal(model.encoder.word_table[:have], tensors["encoder.text_embedding.words.weight"])
        assert torch.equal(model.encoder.word_table, tuned.encoder.word_table)
        assert model.config.vocab_size == have + 7
    assert (stage.config.num_types, stage.config.max_positions, stage.vocabulary) == (4, 200, more)
    bias = stage.state_dict()["heads.mlm.bias"]
    assert torch.equal(bias[:have], tensors["heads.mlm.bias"])
    assert not bias[have:].any()
    other = replace(more, cls_id=vocabulary.sep_id, sep_id=vocabulary.cls_id)
    with pytest.raises(ValueError, match=f"vocabulary of {have} entries, the task's data have {have + 7}"):
        DownstreamModel.from_encoder(pretrained, "vcr", replace(told, vocabulary=other))


def test_a_wider_table_stays_as_it_is(pretrained: Path, told: TaskSettings, tmp_path: Path) -> None:
    """NLVR2 after VCR: row 2 means something else by then, but nothing is lost."""
    vcr = DownstreamModel.from_encoder(pretrained, "vcr", told)
    vcr.save_pretrained(tmp_path / "vcr")
    model = DownstreamModel.from_encoder(tmp_path / "vcr", "nlvr2", told)
    assert torch.equal(model.state_dict()[TYPES], vcr.state_dict()[TYPES])
    assert model.notes == ("head nlvr2: fresh",)


def test_a_third_row_is_kept_and_a_fourth_added(pretrained: Path, told: TaskSettings, tmp_path: Path) -> None:
    DownstreamModel.from_encoder(pretrained, "nlvr2", told).save_pretrained(tmp_path / "nlvr2")
    model = DownstreamModel.from_encoder(tmp_path / "nlvr2", "vcr", told)
    old = load_folder(tmp_path / "nlvr2").tensors[TYPES]
    assert torch.equal(model.state_dict()[TYPES], torch.cat([old, old[:1]]))


def test_dropout_may_differ_from_the_checkpoint(pretrained: Path, told: TaskSettings) -> None:
    model = DownstreamModel.from_encoder(pretrained, "vqa", told, overrides={"hidden_dropout": 0.3})
    assert (model.config.hidden_dropout, model.config.attention_dropout) == (0.3, 0.0)
    with pytest.raises(ValueError, match="did you mean 'hidden_dropout'"):
        DownstreamModel.from_encoder(pretrained, "vqa", told, overrides={"hiden_dropout": 0.3})


def test_an_encoder_that_does_not_load_fully_is_refused(pretrained: Path, told: TaskSettings, tmp_path: Path) -> None:
    folder = load_folder(pretrained)
    whole = folder.tensors
    for change, message in (
        ({"encoder.pooler.weight": None}, r"missing \(1\): encoder\.pooler\.weight"),
        ({TYPES: None}, r"missing \(1\): encoder\.text_embedding\.types"),
        ({TYPES: whole[TYPES][:1]}, r"of another shape \(1\): encoder\.text_embedding\.types\.weight"),
        ({"encoder.extra": torch.zeros(1)}, r"unexpected \(1\): encoder\.extra"),
    ):
        tensors = {name: value for name, value in (whole | change).items() if value is not None}
        write_folder(tmp_path / "damaged", tensors, folder.config)
        for task in ("vqa", "vcr") if TYPES not in change or change[TYPES] is None else ("vqa",):
            with pytest.raises(CheckpointError, match=message):
                DownstreamModel.from_encoder(tmp_path / "damaged", task, told)


def test_other_vocabularies_are_refused(pretrained: Path, told: TaskSettings, model: PretrainingModel) -> None:
    words = replace(told.vocabulary, size=41, random_range=(told.vocabulary.random_range[0], 41))
    larger = replace(told, vocabulary=words)
    with pytest.raises(ValueError, match=r"vocabulary of 40 entries, the task's data have 41: import the data again"):
        DownstreamModel.from_encoder(pretrained, "vqa", larger)
    model.save_pretrained(pretrained, vocabulary=replace(told.vocabulary, digest="one"))
    with pytest.raises(ValueError, match="vocabularies of equal size but other words"):
        DownstreamModel.from_encoder(
            pretrained, "vqa", replace(told, vocabulary=replace(told.vocabulary, digest="two"))
        )


def test_a_fresh_model_has_the_types_its_task_needs(tiny_config: UniterConfig, told: TaskSettings) -> None:
    assert DownstreamModel(tiny_config, "vcr", told).config.num_types == 4
    assert DownstreamModel(replace(tiny_config, num_types=6), "vcr", told).config.num_types == 6
    with pytest.raises(ValueError, match=r"settings\.vocabulary: expected 41 entries"):
        DownstreamModel(replace(tiny_config, vocab_size=41), "vcr", told)


def test_dropout_of_the_biattention_head(draw_examples: Draw, make_model: Make, tiny_config: UniterConfig) -> None:
    """In training only, and nowhere if the configuration has none."""
    examples = draw_examples("nlvr2", 4)
    for changes, still in (({}, True), ({"hidden_dropout": 0.5}, False), ({"attention_dropout": 0.5}, False)):
        model = make_model("nlvr2", config=replace(tiny_config, **changes))
        batch = model.task.collate(examples, model.settings)
        model.encoder.eval(), model.head.train()
        one, two = (model("nlvr2", batch).sum for _ in range(2))
        assert torch.equal(one, two) == still
        assert all(torch.equal(a, b) for a, b in zip(model.scores(batch), model.scores(batch), strict=True))
