"""Damaged and interrupted imports of sentences: an error that names the place, or a counted skip; the same data set."""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lz4.frame
import msgpack
import numpy as np
import pytest

from uniter_data import TextStore, Tokenizer
from uniter_data.importers.texts import (
    CaptionOptions,
    import_coco,
    import_conceptual_captions,
    import_genome,
    import_pictures,
    import_sbu,
    import_uniter_texts,
)
from uniter_data.importers.texts.damage import Damages
from uniter_data.importers.texts.uniter.database import TextDatabase

MakeStore = Callable[..., Path]
Refused = Callable[..., None]
Import = Callable[[Path, Path, CaptionOptions], Any]

WORDS = ("a", "dog", "red", "ball", "über", "the", "sky", "cat")
TOKENIZER = Tokenizer.build([" ".join(WORDS)])
IMAGES = 6
FUZZ = 40  # damaged copies of each format


def sentence(number: int) -> str:
    return " ".join(WORDS[(number * step + step) % len(WORDS)] for step in range(1, 6))


def write_coco(path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.jpg", "flickr_url": f"http://a.org/{n}_x.jpg"} for n in range(IMAGES)]
    captions = [{"id": n, "image_id": n % IMAGES, "caption": sentence(n)} for n in range(2 * IMAGES)]
    path.write_text(json.dumps({"images": images, "annotations": captions}, ensure_ascii=False), encoding="utf-8")


def write_genome(path: Path) -> None:
    pictures = [
        {"id": n, "regions": [{"region_id": 2 * n + k, "phrase": sentence(n + k)} for k in range(2)]}
        for n in range(IMAGES)
    ]
    path.write_text(json.dumps(pictures, ensure_ascii=False), encoding="utf-8")


def write_tsv(path: Path) -> None:
    path.write_text("".join(f"{sentence(n)}\thttp://a.org/{n}.jpg\n" for n in range(IMAGES)), encoding="utf-8")


def write_csv(path: Path) -> None:
    rows = "".join(f'{n}.jpg,"{sentence(n)}, ""so""",train\n' for n in range(IMAGES))
    path.write_text("image,caption,split\n" + rows, encoding="utf-8")


def write_lines(path: Path) -> None:
    rows = [{"image": f"{n}.jpg", "caption": sentence(n)} for n in range(IMAGES)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_sbu(path: Path) -> None:
    urls = [f"http://a.org/{n}.jpg" for n in range(IMAGES)]
    document = {"image_urls": urls, "captions": [sentence(n) for n in range(IMAGES)]}
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


FORMATS: dict[str, tuple[str, Callable[[Path], None], Import]] = {
    "coco": (
        "captions_train.json",
        write_coco,
        lambda out, file, options: import_coco(out, files={"": [file]}, options=options),
    ),
    "genome": ("r.json", write_genome, lambda out, file, options: import_genome(out, files=[file], options=options)),
    "conceptual": (
        "Train.tsv",
        write_tsv,
        lambda out, file, options: import_conceptual_captions(out, files={"": [file]}, options=options),
    ),
    "sbu": ("sbu.json", write_sbu, lambda out, file, options: import_sbu(out, files=[file], options=options)),
    "csv": (
        "c.csv",
        write_csv,
        lambda out, file, options: import_pictures(out, files={"": [file]}, options=options),
    ),
    "lines": (
        "c.jsonl",
        write_lines,
        lambda out, file, options: import_pictures(out, files={"": [file]}, options=options),
    ),
}


def damaged(raw: bytes, draw: random.Random) -> bytes:
    """The bytes with a bit flipped, cut off at the end, or with a piece missing, doubled or made of noise."""
    at = draw.randrange(len(raw))
    more = min(len(raw), at + draw.randint(1, 12))
    return draw.choice(
        [
            raw[:at] + bytes([raw[at] ^ (1 << draw.randrange(8))]) + raw[at + 1 :],
            raw[:at],
            raw[:at] + raw[more:],
            raw[:more] + raw[at:],
            raw[:at] + draw.randbytes(more - at) + raw[more:],
        ]
    )


@pytest.fixture
def regions(tmp_path: Path, make_store: MakeStore) -> Path:
    return make_store(tmp_path / "regions.zarr", {str(number): 1 for number in range(IMAGES)})


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("skip", [False, True])
def test_random_damage_is_an_error_or_a_counted_skip(format: str, skip: bool, tmp_path: Path, regions: Path) -> None:
    """A value may become another that is as good as the first; but nothing is lost uncounted, and nothing hangs."""
    name, write, run = FORMATS[format]
    file = tmp_path / name
    write(file)
    whole = file.read_bytes()
    options = CaptionOptions(regions=[regions], tokenizer=TOKENIZER, skip_missing=skip, skip_damaged=skip)
    for number in range(FUZZ // 2):
        draw = random.Random(f"{format}-{skip}-{number}")
        file.write_bytes(damaged(whole, draw))
        out = tmp_path / f"out-{number}"
        try:
            report = run(out, file, options)
        except ValueError as error:
            said = str(error)
            assert "\n" not in said
            assert any(part in said for part in (name, "split ", "vocab"))
            assert not out.exists()
            continue
        store = TextStore(out / "train" / "texts.zarr") if "train" in report.splits else None
        texts = sum(split.examples for split in report.splits.values())
        assert store is None or store.num_texts == report.splits["train"].examples
        assert texts >= 1
        listed = (out / "damaged.txt").read_text("utf-8").splitlines() if report.damaged else []
        assert len(listed) == len(report.damaged)


# released databases ---------------------------------------------------------------------------------------------------


@pytest.mark.golden
def test_random_damage_of_a_released_database(
    tmp_path: Path, golden_dir: Path, real_data_dir: Path, make_store: MakeStore
) -> None:
    """Word pieces are never other than those that were released."""
    source = golden_dir / "lmdb" / "txt_db" / "pretrain_coco_train.db"
    recorded = json.loads((golden_dir / "lmdb" / "expected.json").read_text())["texts"][source.name]["examples"]
    images = {record["img_fname"]: 1 for record in recorded.values()}
    tokenizer = Tokenizer.from_vocabulary_file(real_data_dir / "bert" / "bert-base-uncased-vocab.txt", cased=False)
    options = CaptionOptions(
        regions=[make_store(tmp_path / "r.zarr", images)], tokenizer=tokenizer, skip_missing=True, skip_damaged=True
    )
    folder = tmp_path / source.name
    shutil.copytree(source, folder)
    (folder / "data.mdb").chmod(0o644)
    whole = (source / "data.mdb").read_bytes()
    errors = skips = 0
    for number in range(60):
        (folder / "data.mdb").write_bytes(damaged(whole, random.Random(number)))
        out = tmp_path / f"out-{number}"
        try:
            report = import_uniter_texts(out, files={"": [folder]}, options=options)
        except ValueError as error:
            said = str(error)
            assert source.name in said
            errors += 1
            continue
        skips += len(report.damaged)
        store = TextStore(out / "train" / "texts.zarr")
        for row, name in enumerate(store.text_ids.tolist()):
            start, stop = store.offsets[row : row + 2]
            assert store.token_ids.read(np.array([start]), np.array([stop])).tolist() == recorded[name]["input_ids"]
    assert errors
    assert skips


@pytest.mark.golden
@pytest.mark.parametrize("name", ["refcoco_train.db", "nlvr2_train.db"])
def test_random_damage_of_what_lies_beside_a_database(
    name: str, tmp_path: Path, golden_dir: Path, real_data_dir: Path, make_store: MakeStore
) -> None:
    source = golden_dir / "lmdb" / "txt_db" / name
    recorded = json.loads((golden_dir / "lmdb" / "expected.json").read_text())["texts"][name]["examples"]
    names = [record["img_fname"] for record in recorded.values()]
    images = {image: 4 for group in names for image in ([group] if isinstance(group, str) else group)}
    tokenizer = Tokenizer.from_vocabulary_file(real_data_dir / "bert" / "bert-base-uncased-vocab.txt", cased=False)
    options = CaptionOptions(
        regions=[make_store(tmp_path / "r.zarr", images)], tokenizer=tokenizer, skip_missing=True, skip_damaged=True
    )
    folder = shutil.copytree(source, tmp_path / name)
    files = sorted(path.name for path in folder.iterdir())
    for number in range(FUZZ):
        draw = random.Random(f"{name}-{number}")
        file = folder / draw.choice(files)
        file.chmod(0o644)
        file.write_bytes(damaged((source / file.name).read_bytes(), draw))
        try:
            report = import_uniter_texts(
                tmp_path / f"out-{number}", files={"": [folder]}, boxes="detected", options=options
            )
        except ValueError as error:
            said = str(error)
            assert "\n" not in said
            assert any(part in said for part in (name, "split ", "out-"))
        else:
            (split,) = report.splits.values()
            assert 1 <= split.examples <= len(recorded)
        shutil.copy(source / file.name, file)
        file.chmod(0o644)


def database(folder: Path, records: dict[str, Any], **meta: Any) -> TextDatabase:
    """A database whose records are files' worth of bytes; the LMDB file is made by the LMDB library."""
    lmdb = pytest.importorskip("lmdb")
    folder.mkdir()
    environment = lmdb.open(str(folder), map_size=1 << 20)
    with environment.begin(write=True) as transaction:
        for name, record in records.items():
            raw = record if isinstance(record, bytes) else lz4.frame.compress(msgpack.packb(record))
            transaction.put(name.encode(), raw)
    environment.close()
    lengths = {name: len(r["input_ids"]) if isinstance(r, dict) else 1 for name, r in records.items()}
    (folder / "id2len.json").write_text(json.dumps(lengths))
    known = TOKENIZER.vocabulary
    said = {"CLS": known.cls_id, "SEP": known.sep_id, "MASK": known.mask_id, "UNK": known.unk_id}
    (folder / "meta.json").write_text(json.dumps(said | {"v_range": list(known.random_range), "bert": ""} | meta))
    return TextDatabase(folder)


def test_records_of_a_database_that_are_wrong(tmp_path: Path, regions: Path, refused: Refused) -> None:
    good = {"input_ids": [5, 6], "img_fname": "0.npz", "caption": "a dog"}
    whole = lz4.frame.compress(msgpack.packb(good))
    bomb = lz4.frame.compress(b"\0" * (1 << 25))
    wrong: dict[str, tuple[Any, str]] = {
        "no-frame": (b"\x80\x04pickle", "is no LZ4 frame"),
        "cut": (whole[:-6], "its LZ4 frame is cut short"),
        "behind": (whole + b"x", "cut short"),
        "bomb": (bomb, "or larger than 16,777,216 bytes"),
        "no-map": (lz4.frame.compress(msgpack.packb([1])), "expected a map"),
        "extension": (lz4.frame.compress(msgpack.packb({"a": msgpack.ExtType(1, b"x")})), "an extension type"),
        "no-ids": (good | {"input_ids": []}, "input_ids: expected a list of ids"),
        "text-ids": (good | {"input_ids": ["a", "b"]}, "input_ids: expected a list of ids"),
        "no-image": (good | {"img_fname": None}, "img_fname: expected names of files"),
        "two-images": (good | {"img_fname": ["a", "b"]}, "img_fname: expected 1 name(s) of files"),
    }
    options = CaptionOptions(regions=[regions], tokenizer=TOKENIZER)
    for name, (record, said) in wrong.items():
        folder = database(tmp_path / f"{name}_train.db", {"0": good, "1": record}).folder
        refused(
            lambda folder=folder: import_uniter_texts(
                tmp_path / "x", files={"": [folder]}, task="captions", options=options
            ),
            f"{folder}/data.mdb: '1'",
            said,
        )
        lenient = CaptionOptions(regions=[regions], tokenizer=TOKENIZER, skip_damaged=True)
        report = import_uniter_texts(tmp_path / f"out-{name}", files={"": [folder]}, task="captions", options=lenient)
        assert len(report.damaged) == 1
        assert said in report.damaged[0]
    absent = database(tmp_path / "absent_train.db", {"0": good})
    (absent.folder / "id2len.json").write_text('{"0": 2, "7": 2}')
    refused(lambda: import_uniter_texts(tmp_path / "x", files={"": [absent.folder]}, options=options), "no record '7'")
    (absent.folder / "id2len.json").write_text('{"0": 3}')
    refused(
        lambda: import_uniter_texts(tmp_path / "x", files={"": [absent.folder]}, options=options),
        "input_ids: expected the 3 word pieces that id2len.json says",
    )
    (absent.folder / "id2len.json").write_text('{"0": 2}')
    large = database(tmp_path / "large_train.db", {"0": good | {"input_ids": [5, 4000]}})
    refused(
        lambda: import_uniter_texts(tmp_path / "x", files={"": [large.folder]}, options=options),
        "text '0': expected word pieces from 0 to",
    )


def test_databases_that_do_not_fit(tmp_path: Path, regions: Path, refused: Refused) -> None:
    good = {"input_ids": [5, 6], "img_fname": "0.npz"}
    options = CaptionOptions(regions=[regions], tokenizer=TOKENIZER)
    folders = {
        "other": database(tmp_path / "other_train.db", {"0": good}, CLS=99).folder,
        "range": database(tmp_path / "range_train.db", {"0": good}, v_range=[5, 99]).folder,
        "cased": database(tmp_path / "cased_train.db", {"0": good}, bert="bert-base-cased").folder,
        "nameless": database(tmp_path / "nameless.db", {"0": good}).folder,
        "target": database(tmp_path / "t_train.db", {"0": good | {"target": {"labels": [], "scores": []}}}).folder,
    }
    said = {
        "other": "vocab: expected 99 for [CLS], got 2: give the vocab.txt",
        "range": "vocab: expected (5, 99) for the range of words",
        "cased": "vocab: expected it cased: give the vocab.txt of that vocabulary with --vocab, and --cased",
        "nameless": "its name says no split: name it, as in train=",
        "target": "nothing says whether it is of vqa or of snli-ve: say it with --task",
    }
    for name, folder in folders.items():
        refused(
            lambda folder=folder: import_uniter_texts(tmp_path / "x", files={"": [folder]}, options=options),
            str(folder),
            said[name],
        )
    refused(
        lambda: import_uniter_texts(
            tmp_path / "x", files={"train": [folders["nameless"]]}, options=CaptionOptions(regions=[regions])
        ),
        "vocab: the word pieces of the database are numbers of a BERT vocabulary",
    )
    both = {"train": [folders["nameless"]], "val": [database(tmp_path / "vqa_val.db", {"0": good}).folder]}
    refused(lambda: import_uniter_texts(tmp_path / "x", files=both, options=options), "expected databases of one task")
    report = import_uniter_texts(
        tmp_path / "fine", files={"train": [folders["nameless"]]}, options=CaptionOptions(**vars(options))
    )
    assert report.splits["train"].examples == 1
    # a sentence that the database lacks is made of its word pieces
    assert TextStore(tmp_path / "fine" / "train" / "texts.zarr").sentences.tolist() == [TOKENIZER.sentence([5, 6])]


def test_targets_that_are_wrong(tmp_path: Path, regions: Path, refused: Refused) -> None:
    answers = tmp_path / "ans2label.json"
    answers.write_text('{"yes": 0, "no": 1}')
    options = CaptionOptions(regions=[regions], tokenizer=TOKENIZER)
    for number, (target, said) in enumerate(
        [
            ({"labels": [2], "scores": [1.0]}, "labels: expected different numbers from 0 to 1"),
            ({"labels": [0, 0], "scores": [1.0, 0.3]}, "labels: expected different numbers from 0 to 1"),
            ({"labels": [0], "scores": [0.5]}, "scores: expected scores of 0.3, 0.6, 0.9 or 1"),
            ({"labels": [0], "scores": []}, "scores: expected a list of 1 items"),
            (3, "target: expected an object"),
        ]
    ):
        record = {"input_ids": [5], "img_fname": "0.npz", "question": "a", "target": target}
        folder = database(tmp_path / f"{number}_train.db", {"0": record}).folder
        refused(
            lambda folder=folder: import_uniter_texts(
                tmp_path / "x", files={"": [folder]}, answers=answers, options=options
            ),
            f"{folder}/data.mdb: '0'",
            said,
        )
    answers.write_text('{"yes": 0, "no": 2}')
    refused(
        lambda: import_uniter_texts(tmp_path / "x", files={"": [folder]}, answers=answers, options=options),
        "ans2label.json: expected {answer: number} with the numbers from 0 on",
    )


def test_a_test_set_has_no_targets(tmp_path: Path, regions: Path) -> None:
    record = {"input_ids": [5], "img_fname": "0.npz", "question": "a"}
    wrong = record | {"input_ids": "x"}
    folder = database(tmp_path / "vqa_test.db", {"0": record, "1": wrong}).folder
    options = CaptionOptions(regions=[regions], tokenizer=TOKENIZER, skip_damaged=True)
    report = import_uniter_texts(tmp_path / "vqa", files={"": [folder]}, options=options)
    assert report.splits["test"].left_out == {"its record is damaged": 1}
    assert "'1': input_ids" in (tmp_path / "vqa" / "damaged.txt").read_text()


def test_damages_are_refused_unless_skipped() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(Damages(skip=False).sift(int, ["1", "x"]))


# interruptions --------------------------------------------------------------------------------------------------------

# imports, and kills itself in the middle of the nth call of a writer's method
CHILD = """
import os, signal, sys
from pathlib import Path
from uniter_data import TextWriter
from uniter_data.importers.texts import CaptionOptions, import_pictures
from uniter_data.stores import text_writer

text_writer.BLOCK = 16
source, pictures, out = map(Path, sys.argv[1:4])
name, _, left = sys.argv[4].partition(" ")
left = int(left or 0)
if name:
    method = getattr(TextWriter, name)

    def dying(writer):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(writer)

    setattr(TextWriter, name, dying)
import_pictures(out, files={"": [source]}, options=CaptionOptions(pictures={"": pictures}, val_share=0.3))
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_killed_import_goes_on_and_ends_in_the_same_data_set(tmp_path: Path, refused: Refused) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(40):
        (pictures / f"{number}.png").touch()
    source = tmp_path / "captions.csv"
    rows = "".join(f"{n % 40}.png,{sentence(n)},http://a.org/{n % 40}\n" for n in range(400))
    source.write_text("image,caption,url\n" + rows, encoding="utf-8")
    for moment in ("flush 9", "publish 2", ""):
        command = [sys.executable, "-c", CHILD, str(source), str(pictures), str(tmp_path / "killed"), moment]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        assert done.returncode == (-signal.SIGKILL if moment else 0), done.stderr
        assert (tmp_path / "killed").exists() is not bool(moment)
        if moment:
            # another import is not mixed with it
            options = CaptionOptions(pictures={"": pictures}, val_share=0.3, max_tokens=9)
            again = partial(import_pictures, tmp_path / "killed", files={"": [source]}, options=options)
            refused(again, "holds an interrupted import with other max_tokens")
    options = CaptionOptions(pictures={"": pictures}, val_share=0.3)
    import_pictures(tmp_path / "left alone", files={"": [source]}, options=options)
    assert contents(tmp_path / "killed") == contents(tmp_path / "left alone")
    assert not list(tmp_path.glob("*.partial"))
    assert len((tmp_path / "killed" / "urls.tsv").read_text().splitlines()) == 40


def test_a_sentence_that_is_not_its_word_pieces_is_damage(tmp_path: Path, regions: Path, refused: Refused) -> None:
    def record(text: str, ids: list[int]) -> dict[str, Any]:
        return {"input_ids": ids, "img_fname": "0.npz", "caption": text}

    right = {str(number): record(sentence(number), TOKENIZER.encode(sentence(number)).ids) for number in range(3)}
    wrong = record("a dog", list(reversed(TOKENIZER.encode("a dog").ids)))
    options = CaptionOptions(regions=[regions], tokenizer=TOKENIZER)
    folder = database(tmp_path / "one_train.db", right | {"9": wrong}).folder
    refused(
        lambda: import_uniter_texts(tmp_path / "x", files={"": [folder]}, options=options),
        "data.mdb: '9': caption: expected a sentence of the record's word pieces, got 'a dog'",
    )
    # made by another tokenizer's rules: nothing can be told
    folder = database(tmp_path / "all_train.db", {str(number): wrong for number in range(3)}).folder
    report = import_uniter_texts(tmp_path / "all", files={"": [folder]}, options=options)
    assert report.splits["train"].examples == 3
