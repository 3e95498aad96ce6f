"""The released text databases: what they hold comes back as the released data set classes make it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uniter_data import PairDataset, RegionStore, RegionWriter, Tokenizer, verify
from uniter_data.examples import ExampleDataset, verify_examples
from uniter_data.importers.lmdb_file import open_lmdb
from uniter_data.importers.plain_msgpack import unpack, unpack_array
from uniter_data.importers.texts import CaptionOptions, import_uniter_texts

MakeStore = Callable[..., Path]

pytestmark = pytest.mark.golden
OBJECTS = 100  # what the released readers count for any picture with annotated objects


@pytest.fixture(scope="module")
def expected(golden_dir: Path) -> dict[str, Any]:
    return json.loads((golden_dir / "lmdb" / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def databases(golden_dir: Path) -> Path:
    return golden_dir / "lmdb" / "txt_db"


@pytest.fixture(scope="module")
def uncased(real_data_dir: Path) -> Tokenizer:
    return Tokenizer.from_vocabulary_file(real_data_dir / "bert" / "bert-base-uncased-vocab.txt", cased=False)


def cased(folder: Path, meta: dict[str, Any]) -> Tokenizer:
    """A vocabulary with the special pieces where meta.json has them; the words are made up."""
    first, end = meta["v_range"]
    pieces = [f"[unused{number}]" for number in range(first)] + [f"w{number}" for number in range(first, end)]
    pieces[0] = "[PAD]"
    for name in ("UNK", "CLS", "SEP", "MASK"):
        pieces[meta[name]] = f"[{name}]"
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    return Tokenizer.from_vocabulary_file(folder / "vocab.txt", cased=True)


def store_of(folder: Path, golden: Path, database: str) -> Path:
    """The boxes of a released image database, cut as its readers cut them; two features a region."""
    (variant,) = [path for path in (golden / "lmdb" / "img_db" / database).iterdir() if path.name in VARIANTS]
    counts_file = variant.with_name(variant.name.replace("feat_", "nbb_") + ".json")
    counts = json.loads(counts_file.read_text()) if counts_file.is_file() else {}
    path = folder / f"{database}.zarr"
    with open_lmdb(variant) as file, RegionWriter(path, region_dim=2) as regions:
        for name, raw in file.items():
            boxes = unpack_array(unpack(raw, where=name)["norm_bb"], where=name).astype(np.float32)
            boxes = boxes[: counts.get(name, OBJECTS)]
            regions.append(name.removesuffix(".npz"), np.zeros((len(boxes), 2)), boxes)
        regions.publish()
    return path


VARIANTS = ("feat_th0.2_max100_min10", "feat_numbb100")


def tokens(data: PairDataset | ExampleDataset, index: int) -> list[int]:
    if isinstance(data, PairDataset):
        return data.sample(index).token_ids.tolist()
    words = data.example(index).texts[0].tolist()
    return [data.vocabulary.cls_id, *words, data.vocabulary.sep_id]


def test_pretraining_captions(
    tmp_path: Path, golden_dir: Path, databases: Path, uncased: Tokenizer, expected: dict[str, Any]
) -> None:
    regions = store_of(tmp_path, golden_dir, "coco_train2014")
    report = import_uniter_texts(
        tmp_path / "coco",
        files={"": [databases / "pretrain_coco_train.db"]},
        options=CaptionOptions(tokenizer=uncased, regions=[regions]),
    )
    wanted = expected["datasets"]["pretrain_mlm"]
    long = expected["texts"]["pretrain_coco_train.db"]["ids_dropped_by_max_txt_len_60"]
    assert report.splits["train"].left_out == ({"the sentence is too long": len(long)} if long else {})
    data = PairDataset.open(tmp_path / "coco", "train")
    assert data.vocabulary == uncased.vocabulary
    assert data.text_ids.tolist() == wanted["ids"]
    assert (data.text_lengths - 2 + data.region_lengths[data.image_rows]).tolist() == wanted["lens"]
    assert {name: tokens(data, row) for row, name in enumerate(wanted["ids"])} == wanted["tokens_with_cls_sep"]
    examples = expected["texts"]["pretrain_coco_train.db"]["examples"]
    assert [data.sentence(row) for row in range(len(data))] == [examples[name]["caption"] for name in wanted["ids"]]
    assert [source["name"] for source in data.texts.attributes["attributes"]["source"]] == [
        f"pretrain_coco_train.db/{name}" for name in ("data.mdb", "meta.json", "id2len.json")
    ]
    assert not verify(tmp_path / "coco")


def test_retrieval(
    tmp_path: Path, golden_dir: Path, databases: Path, uncased: Tokenizer, expected: dict[str, Any]
) -> None:
    regions = store_of(tmp_path, golden_dir, "flickr30k")
    folder = databases / "itm_flickr30k_train.db"
    options = CaptionOptions(tokenizer=uncased, regions=[regions])
    import_uniter_texts(tmp_path / "flickr", files={"val": [folder]}, options=options)
    data, wanted = PairDataset.open(tmp_path / "flickr", "val"), expected["datasets"]
    assert data.text_ids.tolist() == wanted["itm_rank"]["ids"]
    assert (data.text_lengths - 2 + data.region_lengths[data.image_rows]).tolist() == wanted["itm_rank"]["lens"]
    # the lists of images and of their texts, in their order, are those of the released side file
    listed: dict[str, list[str]] = {}
    for name, image in zip(data.text_ids.tolist(), data.texts.image_ids.tolist(), strict=True):
        listed.setdefault(f"{image}.npz", []).append(name)
    assert list(listed.items()) == list(json.loads((folder / "img2txts.json").read_text()).items())
    images = list(listed)
    kept = {
        f"{image}.npz": int(count)
        for image, count in zip(data.regions.image_ids.tolist(), data.region_lengths, strict=True)
    }
    ascending = sorted(images, key=kept.__getitem__)
    assert ascending == wanted["itm_eval"]["image_order"]
    assert [kept[image] for image in ascending] == wanted["itm_eval"]["nbb"]
    size = wanted["itm_val"]["mini_batch_size"]
    for text, image in zip(data.text_ids.tolist(), data.texts.image_ids.tolist(), strict=True):
        place = images.index(f"{image}.npz")
        assert (images[place:] + images)[:size] == wanted["itm_val"]["per_text"][text]


def test_vqa(tmp_path: Path, golden_dir: Path, databases: Path, uncased: Tokenizer, expected: dict[str, Any]) -> None:
    regions = store_of(tmp_path, golden_dir, "coco_train2014")
    answers = golden_dir / "lmdb" / "ans2label.json"
    folder = databases / "vqa_train.db"
    options = CaptionOptions(tokenizer=uncased, regions=[regions])
    with pytest.raises(ValueError, match=r"give ans2label.json of the released code with --answers"):
        import_uniter_texts(tmp_path / "vqa", files={"": [folder]}, options=options)
    import_uniter_texts(tmp_path / "vqa", files={"": [folder]}, answers=answers, options=options)
    data, wanted = ExampleDataset.open(tmp_path / "vqa", "train"), expected["datasets"]["vqa"]
    check_order(data, wanted)
    check_tokens(data, expected["texts"]["vqa_train.db"]["examples"])
    assert data.labelled
    numbers = json.loads(answers.read_text())
    worth = {0: 0.0, 1: 0.3, 2: 0.6, 3: 0.9, 4: 1.0}
    for name, annotation in zip(data.example_ids.tolist(), data.annotations(), strict=True):
        said = annotation["answers"]
        assert len(said) == 10
        found = {str(numbers[answer]): worth[said.count(answer)] for answer in set(said) - {""}}
        assert found == pytest.approx(wanted["targets"][name])
    assert not verify_examples(tmp_path / "vqa")


def test_visual_entailment(
    tmp_path: Path, golden_dir: Path, databases: Path, uncased: Tokenizer, expected: dict[str, Any]
) -> None:
    regions = store_of(tmp_path, golden_dir, "flickr30k")
    options = CaptionOptions(tokenizer=uncased, regions=[regions])
    import_uniter_texts(tmp_path / "ve", files={"": [databases / "ve_train.db"]}, options=options)
    data, wanted = ExampleDataset.open(tmp_path / "ve", "train"), expected["datasets"]["ve"]
    check_order(data, wanted)
    check_tokens(data, expected["texts"]["ve_train.db"]["examples"])
    labels = ("contradiction", "entailment", "neutral")
    found = [[float(label == name) for name in labels] for label in (a["label"] for a in data.annotations())]
    assert found == [wanted["targets"][name] for name in data.example_ids.tolist()]


def test_nlvr2(tmp_path: Path, golden_dir: Path, databases: Path, uncased: Tokenizer, expected: dict[str, Any]) -> None:
    regions = store_of(tmp_path, golden_dir, "nlvr2_train")
    options = CaptionOptions(tokenizer=uncased, regions=[regions])
    import_uniter_texts(tmp_path / "nlvr2", files={"": [databases / "nlvr2_train.db"]}, options=options)
    data, wanted = ExampleDataset.open(tmp_path / "nlvr2", "train"), expected["datasets"]
    assert data.example_ids.tolist() == list(wanted["nlvr2_paired"]["examples"])
    lengths = data.text_lengths[:, 0]
    assert (2 * lengths + data.region_lengths.sum(1)).tolist() == wanted["nlvr2_paired"]["lens"]
    assert (lengths + data.region_lengths.sum(1)).tolist() == wanted["nlvr2_triplet"]["lens"]
    for row, (name, example) in enumerate(wanted["nlvr2_paired"]["examples"].items()):
        assert tokens(data, row) == example["input_ids"], name
        assert data.region_lengths[row].tolist() == example["num_bb"]
    assert [annotation["label"] for annotation in data.annotations()] == [
        bool(example["target"]) for example in wanted["nlvr2_paired"]["examples"].values()
    ]


@pytest.mark.parametrize(("boxes", "images"), [("ground-truth", "re_coco_gt"), ("detected", "re_coco_det")])
def test_referring_expressions(
    boxes: str,
    images: str,
    tmp_path: Path,
    golden_dir: Path,
    databases: Path,
    uncased: Tokenizer,
    expected: dict[str, Any],
) -> None:
    regions = store_of(tmp_path, golden_dir, images)
    options = CaptionOptions(tokenizer=uncased, regions=[regions])
    import_uniter_texts(
        tmp_path / "refcoco", files={"": [databases / "refcoco_train.db"]}, boxes=boxes, options=options
    )
    data, wanted = ExampleDataset.open(tmp_path / "refcoco", "train"), expected["datasets"]
    assert data.name == "refcoco"
    assert data.example_ids.tolist() == wanted["re_train_gt"]["ids_in_official_order"]
    for row, (name, annotation) in enumerate(zip(data.example_ids.tolist(), data.annotations(), strict=True)):
        example = wanted["re_train_gt"]["examples"][name]
        shown = wanted["re_eval_gt" if boxes == "ground-truth" else "re_eval_det"][name]
        assert tokens(data, row) == example["input_ids"]
        assert annotation["box"] == pytest.approx(shown["tgt_box_xywh"])
        width, height = annotation["size"]
        places = data.boxes([row])[0]
        assert [len(places), 4] == shown["obj_boxes_shape"]
        in_pixels = places[0, [0, 1, 4, 5]] * [width, height, width, height]
        assert in_pixels == pytest.approx(shown["obj_boxes_row0_xywh"], abs=1e-3)
        if boxes == "ground-truth":
            assert (annotation["target"], len(places)) == (example["target_index"], example["num_bb"])


def test_vcr(tmp_path: Path, golden_dir: Path, databases: Path, expected: dict[str, Any]) -> None:
    detected, objects = (store_of(tmp_path, golden_dir, name) for name in ("vcr_train", "vcr_gt_train"))
    recorded = expected["texts"]["vcr_train.db"]
    plain = cased(tmp_path, recorded["meta"])
    import_uniter_texts(
        tmp_path / "vcr",
        files={"": [databases / "vcr_train.db"]},
        objects=[objects],
        options=CaptionOptions(tokenizer=plain, regions=[detected]),
    )
    data, wanted = ExampleDataset.open(tmp_path / "vcr", "train"), expected["datasets"]
    # 81 pieces more, from which no random word is drawn
    assert data.vocabulary.size == plain.vocabulary.size + 81
    assert data.vocabulary.random_range == tuple(recorded["meta"]["v_range"])
    assert data.example_ids.tolist() == list(wanted["vcr_qa"]["examples"])
    for row, name in enumerate(data.example_ids.tolist()):
        example, record = data.example(row), recorded["examples"][name]
        found = [text.tolist() for text in example.texts]
        assert found == [record["input_ids"], *record["input_ids_as"], *record["input_ids_rs"]]
        assert example.annotation["answer_label"] == record["qa_target"]
        assert example.annotation["rationale_label"] == record["qar_target"]
        assert data.region_lengths[row].tolist() == [wanted["vcr_qa"]["examples"][name]["num_bb"]]
        # annotated objects first
        gold = RegionStore(objects).read(
            RegionStore(objects).find([str(data.store.region_ids(0)[data.store.images[row, 0]])])
        )
        assert example.images[0].boxes[: len(gold[0].boxes)].numpy() == pytest.approx(gold[0].boxes)
    assert not verify_examples(tmp_path / "vcr")


def check_order(data: ExampleDataset, wanted: dict[str, Any]) -> None:
    assert data.example_ids.tolist() == wanted["ids"]
    assert (data.text_lengths[:, 0] + data.region_lengths[:, 0]).tolist() == wanted["lens"]


def check_tokens(data: ExampleDataset, examples: dict[str, Any]) -> None:
    for row, name in enumerate(data.example_ids.tolist()):
        assert tokens(data, row)[1:-1] == examples[name]["input_ids"]
