"""Each task's importer: what its files and region stores hold comes back joined, as the task wants it."""

import json
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uniter_data import PairDataset, RegionStore, RegionWriter, dataset_splits
from uniter_data.examples import (
    ExampleDataset,
    ImportOptions,
    import_karpathy,
    import_refcoco,
    import_snli_ve,
    import_vcr,
    import_vqa,
    task_splits,
)

DIM = 4  # of the stores that `make_store` makes

MakeStore = Callable[..., Path]
Refused = Callable[..., None]


def save(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def save_lines(path: Path, records: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def vqa_files(folder: Path, subset: str, numbers: Iterable[int], *, answered: bool = True) -> tuple[Path, Path]:
    numbers = list(numbers)
    questions = [{"question_id": n, "question": f"how many? {n}", "image_id": n // 10} for n in numbers]
    answers = [
        {
            "question_id": n,
            "question_type": "how many",
            "answer_type": "number",
            "answers": [{"answer": str(n)}] * 10,
            "image_id": n // 10,
        }
        for n in reversed(numbers)
    ]
    return (
        save(folder / f"{subset}_questions.json", {"questions": questions, "data_subtype": subset}),
        save(folder / f"{subset}_annotations.json", {"annotations": answers, "data_subtype": subset}),
    )


def test_vqa_takes_several_files_and_genome_into_one_split(tmp_path: Path, make_store: MakeStore) -> None:
    train, val = vqa_files(tmp_path, "train2014", range(20)), vqa_files(tmp_path, "val2014", range(500, 510))
    test = vqa_files(tmp_path, "test-dev2015", [900])
    qas = [{"qa_id": 3, "image_id": 77, "question": "What colour?", "answer": "Green."}]
    genome = save(tmp_path / "question_answers.json", [{"id": 77, "qas": qas}])
    stores = [
        make_store(tmp_path / "train.zarr", {f"coco_train2014_{n:012d}": n + 1 for n in (0, 1)}),
        make_store(tmp_path / "val.zarr", {f"COCO_val2014_{n:012d}.npz": 7 for n in (50,)}, seed=1),
        make_store(tmp_path / "test.zarr", {f"COCO_test2015_{n:012d}": 3 for n in (90,)}, seed=2),
        make_store(tmp_path / "vg.zarr", {"77": 5}, seed=3),
    ]
    report = import_vqa(
        tmp_path / "vqa",
        questions={"train": [train[0], val[0]], "": [test[0]]},
        annotations={"train": [train[1], val[1]]},
        genome={"": [genome]},
        regions=stores,
    )
    assert {split: part.examples for split, part in report.splits.items()} == {"train": 31, "test-dev": 1}
    data = ExampleDataset.open(tmp_path / "vqa", "train")
    assert data.labelled
    assert data.region_lengths[:, 0].tolist() == [2] * 10 + [1] * 10 + [7] * 10 + [5]
    # the regions are those of the right store, also when a batch mixes them
    for example in data.examples([30, 0, 25, 12]):
        name = {"vg-3": "77"}.get(example.id)
        store = RegionStore(stores[3 if name else 1 if int(example.id) >= 500 else 0])
        image = int(example.annotation["question_id"]) // 10
        row = store.find([name or (f"coco_train2014_{image:012d}" if image < 50 else f"COCO_val2014_{image:012d}.npz")])
        np.testing.assert_array_equal(example.images[0].features.numpy(), store.read(row)[0].features)
    assert data.example(30).annotation == {
        "question_id": 3,
        "question": "What colour?",
        "question_type": "visual genome",
        "answer_type": "other",
        "answers": ["Green."] * 10,
    }
    assert data.example(0).annotation["answers"] == ["19"] * 10
    unlabelled = ExampleDataset.open(tmp_path / "vqa", "test-dev")
    assert not unlabelled.labelled
    assert unlabelled.example(0).images[0].id == "COCO_test2015_000000000090"


def test_vqa_wants_annotations_for_each_file_of_a_split_or_for_none(
    tmp_path: Path, make_store: MakeStore, refused: Refused
) -> None:
    train, val = vqa_files(tmp_path, "train2014", [1]), vqa_files(tmp_path, "val2014", [11])
    store = make_store(tmp_path / "r.zarr", {"0": 1, "1": 1})
    refused(
        lambda: import_vqa(
            tmp_path / "out",
            questions={"train": [train[0], val[0]]},
            annotations={"train": [train[1]]},
            regions=[store],
        ),
        "split 'train': 2 files of questions and 1 of annotations",
    )
    import_vqa(
        tmp_path / "out", questions={"": [train[0], val[0]]}, annotations={"": [train[1], val[1]]}, regions=[store]
    )
    assert task_splits(tmp_path / "out") == ["train", "val"]
    nameless = save(tmp_path / "q.json", {"questions": [{"question_id": 1, "question": "?", "image_id": 1}]})
    refused(
        lambda: import_vqa(tmp_path / "other", questions={"": [nameless]}, regions=[store]),
        "q.json does not say its data_subtype",
    )


def test_snli_ve_leaves_out_what_nobody_agreed_on(tmp_path: Path, make_store: MakeStore) -> None:
    lines = [
        {"pairID": f"{n}", "sentence2": "ein Satz – ☃", "Flickr30K_ID": "17", "gold_label": label}
        for n, label in enumerate(("entailment", "-", "contradiction"))
    ]
    path = save_lines(tmp_path / "snli_ve_dev.jsonl", lines)
    store = make_store(tmp_path / "r.zarr", {"flickr30k_000000000017.npz": 3})
    report = import_snli_ve(tmp_path / "out", files={"": [path]}, regions=[store])
    assert report.splits["val"].left_out == {"its annotators did not agree": 1}
    data = ExampleDataset.open(tmp_path / "out", "val")
    assert [a["label"] for a in data.annotations()] == ["entailment", "contradiction"]
    assert data.example(0).annotation == {"pair_id": "0", "sentence": "ein Satz – ☃", "label": "entailment"}


def vcr_file(folder: Path) -> Path:
    record = {
        "objects": ["person", "dog"],
        "img_fn": "film/scene_00.01.02@0.jpg",
        "question": ["Why", "is", [0], "here", "?"],
        "answer_choices": [["a", [1]], ["b"], ["c"], ["d"]],
        "rationale_choices": [["e"], ["f"], ["g"], ["h", [0, 1]]],
        "answer_label": 2,
        "rationale_label": 3,
        "annot_id": "train-0",
    }
    return save_lines(folder / "train.jsonl", [record])


@pytest.mark.parametrize(("tags", "people"), [("names", ["Casey", "dog"]), ("regions", ["person 1", "dog 2"])])
def test_vcr_has_nine_texts_and_the_objects_regions_first(
    tmp_path: Path, tags: str, people: list[str], make_store: MakeStore
) -> None:
    detected = make_store(tmp_path / "det.zarr", {"vcr_scene_00.01.02@0": 3}, seed=1)
    objects = make_store(tmp_path / "gt.zarr", {"vcr_gt_scene_00.01.02@0": 2}, seed=2)
    import_vcr(tmp_path / "vcr", files={"": [vcr_file(tmp_path)]}, regions=[detected], objects=[objects], tags=tags)
    data = ExampleDataset.open(tmp_path / "vcr", "train")
    assert data.settings["tags"] == tags
    example = data.example(0)
    assert example.annotation == {
        "annot_id": "train-0", "answer_label": 2, "rationale_label": 3, "people": people
    }  # fmt: skip
    assert data.sentences(0) == (
        f"Why is {people[0]} here ?", f"a {people[1]}", "b", "c", "d", "e", "f", "g", f"h {people[0]} and {people[1]}"
    )  # fmt: skip
    assert data.text_lengths.shape == (1, 9)
    assert data.text_lengths[0].tolist() == [len(text) for text in example.texts]
    assert data.region_lengths.tolist() == [[5]]
    expected = [RegionStore(store).read([0])[0].features for store in (objects, detected)]
    np.testing.assert_array_equal(example.images[0].features.numpy(), np.concatenate(expected))


def test_vcr_refuses_other_tags_and_stores_that_do_not_fit_together(
    tmp_path: Path, make_store: MakeStore, refused: Refused
) -> None:
    files = {"": [vcr_file(tmp_path)]}
    detected = make_store(tmp_path / "det.zarr", {"scene_00.01.02@0": 3})
    refused(lambda: import_vcr(tmp_path / "o", files=files, regions=[detected], tags="x"), "names, regions, got 'x'")
    wide = make_store(tmp_path / "wide.zarr", {"scene_00.01.02@0": 3}, dim=DIM + 1)
    for stores in ({"objects": [wide], "regions": [detected]}, {"regions": [detected, wide]}):
        refused(
            lambda stores=stores: import_vcr(tmp_path / "o", files=files, **stores),
            "det.zarr", "wide.zarr", "feature width (", "one extractor",
        )  # fmt: skip
    missing = make_store(tmp_path / "gt.zarr", {"another": 1})
    refused(lambda: import_vcr(tmp_path / "o", files=files, regions=[detected], objects=[missing]), "has no regions")


# ---------------------------------------------------------------------------------------------------------------------


def refcoco_files(folder: Path) -> dict[str, Path]:
    boxes = {31: [64, 48, 128, 96], 32: [320, 240, 64, 48]}
    instances = {
        "images": [{"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "width": 640, "height": 480}],
        "annotations": [{"id": n, "image_id": 9, "category_id": 1, "bbox": box} for n, box in boxes.items()],
        "categories": [{"id": 1, "name": "person"}],
    }
    references = [
        {
            "ref_id": n,
            "ann_id": n,
            "image_id": 9,
            "split": split,
            "file_name": f"COCO_train2014_000000000009_{n}.jpg",
            "sentences": [{"sent": f"man {n} {k}", "raw": "", "tokens": [], "sent_id": 10 * n + k} for k in (0, 1)],
        }
        for n, split in ((31, "train"), (32, "testB"))
    ]
    path = folder / "refcoco+" / "refs(unc).p"
    save(folder / "refcoco+" / "instances.json", instances)
    path.write_bytes(pickle.dumps(references, protocol=2))
    return {"refs": path, "instances": folder / "refcoco+" / "instances.json"}


def box_store(path: Path, *boxes: tuple[float, float, float, float]) -> Path:
    corners = np.array(boxes)
    with RegionWriter(path, region_dim=DIM) as regions:
        regions.append(
            "visual_grounding_coco_gt_000000000009.npz",
            np.ones((len(boxes), DIM)),
            np.concatenate([corners, corners[:, 2:] - corners[:, :2]], axis=1),
        )
        return regions.publish()


def test_refcoco_finds_the_row_of_each_object(tmp_path: Path) -> None:
    store = box_store(tmp_path / "gt.zarr", (0.5, 0.5, 0.6, 0.6), (0.1, 0.1, 0.3, 0.3))
    report = import_refcoco(tmp_path / "out", **refcoco_files(tmp_path), regions=[store])
    assert list(report.splits) == ["train", "testB"]
    data = ExampleDataset.open(tmp_path / "out", "train")
    assert (data.task, data.name) == ("refexp", "refcoco+")
    assert data.example(1).annotation == {
        "sent_id": 311, "ref_id": 31, "expression": "man 31 1", "box": [64, 48, 128, 96], "size": [640, 480],
        "category": "person", "target": 1, "overlap": 1.0,
    }  # fmt: skip
    assert ExampleDataset.open(tmp_path / "out", "testB").example(0).annotation["target"] == 0


def test_refcoco_on_detected_boxes_may_have_no_target(tmp_path: Path, refused: Refused) -> None:
    # the first covers 0.6 of the object of 31, none covers that of 32
    store = box_store(tmp_path / "det.zarr", (0.1, 0.1, 0.3, 0.22), (0.8, 0.8, 0.9, 0.9))
    files = refcoco_files(tmp_path)
    refused(
        lambda: import_refcoco(tmp_path / "out", **files, regions=[store]),
        "refs(unc).p: sentence 310: no region is its object's box",
        "2 such records in split 'train'",
    )
    import_refcoco(tmp_path / "out", **files, regions=[store], boxes="detected")
    targets = {
        split: ExampleDataset.open(tmp_path / "out", split).example(0).annotation for split in ("train", "testB")
    }
    assert (targets["train"]["target"], targets["train"]["overlap"]) == (0, 0.6)
    assert (targets["testB"]["target"], targets["testB"]["overlap"]) == (-1, 0.0)
    refused(lambda: import_refcoco(tmp_path / "x", **files, regions=[store], boxes="gt"), "ground-truth, detected")


def test_karpathy_gives_ordinary_pairs_with_groups(tmp_path: Path, make_store: MakeStore, refused: Refused) -> None:
    def image(number: int, split: str, collection: str = "val2014") -> dict[str, Any]:
        sentences = [{"raw": f"caption {n} of {number}", "sentid": 10 * number + n} for n in range(5)]
        name = f"COCO_{collection}_{number:012d}.jpg"
        return {"filepath": collection, "filename": name, "split": split, "sentences": sentences, "cocoid": number}

    images = [image(1, "val"), image(2, "train", "train2014"), image(3, "restval"), image(4, "test"), image(5, "val")]
    path = save(tmp_path / "dataset_coco.json", {"images": images, "dataset": "coco"})
    train = make_store(tmp_path / "train.zarr", {"coco_train2014_000000000002": 2})
    val = make_store(tmp_path / "val.zarr", {f"coco_val2014_{n:012d}": n for n in (1, 3, 4, 5)})
    report = import_karpathy(tmp_path / "coco", file=path, regions=[train, val])
    assert dataset_splits(tmp_path / "coco") == ["train", "restval", "val", "test"]
    assert (report.splits["val"].examples, report.splits["val"].images) == (10, 2)
    pairs = PairDataset.open(tmp_path / "coco", "val")
    assert pairs.text_ids.tolist() == [str(n) for n in (*range(10, 15), *range(50, 55))]
    assert pairs.sentence(6) == "caption 1 of 5"
    assert [len(set(pairs.groups[:5].tolist())), len(set(pairs.groups.tolist()))] == [1, 2]
    assert pairs.sample(6).num_regions == 5
    refused(
        lambda: import_karpathy(tmp_path / "merged", file=path, regions=[train, val], merge_restval=True),
        "dataset_coco.json: images[", "of split 'train' has no regions in", "keep restval apart",
    )  # fmt: skip
    both = make_store(tmp_path / "both.zarr", {"2": 2, **{str(n): n for n in (1, 3, 4, 5)}})
    import_karpathy(tmp_path / "merged", file=path, regions=[both], merge_restval=True)
    assert dataset_splits(tmp_path / "merged") == ["train", "val", "test"]
    assert len(PairDataset.open(tmp_path / "merged", "train")) == 10
    some = make_store(tmp_path / "some.zarr", {"2": 2, "1": 1, "4": 1})
    skip = ImportOptions(skip_missing=True)
    refused(lambda: import_karpathy(tmp_path / "some", file=path, regions=[some], options=skip), "of split 'restval'")
    report = import_karpathy(tmp_path / "some", file=path, regions=[some], options=skip, merge_restval=True)
    assert report.splits["val"].left_out == {"its image has no regions": 1}
