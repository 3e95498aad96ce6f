"""Annotation files a record at a time: the same as json.loads, whatever the size of the window; damage is located."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data.annotations import describe, json_stream
from uniter_data.annotations.fields import Fields
from uniter_data.annotations.json_stream import read_lines, read_members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.dictionaries(st.text(min_size=1), VALUES | st.lists(VALUES, min_size=1, max_size=5), max_size=5)


def whole(members: list[tuple[str, int | None, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, index, value in members:
        if index is None:
            document[key] = value
        else:
            document.setdefault(key, []).append(value)
            assert len(document[key]) == index + 1
    return document


@given(document=MEMBERS, chunk=st.integers(1, 40), indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_members_are_those_of_the_document_whatever_the_window(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any], chunk: int, indent: int | None, ascii_only: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "document.json"
    path.write_text(json.dumps(document, indent=indent, ensure_ascii=ascii_only), encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        assert whole(list(read_members(path))) == document


def test_a_document_that_is_an_array_has_elements_without_key(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('\ufeff [1, {"a": 2}]\n', encoding="utf-8")
    assert list(read_members(path)) == [("", 0, 1), ("", 1, {"a": 2})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file ends there"),
        ("17", "expected a JSON object or array at character 0"),
        ('{"a": [1, 2', "but the file ends there"),
        ('{"a": [1, }', "expected a JSON value at character 10"),
        ('{"a" 1}', "expected ':' at character 5"),
        ("{1: 2}", "expected the name of a member"),
        ('{"a": 1} {"b": 2}', "expected the end of the file at character 9"),
        ("[" * 100_000, "expected a JSON value"),
    ],
)
def test_what_is_no_document_is_located(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.json") as error:
        list(read_members(path))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_large_document_is_never_whole_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_text(json.dumps({"items": [{"text": "x" * 1000}] * 4000}), encoding="utf-8")
    seen = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", 1 << 12)
        for _, index, _ in read_members(path):
            assert index == seen
            seen += 1
    assert seen == 4000


@given(records=st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=5))
def test_lines_are_their_objects(tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    text = "\n".join(
        json.dumps(record, ensure_ascii=False).replace("\u2028", " ").replace("\x85", " ") for record in records
    )
    path.write_text(text + "\n\n", encoding="utf-8", newline="")
    expected = [json.loads(line) for line in text.split("\n") if line]
    assert [record for _, record in read_lines(path)] == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}\n[2]\n', "lines.jsonl:2"),
        (b'{"a": 1}\n\n{"b": \n', "lines.jsonl:3: expected a JSON object"),
        (b'{"a": 1}\n{"b": "\xff"}\n', "expected a JSON object"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"lines\.jsonl") as error:
        list(read_lines(path))
    assert said in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (read_lines, read_members):
        with pytest.raises(ValueError, match=r"absent\.json cannot be read .*: correct the path"):
            list(read(tmp_path / "absent.json"))


@pytest.mark.parametrize(
    ("document", "looks"),
    [
        ({"questions": [{"question": "?", "question_id": 1, "multiple_choices": []}]}, "multiple-choice"),
        ({"info": {}, "questions": [{"question": "?", "question_id": 1}]}, "VQA questions"),
        ({"annotations": [{"question_id": 1, "answers": []}], "license": {}}, "VQA annotations"),
        ([{"question_id": 1, "answer": "no"}], "VQA result"),
        ({"images": [{}], "annotations": [{"bbox": [], "category_id": 1}]}, "COCO instances"),
        ({"images": [{}], "annotations": [{"caption": ""}]}, "COCO captions"),
        ({"images": [{"sentences": [], "split": "val"}], "dataset": "coco"}, "Karpathy"),
        ([{"id": 1, "qas": []}], "question_answers.json"),
        ([{"box": [], "image_id": 1, "score": 1}], "detected boxes"),
        ({"identifier": "1-0", "structured_rep": []}, "NLVR (version 1)"),
        ({"identifier": "dev-1-0-0", "left_url": "", "right_url": ""}, "NLVR2"),
        ({"pairID": "1", "sentence2": "", "Flickr30K_ID": "1"}, "SNLI-VE"),
        ({"pairID": "1", "sentence2": "", "captionID": "1"}, "SNLI, which names no pictures"),
        ({"answer_choices": [], "img_fn": ""}, "VCR"),
        ({"boxes": [], "names": [], "segms": [], "width": 1}, "metadata of a VCR picture"),
        ({"a": 1, "b": {"c": 2}}, "JSON with a, b"),
        ({}, "JSON without members"),
    ],
)
def test_every_format_is_told_from_the_others(tmp_path: Path, document: Any, looks: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert looks in describe(path)
    if isinstance(document, dict) and document:  # as one of several lines
        path.write_text((json.dumps(document) + "\n") * 2, encoding="utf-8")
        assert looks in describe(path)


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x80\x02]q\x00.", "pickle"),
        (b"(lp1\n.", "pickle"),
        (b"img_id\tboxes\n", "not JSON"),
    ],
)
def test_what_is_no_json_is_told(tmp_path: Path, content: bytes, looks: str) -> None:
    path = tmp_path / "some.bin"
    path.write_bytes(content)
    assert looks in describe(path)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda fields: fields.text("absent"), "absent: expected a string that is not empty, got nothing"),
        (lambda fields: fields.text("blank"), "blank"),
        (lambda fields: fields.text("number"), "number"),
        (lambda fields: fields.integer("text"), "a whole number from 0"),
        (lambda fields: fields.integer("half"), "got 1.5"),
        (lambda fields: fields.integer("yes"), "got True"),
        (lambda fields: fields.integer("number", most=3), "from 0 to 3"),
        (lambda fields: fields.integer("number", least=9), "from 9"),
        (lambda fields: fields.items("text"), "a list"),
        (lambda fields: fields.items("list", count=3), "a list of 3 items"),
        (lambda fields: fields.numbers("list", count=2), "2 finite numbers"),
        (lambda fields: fields.numbers("infinite", count=1), "1 finite numbers"),
        (lambda fields: fields.within("list", 0), "list\\[0\\]: expected an object"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(call: Any, said: str) -> None:
    raw = {
        "blank": " ",
        "number": 7,
        "text": "x",
        "half": 1.5,
        "yes": True,
        "list": [1, "a"],
        "infinite": [float("inf")],
    }
    with pytest.raises(ValueError, match=f"(?s)file.json:3: .*{said}"):
        call(Fields(raw, "file.json:3"))


def test_whole_numbers_may_be_written_as_floats() -> None:
    assert Fields({"id": 7.0}, "").integer("id") == 7
