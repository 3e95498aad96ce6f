"""Every downstream head, loss and gradient against the official implementation, through both CPU attentions.

Official checkpoints come through the library's own converter; inputs are laid out by the tasks themselves, from word
pieces without [CLS] and [SEP].

E examples, S samples, W words, R regions.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from uniter_core import Example, ImageRegions, Vocabulary, pack
from uniter_core.checkpoints import convert_official, load_folder, official_name
from uniter_tasks import TaskBatch
from uniter_tasks.downstream import HARD, DownstreamModel, TaskSettings, match_scores, pool_of
from uniter_tasks.downstream import task as task_called
from uniter_tasks.downstream.refexp import region_scores
from uniter_tasks.downstream.snli_ve import CLASSES
from uniter_tasks.downstream.vcr import CHOICES
from uniter_tasks.downstream.vqa import logits as pooled_logits

pytestmark = pytest.mark.golden

ATTENTIONS = ["sdpa", "eager"]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A recorded case: the checkpoint it is of, our name of its task, and how the task is set."""

    checkpoint: str
    task: str
    setting: str = ""
    loss: str = ""
    head_layers: int = 1


CASES = {
    "vqa": Case("vqa", "vqa"),
    "ve": Case("ve", "snli-ve"),
    "vcr": Case("vcr", "vcr"),
    "nlvr2_paired": Case("nlvr2_paired", "nlvr2", "pair"),
    "nlvr2_triplet": Case("nlvr2_triplet", "nlvr2", "triplet"),
    "nlvr2_paired_attn": Case("nlvr2_paired_attn", "nlvr2", "pair-biattn"),
    "re_mlp1_cls": Case("re_mlp1", "refexp", loss="sum"),
    "re_mlp2_cls": Case("re_mlp2", "refexp", loss="sum", head_layers=2),
    "re_mlp1_rank": Case("re_mlp1", "refexp", loss="rank"),
    "itr_rank": Case("itr", "retrieval"),
    "itr_hard_from_t": Case("itr", "retrieval"),
    "itr_hard_from_i": Case("itr", "retrieval"),
}


@pytest.fixture(scope="module")
def model_dir(golden_dir: Path) -> Path:
    return golden_dir / "model"


