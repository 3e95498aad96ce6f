"""Captions as their owners publish them: what is kept, what is counted, what is refused and in which words."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from uniter_data import PairDataset, TextStore, Tokenizer, UnitBatches, dataset_splits, read_manifest, verify
from uniter_data.examples import ImportOptions, import_karpathy
from uniter_data.extract.boxes import BoxFile
from uniter_data.importers.texts import (
    CaptionOptions,
    Columns,
    import_coco,
    import_conceptual_captions,
    import_genome,
    import_pictures,
    import_sbu,
)
from uniter_data.pictures import Pictures

MakeStore = Callable[..., Path]
Refused = Callable[..., None]


def save(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def draw(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), "red").save(folder / name)
    return folder


def texts_of(directory: Path, split: str = "train") -> dict[str, tuple[str, str]]:
    """Sentence and image of each text."""
    store = TextStore(directory / split / "texts.zarr")
    return dict(
        zip(store.text_ids.tolist(), zip(store.sentences.tolist(), store.image_ids.tolist(), strict=True), strict=True)
    )


def urls_of(directory: Path) -> dict[str, str]:
    lines = (directory / "urls.tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


# COCO -----------------------------------------------------------------------------------------------------------------


def coco_file(path: Path, numbers: Iterable[int], collection: str = "train2014") -> Path:
    images = [
        {
            "id": number,
            "file_name": f"COCO_{collection}_{number:012d}.jpg",
            "flickr_url": f"http://farm1.staticflickr.com/1/{number}_z.jpg",
            "coco_url": "http://images.cocodataset.org/x.jpg",
        }
        for number in numbers
    ]
    captions = [
        {"id": 10 * number + which, "image_id": number, "caption": f"A dog, number {which}\n"}
        for which in range(2)
        for number in numbers
    ]
    return save(path, {"info": {}, "images": images, "licenses": [], "annotations": captions})


def test_coco_over_stores_of_each_split(tmp_path: Path, make_store: MakeStore, refused: Refused) -> None:
    train = coco_file(tmp_path / "captions_train2014.json", [9, 25])
    val = coco_file(tmp_path / "captions_val2014.json", [42], "val2014")
    stores = [
        make_store(tmp_path / "val.zarr", {"COCO_val2014_000000000042": 2}),
        make_store(
            tmp_path / "train.zarr", {"coco_train2014_000000000009.npz": 2, "coco_train2014_000000000025.npz": 1}
        ),
    ]
    report = import_coco(tmp_path / "coco", files={"": [train, val]}, options=CaptionOptions(regions=stores))
    assert dataset_splits(tmp_path / "coco") == ["train", "val"]
    assert "train    4 examples, 2 images" in str(report)
    assert texts_of(tmp_path / "coco")["90"] == ("A dog, number 0\n", "coco_train2014_000000000009.npz")
    assert read_manifest(tmp_path / "coco").splits["val"].regions == "../val.zarr"
    assert urls_of(tmp_path / "coco")["COCO_val2014_000000000042"].endswith("/42_z.jpg")
    assert len(PairDataset.open(tmp_path / "coco", "train")) == 4
    assert not verify(tmp_path / "coco")
    refused(
        lambda: import_coco(tmp_path / "joined", files={"train": [train, val]}, options=CaptionOptions(regions=stores)),
        "captions_val2014.json: annotations[0]: image 'COCO_val2014_000000000042': its image has no regions in",
        "import what lies in several stores as several data sets",
    )
    assert not (tmp_path / "joined").exists()


def test_coco_instances_become_boxes_to_extract(tmp_path: Path, make_store: MakeStore, refused: Refused) -> None:
    file = coco_file(tmp_path / "captions_train2017.json", [9, 25])
    things = [
        {"id": 1, "image_id": 9, "category_id": 18, "bbox": [10, 10, 20, 20]},
        {"id": 2, "image_id": 9, "category_id": 3, "bbox": [90, 0, 50, 25]},
        {"id": 3, "image_id": 25, "category_id": 3, "bbox": [5, 5, 0, 9]},
    ]
    instances = save(
        tmp_path / "instances_train2017.json",
        {
            "images": [
                {"id": number, "width": 100, "height": 50, "file_name": f"COCO_train2014_{number:012d}.jpg"}
                for number in (9, 25, 30)
            ],
            "annotations": things,
            "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
        },
    )
    # the pictures of 2017 are called by their numbers
    pictures = draw(tmp_path / "train2017", "000000000009.jpg", "000000000025.jpg")
    import_coco(
        tmp_path / "coco", files={"": [file]}, instances=[instances], options=CaptionOptions(pictures={"": pictures})
    )
    boxes = BoxFile(tmp_path / "coco" / "regions.boxes.jsonl")
    assert boxes.class_names == ("background", "car", "dog")
    assert boxes.pictures == pictures
    rows = {row.image: row for row in boxes}
    assert list(rows) == ["000000000009", "000000000025"]
    assert rows["000000000009"].boxes == [[0.1, 0.2, 0.3, 0.6], [0.9, 0.0, 1.0, 0.5]]
    assert rows["000000000009"].classes == [2, 1]
    assert rows["000000000025"].boxes == []
    store = make_store(tmp_path / "regions.zarr", {"000000000009": 1})
    refused(
        lambda: import_coco(
            tmp_path / "x", files={"": [file]}, instances=[instances], options=CaptionOptions(regions=[store])
        ),
        "instances: expected none",
    )


def test_coco_records_that_are_wrong(tmp_path: Path, make_store: MakeStore, refused: Refused) -> None:
    good = {"id": 1, "image_id": 9, "caption": "A dog."}
    images = [{"id": 9, "file_name": "COCO_train2014_000000000009.jpg"}]
    wrong: list[tuple[Any, str]] = [
        ({"id": 2, "image_id": 10, "caption": "x"}, "annotations[1]: image_id: expected a picture of the file's list"),
        ({"id": "2", "image_id": 9, "caption": "x"}, "annotations[1]: id: expected a whole number"),
        ({"id": 2, "image_id": 9, "caption": None}, "annotations[1]: caption: expected a string, got nothing"),
        ([1], "annotations[1]: expected an object"),
    ]
    options = CaptionOptions(regions=[make_store(tmp_path / "r.zarr", {"9": 1})])
    for number, (record, said) in enumerate(wrong):
        file = save(tmp_path / f"{number}_train2014.json", {"images": images, "annotations": [good, record]})
        refused(lambda file=file: import_coco(tmp_path / "out", files={"": [file]}, options=options), file.name, said)
        lenient = CaptionOptions(regions=options.regions, skip_damaged=True)
        report = import_coco(tmp_path / f"out{number}", files={"": [file]}, options=lenient)
        assert "1 damaged records left out, listed in damaged.txt" in str(report)
        assert said in (tmp_path / f"out{number}" / "damaged.txt").read_text(encoding="utf-8")
        assert list(texts_of(tmp_path / f"out{number}")) == ["1"]
    double = save(tmp_path / "d_train.json", {"images": images, "annotations": [good, good]})
    refused(
        lambda: import_coco(tmp_path / "out", files={"": [double]}, options=options),
        "annotations[1]: '1' comes twice in split 'train'",
    )
    other = save(tmp_path / "instances_train.json", {"images": images, "annotations": [{"bbox": [], "category_id": 1}]})
    refused(
        lambda: import_coco(tmp_path / "out", files={"": [other]}, options=options),
        "is not a file of COCO captions: it looks like COCO instances",
    )
    refused(lambda: import_coco(tmp_path / "out", files={"": [tmp_path / "no_train.json"]}, options=options), "cannot")
    refused(lambda: import_coco(tmp_path / "out", files={"": [double]}), "give --regions or --pictures")


# Visual Genome --------------------------------------------------------------------------------------------------------


def test_genome_keeps_each_phrase_of_a_picture_once(tmp_path: Path, make_store: MakeStore, refused: Refused) -> None:
    def region(number: int, phrase: Any) -> dict[str, Any]:
        return {"region_id": number, "phrase": phrase, "x": 1, "y": 2, "width": 3, "height": 4, "image_id": 1}

    phrases = ["a red  Ball", "A red ball", " ", "the sky", "a " + "very " * 80 + "long ball"]
    file = save(
        tmp_path / "region_descriptions.json",
        [
            {"id": 1, "regions": [region(number, phrase) for number, phrase in enumerate(phrases)]},
            {"id": 2, "regions": [region(10, "the sky")]},
            {"id": 3, "regions": []},
        ],
    )
    store = make_store(tmp_path / "vg.zarr", {"vg_000000000001.npz": 1, "2": 3})
    report = import_genome(tmp_path / "vg", files=[file], options=CaptionOptions(regions=[store]))
    assert texts_of(tmp_path / "vg") == {
        "0": ("a red  Ball", "vg_000000000001.npz"),
        "3": ("the sky", "vg_000000000001.npz"),
        "10": ("the sky", "2"),
    }
    assert report.splits["train"].left_out == {
        "its picture has the phrase already": 1,
        "the sentence is empty": 1,
        "the sentence is too long": 1,
    }
    cut = CaptionOptions(regions=[store], truncate=True, max_tokens=3)
    report = import_genome(tmp_path / "cut", files=[file], options=cut)
    assert report.splits["train"].truncated == 1
    assert PairDataset.open(tmp_path / "cut", "train").text_lengths.max() == 5
    damaged = save(tmp_path / "bad.json", [{"id": 1, "regions": [region(0, "a ball"), region(1, None)]}])
    refused(
        lambda: import_genome(tmp_path / "x", files=[damaged], options=CaptionOptions(regions=[store])),
        "bad.json: [0]: regions[1]: phrase: expected a string",
    )
    questions = save(tmp_path / "question_answers.json", [{"id": 1, "qas": []}])
    refused(
        lambda: import_genome(tmp_path / "x", files=[questions], options=CaptionOptions(regions=[store])),
        "is not Visual Genome's region_descriptions.json: it looks like Visual Genome's question_answers.json",
    )


# the web --------------------------------------------------------------------------------------------------------------


def test_conceptual_captions_of_what_could_be_downloaded(tmp_path: Path, refused: Refused) -> None:
    file = tmp_path / "Train_GCC-training.tsv"
    rows = [f'a "quoted dog {number}\thttp://web.org/{number}.jpg' for number in range(4)]
    file.write_bytes("\r\n".join(rows).encode("utf-8-sig"))
    pictures = draw(tmp_path / "gcc", "00000/000000000.jpg", "00000/000000003.png")
    (tmp_path / "gcc" / "00000" / "000000001.json").write_text("{}")
    options = CaptionOptions(pictures={"": pictures})
    report = import_conceptual_captions(tmp_path / "cc", files={"": [file]}, options=options)
    assert texts_of(tmp_path / "cc") == {
        "0": ('a "quoted dog 0', "000000000"),
        "3": ('a "quoted dog 3', "000000003"),
    }
    assert report.splits["train"].left_out == {"its picture is missing": 2}
    assert urls_of(tmp_path / "cc") == {f"{n:09d}": f"http://web.org/{n}.jpg" for n in (0, 3)}
    assert report.waits
    manifest = tmp_path / "manifest.tsv"
    lines = ["http://web.org/2.jpg\tabc.jpg", "000000003.png\thttp://web.org/1.jpg"]
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw(pictures, "abc.jpg")
    report = import_conceptual_captions(tmp_path / "by", files={"": [file]}, manifest=manifest, options=options)
    assert texts_of(tmp_path / "by") == {"1": ('a "quoted dog 1', "000000003"), "2": ('a "quoted dog 2', "abc")}
    with file.open("ab") as more:
        more.write(b"\r\nno tab here\r\n\xff\xfe\thttp://web.org/5.jpg\r\nno url\tx\r\na cat\thttp://web.org/7.jpg")
    refused(
        lambda: import_conceptual_captions(tmp_path / "x", files={"": [file]}, options=options),
        "Train_GCC-training.tsv:5: expected a sentence, a tab and a URL, got 'no tab here'",
    )
    draw(pictures, "7.jpg")
    lenient = CaptionOptions(pictures={"": pictures}, skip_damaged=True)
    report = import_conceptual_captions(tmp_path / "len", files={"": [file]}, options=lenient)
    # damaged rows keep their numbers
    assert list(texts_of(tmp_path / "len")) == ["0", "3", "7"]
    assert [problem.split(": ")[0].rsplit(":")[-1] for problem in report.damaged] == ["5", "6", "7"]
    assert "not UTF-8" in report.damaged[1]


def test_the_rows_of_one_file_number_the_pictures(tmp_path: Path, refused: Refused) -> None:
    refused(
        lambda: import_conceptual_captions(tmp_path / "cc", files={"train": ["a.tsv", "b.tsv"]}),
        "split 'train': expected one file, its rows number the pictures, got 2",
    )


def test_namesakes_of_two_folders_have_no_common_urls(tmp_path: Path, refused: Refused) -> None:
    folders = {split: draw(tmp_path / split, "0.jpg", "1.jpg") for split in ("train", "val")}
    for name in ("Train_GCC-training.tsv", "Validation_GCC-1.1.0-Validation.tsv"):
        (tmp_path / name).write_text("a dog\thttp://web.org/a.jpg\na cat\thttp://web.org/b.jpg\n")
    files = {"": sorted(tmp_path.glob("*.tsv"))}
    refused(
        lambda: import_conceptual_captions(tmp_path / "cc", files=files, options=CaptionOptions(pictures=folders)),
        "splits 'train' and 'val' have 2 pictures of the same names",
        "--val-share",
    )


def test_sbu_in_its_three_forms(tmp_path: Path, refused: Refused) -> None:
    sentences = ["My dog.", "Der große Hund", "a third"]
    urls = [f"http://static.flickr.com/1/{number}_a.jpg" for number in range(3)]
    pictures = draw(tmp_path / "sbu", "0.jpg", "2.jpg")
    options = CaptionOptions(pictures={"": pictures})
    (tmp_path / "urls.txt").write_text("\n".join(urls) + "\n", encoding="utf-8")
    (tmp_path / "captions.txt").write_text("\n".join(sentences) + "\n", encoding="utf-8")
    both = save(tmp_path / "sbu-captions-all.json", {"image_urls": urls, "user_ids": ["u"] * 3, "captions": sentences})
    table = tmp_path / "sbu.tsv"
    table.write_text("".join(f"{s}\t{u}\n" for s, u in zip(sentences, urls, strict=True)), encoding="utf-8")
    for number, files in enumerate(([tmp_path / "urls.txt", tmp_path / "captions.txt"], [both], [table])):
        out = tmp_path / f"sbu-{number}"
        report = import_sbu(out, files=files, options=options)
        assert texts_of(out) == {"0": ("My dog.", "0"), "2": ("a third", "2")}
        assert urls_of(out) == {"0": urls[0], "2": urls[2]}
        assert report.splits["train"].left_out == {"its picture is missing": 1}
    (tmp_path / "captions.txt").write_text("My dog.\n", encoding="utf-8")
    refused(
        lambda: import_sbu(tmp_path / "x", files=[tmp_path / "urls.txt", tmp_path / "captions.txt"], options=options),
        "urls.txt:2:",
        "captions.txt ends before it",
    )
    uneven = save(tmp_path / "uneven.json", {"image_urls": urls, "captions": sentences[:2]})
    refused(
        lambda: import_sbu(tmp_path / "x", files=[uneven], options=options),
        "uneven.json: captions[2]: expected as many image_urls as captions",
    )
    null = save(tmp_path / "null.json", {"image_urls": urls, "captions": [None, *sentences[1:]]})
    refused(lambda: import_sbu(tmp_path / "x", files=[null], options=options), "captions[0]: expected two strings")
    refused(lambda: import_sbu(tmp_path / "x", files=[both] * 3, options=options), "got 3 files")


# one's own ------------------------------------------------------------------------------------------------------------


def test_pictures_and_a_table(tmp_path: Path, refused: Refused) -> None:
    pictures = draw(tmp_path / "pictures", "a/dog.jpg", "cat.one.png", "bird.jpg", "fish.jpg")
    table = tmp_path / "captions.csv"
    table.write_bytes(
        '\ufefffile,text,part\r\na/dog.jpg,"A ""big"" dog,\nasleep",train\r\ncat.one,A cat,dev\r\n\r\n'
        "bird.jpg,  ,train\r\n./fish.jpg,ein Fisch für alle,training\r\n".encode()
    )
    columns = Columns(image="file", caption="text", split="part")
    options = CaptionOptions(pictures={"": pictures})
    report = import_pictures(tmp_path / "mine", files={"": [table]}, columns=columns, name="mine", options=options)
    assert texts_of(tmp_path / "mine") == {
        "1-3": ('A "big" dog,\nasleep', "dog"),
        "1-7": ("ein Fisch für alle", "fish"),
    }
    assert texts_of(tmp_path / "mine", "val") == {"1-4": ("A cat", "cat.one")}
    assert report.splits["train"].left_out == {"the sentence is empty": 1}
    manifest = read_manifest(tmp_path / "mine")
    assert manifest.name == "mine"
    # both splits' pictures lie in one folder: one store will have them all
    assert {split.regions for split in manifest.splits.values()} == {"regions.zarr"}
    folder = (tmp_path / "mine" / manifest.splits["val"].pictures).resolve()
    assert Pictures(folder).open("cat.one") is not None
    assert not (tmp_path / "mine" / "urls.tsv").exists()
    refused(
        lambda: import_pictures(tmp_path / "x", files={"": [table]}, options=options),
        "captions.csv: expected a header with 'image', 'caption', got ['file', 'text', 'part']",
    )


def test_pictures_and_json_lines_of_several_files(tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store(tmp_path / "r.zarr", {"dog": 2, "cat": 1})
    one, two = tmp_path / "train.jsonl", tmp_path / "val.tsv"
    lines = [{"image": "x/dog.jpg", "caption": "a dog", "url": "http://a.org/d"}, {"image": "dog", "caption": "it"}]
    one.write_text("".join(json.dumps(line | {"url": "http://a.org/d"}) + "\n\n" for line in lines), encoding="utf-8")
    two.write_text('image\tcaption\ncat.png\t"a cat\n', encoding="utf-8")
    options = CaptionOptions(regions=[store])
    import_pictures(tmp_path / "mine", files={"": [one], "val": [two]}, options=options)
    assert texts_of(tmp_path / "mine") == {"1-1": ("a dog", "dog"), "1-3": ("it", "dog")}
    assert texts_of(tmp_path / "mine", "val") == {"2-2": ('"a cat', "cat")}
    assert (tmp_path / "mine" / "urls.tsv").read_text() == "dog\thttp://a.org/d\n"
    assert len(PairDataset.open(tmp_path / "mine", "val")) == 1


def test_rows_that_are_wrong(tmp_path: Path, refused: Refused) -> None:
    pictures = draw(tmp_path / "p", "dog.jpg")
    options = CaptionOptions(pictures={"": pictures})
    wrong = {
        "a.csv": (b"dog.jpg,a,b\n", "a.csv:3: expected 2 fields, got 3"),
        "b.csv": (b'dog.jpg,"a"b\n', "b.csv:3: not CSV"),
        "c.csv": (b"dog.jpg,a \xe9\n", "c.csv:3: caption: not UTF-8 text"),
        "d.csv": (b",a\n", "d.csv:3: image: expected a string that is not empty"),
        "e.tsv": (b"dog.jpg\n", "e.tsv:3: expected 2 fields, got 1"),
        "f.tsv": (b"dog.jpg\t\xff\n", "f.tsv:3: not UTF-8 text"),
        "g.jsonl": (b'{"image": "dog.jpg", "caption": 3}\n', "g.jsonl:2: caption: expected a string, got 3"),
        "h.jsonl": (b"[" * 4000 + b"\n", "h.jsonl:2: expected a JSON object"),
        "i.jsonl": (b'{"image": "dog", "caption": "a", "split": "../x"}\n', "i.jsonl:2: split: expected a name of"),
        "l.jsonl": (
            b'{"image": "dog", "caption": "a", "url": "x\\ty"}\n',
            "l.jsonl:2: url: expected a URL, or nothing",
        ),
        "m.jsonl": (b'{"image": "dog", "caption": "a \\ud800"}\n', "m.jsonl:2: half a surrogate pair is no text"),
        "j.tsv": (b"x" * (2 << 20) + b"\n", "j.tsv:3: expected a line of at most 1048576 bytes"),
        "k.csv": (b'dog.jpg,"never closed\n', "k.csv:3: not CSV"),
    }
    for name, (row, said) in wrong.items():
        good = {
            ".csv": b"image,caption\ndog.jpg,a dog\n",
            ".tsv": b"image\tcaption\ndog.jpg\ta dog\n",
            ".jsonl": b'{"image": "dog.jpg", "caption": "a dog"}\n',
        }
        file = tmp_path / name
        file.write_bytes(good[file.suffix] + row)
        refused(lambda file=file: import_pictures(tmp_path / "x", files={"": [file]}, options=options), said)
        lenient = CaptionOptions(pictures={"": pictures}, skip_damaged=True)
        report = import_pictures(tmp_path / f"out-{name}", files={"": [file]}, options=lenient)
        assert len(report.damaged) == 1
        assert said in report.damaged[0]
        assert [sentence for sentence, _ in texts_of(tmp_path / f"out-{name}").values()] == ["a dog"]
    refused(
        lambda: import_pictures(tmp_path / "x", files={"": [tmp_path / "x.xlsx"]}, options=options),
        "cannot be read",
    )
    (tmp_path / "x.xlsx").write_bytes(b"")
    refused(
        lambda: import_pictures(tmp_path / "x", files={"": [tmp_path / "x.xlsx"]}, options=options),
        "expected a file of .csv, .tsv, .json, .jsonl, got '.xlsx'",
    )


def test_pictures_that_are_missing_or_double(tmp_path: Path, refused: Refused) -> None:
    pictures = draw(tmp_path / "p", "dog.jpg", "a/cat.jpg", "b/cat.png")
    file = tmp_path / "c.jsonl"
    file.write_text('{"image": "dog.jpg", "caption": "a dog"}\n{"image": "cow.jpg", "caption": "a cow"}\n')
    refused(
        lambda: import_pictures(tmp_path / "x", files={"": [file]}, options=CaptionOptions(pictures={"": pictures})),
        "c.jsonl:2: image 'cow': its picture is missing in",
        "--skip-missing",
    )
    lenient = CaptionOptions(pictures={"": pictures}, skip_missing=True)
    report = import_pictures(tmp_path / "mine", files={"": [file]}, options=lenient)
    assert report.splits["train"].left_out == {"its picture is missing": 1}
    file.write_text('{"image": "a/cat.jpg", "caption": "a cat"}\n')
    refused(
        lambda: import_pictures(tmp_path / "x", files={"": [file]}, options=lenient), "two pictures are called 'cat'"
    )
    file.write_text('{"image": "cow", "caption": "a cow"}\n')
    refused(
        lambda: import_pictures(tmp_path / "x", files={"": [file]}, options=lenient),
        "has none of its pictures, the first is 'cow'",
    )
    (tmp_path / "empty").mkdir()
    refused(
        lambda: import_pictures(
            tmp_path / "x", files={"": [file]}, options=CaptionOptions(pictures={"": tmp_path / "empty"})
        ),
        "has no picture (",
    )
    refused(
        lambda: import_pictures(
            tmp_path / "x", files={"": [file]}, options=CaptionOptions(pictures={"test": pictures})
        ),
        "split 'train': expected --regions or --pictures for it, got them for test",
    )


# all of them ----------------------------------------------------------------------------------------------------------


def test_val_share_parts_pictures_not_captions(tmp_path: Path, make_store: MakeStore, refused: Refused) -> None:
    store = make_store(tmp_path / "r.zarr", {str(number): 1 for number in range(200)})
    files = []
    for which in range(2):
        file = tmp_path / f"{which}.jsonl"
        rows = ({"image": f"{number}.jpg", "caption": f"dog {which}"} for number in range(200))
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files.append(file)
    options = CaptionOptions(regions=[store], val_share=0.2)
    import_pictures(tmp_path / "one", files={"": files}, options=options)
    sides = {split: {image for _, image in texts_of(tmp_path / "one", split).values()} for split in ("train", "val")}
    assert not sides["train"] & sides["val"]
    assert sum(map(len, sides.values())) == 200
    assert 20 <= len(sides["val"]) <= 60
    # the same pictures, whatever else the files hold
    import_pictures(tmp_path / "half", files={"": files[:1]}, options=options)
    assert {image for _, image in texts_of(tmp_path / "half", "val").values()} == sides["val"]
    refused(lambda: CaptionOptions(val_share=1.0), "val_share: expected a share from 0 to less than 1, got 1.0")


def test_the_best_store_is_chosen_and_the_image_name_can_be_said(tmp_path: Path, make_store: MakeStore) -> None:
    file = coco_file(tmp_path / "captions_train2014.json", [9, 25])
    stores = [
        make_store(tmp_path / "few.zarr", {"in-009": 1, "other": 1}),
        make_store(tmp_path / "all.zarr", {"in-009": 1, "in-025": 2, "empty": 0}),
    ]
    options = CaptionOptions(regions=stores, image_name="in-{number:03d}")
    import_coco(tmp_path / "coco", files={"": [file]}, options=options)
    assert read_manifest(tmp_path / "coco").splits["train"].regions == "../all.zarr"
    assert {image for _, image in texts_of(tmp_path / "coco").values()} == {"in-009", "in-025"}


def test_an_image_without_a_region_counts_as_missing(tmp_path: Path, make_store: MakeStore) -> None:
    file = coco_file(tmp_path / "captions_train2014.json", [9, 25])
    options = CaptionOptions(regions=[make_store(tmp_path / "r.zarr", {"9": 1, "25": 0})], skip_missing=True)
    report = import_coco(tmp_path / "coco", files={"": [file]}, options=options)
    assert report.splits["train"].left_out == {"its image has no regions": 2}
    assert len(PairDataset.open(tmp_path / "coco", "train")) == 2


def test_the_sources_are_kept_with_the_texts(tmp_path: Path, make_store: MakeStore, refused: Refused) -> None:
    file = coco_file(tmp_path / "captions_train2014.json", [9])
    tokenizer = Tokenizer.build(["a dog , number 0 1"])
    options = CaptionOptions(regions=[make_store(tmp_path / "r.zarr", {"9": 1})], tokenizer=tokenizer)
    import_coco(tmp_path / "coco", files={"": [file]}, options=options)
    (source,) = TextStore(tmp_path / "coco" / "train" / "texts.zarr").attributes["attributes"]["source"]
    assert source["name"] == file.name
    assert source["bytes"] == file.stat().st_size
    assert PairDataset.open(tmp_path / "coco", "train").vocabulary == tokenizer.vocabulary
    refused(lambda: import_coco(tmp_path / "coco", files={"": [file]}, options=options), "exists already")


def test_a_sentence_without_word_pieces_is_counted(tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store(tmp_path / "r.zarr", {"dog": 1})
    file = tmp_path / "c.jsonl"
    file.write_text("".join(json.dumps({"image": "dog", "caption": text}) + "\n" for text in ("a dog", "\u200b\u0007")))
    report = import_pictures(tmp_path / "mine", files={"": [file]}, options=CaptionOptions(regions=[store]))
    assert report.splits["train"].left_out == {"the sentence is empty": 1}


def test_karpathys_splits_serve_pre_training(tmp_path: Path, make_store: MakeStore) -> None:
    images = [
        {
            "filename": f"{number}.jpg",
            "split": "train",
            "sentences": [{"sentid": 2 * number + which, "raw": f"dog {which}"} for which in range(2)],
        }
        for number in range(4)
    ]
    file = save(tmp_path / "dataset_flickr30k.json", {"images": images})
    store = make_store(tmp_path / "f.zarr", {str(number): 2 for number in range(4)})
    import_karpathy(tmp_path / "flickr", file=file, regions=[store], options=ImportOptions())
    data = PairDataset.open(tmp_path / "flickr", "train")
    batch = next(iter(UnitBatches(data, units=60, seed=0, mismatch_probability=0.5).epoch(0)))
    shown = data.samples(batch.parts[0], image_rows=batch.image_rows[0], matched=batch.matched[0])
    assert all(
        sample.matched == (data.image_rows[row] == image)
        for sample, row, image in zip(shown, batch.parts[0].tolist(), batch.image_rows[0].tolist(), strict=True)
    )
    assert np.ptp(data.text_lengths) == 0