@pytest.fixture(scope="module")
def folders(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every downstream checkpoint, and the one for pre-training, as folders of ours."""
    place = tmp_path_factory.mktemp("converted")
    pretrain = load_file(model_dir / "ckpt" / "pretrain.safetensors")
    encoder = {name: tensor for name, tensor in pretrain.items() if name.startswith("uniter.")}
    official = {"pretrain": pretrain}
    for checkpoint in {case.checkpoint for case in CASES.values()}:
        official[checkpoint] = encoder | load_file(model_dir / "ckpt" / f"{checkpoint}.delta.safetensors")
    for name, tensors in official.items():
        torch.save(tensors, place / f"{name}.pt")
        convert_official(place / f"{name}.pt", model_dir / "config.json", place / name)
    return {name: place / name for name in official}


@pytest.fixture(scope="module")
def settings_of(model_dir: Path, folders: dict[str, Path]) -> Callable[[str], TaskSettings]:
    dims = json.loads((model_dir / "dims.json").read_text())

    def settings(name: str) -> TaskSettings:
        case = CASES[name]
        folder = load_folder(folders[case.checkpoint])
        size = folder.config.vocab_size
        vocabulary = Vocabulary(
            size=size,
            pad_id=dims["pad_id"],
            unk_id=dims["pad_id"],
            cls_id=dims["cls_id"],
            sep_id=dims["sep_id"],
            mask_id=dims["mask_id"],
            random_range=(dims["mask_id"] + 1, size),
        )
        return TaskSettings(
            vocabulary=vocabulary,
            setting=case.setting,
            loss=case.loss,
            head_layers=case.head_layers,
            answers=tuple(f"answer{row}" for row in range(dims["num_answer"])) if case.task == "vqa" else (),
            margin=dims["itm_margin"],
        )

    return settings


@pytest.fixture(scope="module")
def load_model(
    folders: dict[str, Path], settings_of: Callable[[str], TaskSettings]
) -> Callable[[str, str], DownstreamModel]:
    def load(name: str, attention: str) -> DownstreamModel:
        case = CASES[name]
        folder, settings = folders[case.checkpoint], settings_of(name)
        return DownstreamModel.from_pretrained(folder, case.task, settings, attention=attention).eval()

    return load


# --------------------------------------------------------------------------------- recorded inputs as examples of ours


def pieces(arrays: Arrays, row: int) -> Tensor:
    """The words of a row without [CLS] and the last [SEP]."""
    return torch.from_numpy(arrays["input_ids"][row, 1 : arrays["txt_len"][row] - 1])


def image(arrays: Arrays, *row: int) -> ImageRegions:
    regions = arrays["num_bb"][row]
    return ImageRegions(
        features=torch.from_numpy(arrays["img_feat"][row][:regions]),
        boxes=torch.from_numpy(arrays["img_pos_feat"][row][:regions]),
    )


def pair_examples(arrays: Arrays, annotations: list[dict[str, object]]) -> list[Example]:
    return [
        Example(id=str(row), texts=(pieces(arrays, row),), images=(image(arrays, row),), annotation=annotation)
        for row, annotation in enumerate(annotations)
    ]


def vqa_examples(arrays: Arrays) -> list[Example]:
    """Ten people who give the recorded soft scores; those left over say something that is no answer."""
    people = {0.0: 0, 0.3: 1, 0.6: 2, 0.9: 3, 1.0: 4}
    annotations = []
    for target in arrays["targets"]:
        answers = [f"Answer{row}." for row, score in enumerate(target) for _ in range(people[round(float(score), 1)])]
        annotations.append({"answers": answers + ["unheard of"] * max(2, 10 - len(answers))})
    return pair_examples(arrays, annotations)


def ve_examples(arrays: Arrays) -> list[Example]:
    return pair_examples(arrays, [{"label": CLASSES[row]} for row in arrays["targets"].argmax(1)])


def nlvr2_examples(arrays: Arrays) -> list[Example]:
    return [
        Example(
            id=str(row),
            texts=(pieces(arrays, row),),
            images=(image(arrays, row, 0), image(arrays, row, 1)),
            annotation={"label": bool(target)},
        )
        for row, target in enumerate(arrays["targets"])
    ]


def re_examples(arrays: Arrays) -> list[Example]:
    return pair_examples(arrays, [{"target": int(row)} for row in arrays["targets"]])


def itr_examples(arrays: Arrays) -> list[Example]:
    """Groups: the rows with the positive's text are its text's negatives, the others its image's."""
    size, examples = int(arrays["sample_size"]), []
    for first in range(0, len(arrays["txt_len"]), size):
        rows = range(first + 1, first + size)
        same = [np.array_equal(arrays["input_ids"][row], arrays["input_ids"][first]) for row in rows]
        examples.append(
            Example(
                id=str(first),
                texts=(pieces(arrays, first), *(pieces(arrays, r) for r, s in zip(rows, same, strict=True) if not s)),
                images=(image(arrays, first), *(image(arrays, r) for r, s in zip(rows, same, strict=True) if s)),
            )
        )
    return examples


def hard_examples(arrays: Arrays) -> list[Example]:
    """One group: one text with many images, or one image with many texts."""
    texts = tuple(pieces(arrays, row) for row in range(len(arrays["input_ids"])))
    images = tuple(image(arrays, row) for row in range(len(arrays["img_feat"])))
    return [Example(id="group", texts=texts, images=images)]


def vcr_batch(arrays: Arrays, settings: TaskSettings) -> TaskBatch:
    """The recorded choices, laid out by the task: the first question's answers, the second's rationales."""
    vcr, sep = task_called("vcr"), settings.vocabulary.sep_id
    samples = []
    for first in range(0, len(arrays["txt_len"]), CHOICES):
        rows = [
            torch.tensor_split(pieces(arrays, row), (pieces(arrays, row) == sep).nonzero().squeeze(1))
            for row in range(first, first + CHOICES)
        ]
        question, *shared = [part[part != sep] for part in rows[0][:-1]]
        choices = [parts[-1][1:] for parts in rows]
        texts = (question, *(shared * CHOICES or choices), *choices)
        labels = {"answer_label": 0, "rationale_label": 0}
        example = Example(id=str(first), texts=texts, images=(image(arrays, first),), annotation=labels)
        laid_out = vcr.samples(example, settings, True)
        samples += laid_out[CHOICES:] if shared else laid_out[:CHOICES]
    right = torch.from_numpy(arrays["targets"])
    return TaskBatch(
        packed=pack(samples),
        targets={"rows": torch.arange(len(right)), "right": right},
        ids=("0", "1"),
        count=len(right),
        pairs=(CHOICES, len(right) - CHOICES),
    )


EXAMPLES: dict[str, Callable[[Arrays], list[Example]]] = {
    "vqa": vqa_examples,
    "ve": ve_examples,
    "nlvr2": nlvr2_examples,
    "re": re_examples,
    "itr": itr_examples,
}


def read(model_dir: Path, name: str) -> Arrays:
    return dict(np.load(model_dir / f"{name}.npz"))


def make_batch(model: DownstreamModel, name: str, arrays: Arrays) -> TaskBatch:
    if name == "vcr":
        return vcr_batch(arrays, model.settings)
    if "hard_size" in arrays:
        return model.narrowed(HARD, pool_batch(model, arrays))
    return model.task.collate(EXAMPLES[name.split("_")[0]](arrays), model.settings)


def pool_batch(model: DownstreamModel, arrays: Arrays) -> TaskBatch:
    """The recorded candidates as one pool."""
    examples = hard_examples(arrays)
    return pool_of(model.task.collate(examples, model.settings), examples, keep=int(arrays["hard_size"]))


# ----------------------------------------------------------------------------------------------------------- the tests


def assert_output(found: Tensor, expected: np.ndarray, name: str = "") -> None:
    """Within 2e-5 + 1e-6 of the output's size."""
    tolerance = 2e-5 + 1e-6 * np.abs(expected).max()
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=tolerance, err_msg=name)


def head_output(model: DownstreamModel, batch: TaskBatch) -> Tensor:
    """What the head says before any softmax, laid out as recorded."""
    encoder, head, packed = model.encoder, model.head, batch.packed
    if model.task.name == "nlvr2":
        return head(encoder, packed)
    if model.task.name == "retrieval":
        return match_scores(encoder, head, packed)[:, None]
    if model.task.name != "refexp":
        return pooled_logits(encoder, head, batch)
    found = torch.full((packed.num_samples, int(packed.region_lengths.max())), -1e4)
    place = torch.cat([torch.arange(length) for length in packed.region_lengths.tolist()])
    return found.index_put((packed.region_samples, place), region_scores(encoder, head, batch))


RECORDED = {"vcr": "logits", "itr_rank": "rank_scores"}


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", [name for name in CASES if "hard" not in name])
def test_outputs(model_dir: Path, load_model: Callable[[str, str], DownstreamModel], name: str, attention: str) -> None:
    arrays, model = read(model_dir, name), load_model(name, attention)
    output = head_output(model, make_batch(model, name, arrays))
    assert_output(output, arrays[RECORDED.get(name, "scores")])


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", CASES)
def test_losses(model_dir: Path, load_model: Callable[[str, str], DownstreamModel], name: str, attention: str) -> None:
    arrays, model = read(model_dir, name), load_model(name, attention)
    batch = make_batch(model, name, arrays)
    loss = model(model.task.name, batch)
    assert loss.sum.dtype == torch.float32
    # the released loop sums the ranking loss of regions over the batch as well
    assert_output(loss.sum if name == "re_mlp1_rank" else loss.mean, arrays["loss"])
    logged_sum, logged_count = loss.logged["loss"]
    per_target = next((arrays[key] for key in ("loss_per_sample", "rank_loss") if key in arrays), None)
    if per_target is not None:
        assert int(logged_count) == per_target.size
        assert_output(logged_sum, per_target.sum())


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", CASES)
def test_gradients(
    model_dir: Path, load_model: Callable[[str, str], DownstreamModel], name: str, attention: str
) -> None:
    arrays, model = read(model_dir, name), load_model(name, attention)
    loss = model(model.task.name, make_batch(model, name, arrays))
    (loss.sum if name == "re_mlp1_rank" else loss.mean).backward()
    gradients = {official_name(ours): parameter.grad for ours, parameter in model.named_parameters()}
    norms = json.loads((model_dir / "grad_norms.json").read_text())[name]
    assert {parameter for parameter, norm in norms.items() if norm is not None} <= set(gradients)
    for parameter, recorded in norms.items():
        assert_gradient_norm(parameter, gradients.get(parameter), recorded)


def assert_gradient_norm(parameter: str, gradient: Tensor | None, recorded: list[float] | None) -> None:
    """L2 norm and sum; where the official parameter is not reached, ours may have a gradient of zeros."""
    if recorded is None:
        assert gradient is None or not gradient.any(), parameter
        return
    assert gradient is not None, parameter
    norm, total = float(gradient.double().norm()), float(gradient.double().sum())
    if parameter.endswith("self.key.bias"):  # a constant added to a row's scores: 0 but for rounding
        assert norm < 1e-4, parameter
        return
    # A softmax over regions is blind to a constant added to them all: the last norm's bias gets rounding noise.
    assert norm == pytest.approx(recorded[0], rel=1e-4, abs=1e-6), parameter
    assert total == pytest.approx(recorded[1], abs=1e-4 * recorded[0] + 1e-6), parameter


@pytest.mark.parametrize("name", ["vqa", "ve"])
def test_targets(model_dir: Path, load_model: Callable[[str, str], DownstreamModel], name: str) -> None:
    arrays, model = read(model_dir, name), load_model(name, "sdpa")
    targets = make_batch(model, name, arrays).targets
    found = targets["worth"] if name == "vqa" else torch.nn.functional.one_hot(targets["labels"], len(CLASSES))
    np.testing.assert_array_equal(found.numpy(), arrays["targets"])


@pytest.mark.parametrize("name", [name for name in CASES if "hard" not in name])
def test_layouts(model_dir: Path, load_model: Callable[[str, str], DownstreamModel], name: str) -> None:
    """Word pieces, positions and types stand as they were fed."""
    arrays, model = read(model_dir, name), load_model(name, "sdpa")
    packed = make_batch(model, name, arrays).packed
    each = 2 if name in ("nlvr2_paired", "nlvr2_paired_attn") else 1
    ids, lengths = (np.repeat(arrays[key], each, axis=0) for key in ("input_ids", "txt_len"))
    real = np.arange(ids.shape[1]) < lengths[:, None]
    np.testing.assert_array_equal(packed.token_ids.numpy(), ids[real])
    if "position_ids" in arrays:
        np.testing.assert_array_equal(packed.token_positions.numpy(), arrays["position_ids"][real])
    types = arrays.get("txt_type_ids", np.zeros_like(ids))
    np.testing.assert_array_equal(packed.token_types.numpy(), types[real])
    if "img_type_id_of_slot" in arrays:
        slots = np.tile(arrays["img_type_id_of_slot"], len(arrays["targets"]))
        np.testing.assert_array_equal(packed.region_types.numpy(), np.repeat(slots, arrays["num_bb"].ravel()))
    else:
        assert (packed.region_types == 1).all()


@pytest.mark.parametrize("name", ["itr_hard_from_t", "itr_hard_from_i"])
def test_hard_negatives(model_dir: Path, load_model: Callable[[str, str], DownstreamModel], name: str) -> None:
    arrays, model = read(model_dir, name), load_model(name, "sdpa")
    pool = pool_batch(model, arrays)
    assert_output(match_scores(model.encoder, model.head, pool.packed)[:, None], arrays["all_rank_scores"])
    model.train()
    kept = model.narrowed(HARD, pool)
    assert model.training
    expected = pool.packed.select([0, *arrays["hard_indices"].tolist()])
    assert torch.equal(kept.packed.token_ids, expected.token_ids)
    assert torch.equal(kept.packed.region_features, expected.region_features)
    assert (kept.count, kept.pairs) == (arrays["hard_size"], (1 + arrays["hard_size"],))
    assert_output(model.eval()(HARD, pool).mean, arrays["loss"])


COPIES = {"nlvr2": [0, 1, 1], "vcr": [0, 1, 0, 0]}


@pytest.mark.parametrize("name", ["nlvr2_paired", "nlvr2_triplet", "nlvr2_paired_attn", "vcr"])
def test_widened_type_tables(
    model_dir: Path, folders: dict[str, Path], settings_of: Callable[[str], TaskSettings], name: str
) -> None:
    """New rows are copies, as the folder's README says and as many as `init_type_embedding.npz` has. What the rows of
    that file hold is no guide: they equal the checkpoints' tables, which were drawn at random afterwards.
    """
    recorded = np.load(model_dir / "init_type_embedding.npz")
    case = CASES[name]
    settings = TaskSettings(vocabulary=settings_of("vqa").vocabulary, setting=case.setting)
    model = DownstreamModel.from_encoder(folders["pretrain"], case.task, settings, seed=3)
    found = model.encoder.text_embedding.types.weight.detach().numpy()
    assert found.shape == recorded[f"{name}_type_after_init"].shape
    np.testing.assert_array_equal(found, recorded["pretrain_type_embedding"][COPIES[case.task]])
    assert model.notes[0].startswith(f"type table widened from 2 to {len(found)} rows")


def test_retrieval_starts_from_the_matching_head(
    folders: dict[str, Path], settings_of: Callable[[str], TaskSettings]
) -> None:
    settings = settings_of("itr_rank")
    model = DownstreamModel.from_encoder(folders["pretrain"], "retrieval", settings)
    tensors = load_folder(folders["pretrain"]).tensors
    assert torch.equal(model.head.weight, tensors["heads.itm.weight"][1:])
    assert torch.equal(model.head.bias, tensors["heads.itm.bias"][1:])
    assert model.notes == ("head rank: the checkpoint's",)
