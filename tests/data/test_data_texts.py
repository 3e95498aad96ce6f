"""Text stores, from writer to reader."""

import copy
from pathlib import Path

import numpy as np
import pytest

from uniter_data import TextStore, TextWriter, Tokenizer
from uniter_data.stores.id_set import IdSet

TOKENIZER = Tokenizer.build(["a red ball", "the blue box, small"])


def written(path: Path, *records: dict, **options: object) -> TextStore:
    with TextWriter(path / "texts.zarr", tokenizer=TOKENIZER, **options) as writer:
        for record in records:
            writer.append(**record)
        writer.publish()
    return TextStore(path / "texts.zarr")


def pieces(store: TextStore, text: int) -> list[str]:
    ids = store.token_ids.read(store.offsets[text : text + 1], store.offsets[text + 1 : text + 2])
    return TOKENIZER.tokens(ids.tolist())


def test_texts_are_read_as_they_were_written(tmp_path: Path):
    store = written(
        tmp_path,
        {"text_id": "t1", "sentence": "A red ball", "image_id": "i2"},
        {"text_id": "t2", "sentence": "small  box", "image_id": "i1", "group": "g"},
        {"text_id": "t3", "sentence": "the ball,\nblue", "image_id": "i2"},
    )
    assert store.text_ids.tolist() == ["t1", "t2", "t3"]
    assert store.sentences.tolist() == ["A red ball", "small  box", "the ball,\nblue"]
    assert store.image_ids.tolist() == ["i2", "i1", "i2"]
    assert store.image_names.tolist() == ["i2", "i1"]
    assert store.groups.tolist() == [0, 1, 0]
    assert [pieces(store, text) for text in range(3)] == [
        ["a", "red", "ball"],
        ["small", "box"],
        ["the", "ball", ",", "blue"],
    ]
    assert store.vocabulary == TOKENIZER.vocabulary
    assert store.gold is None
    assert store.kinds is None
    assert copy.deepcopy(store).text_ids.tolist() == ["t1", "t2", "t3"]


def test_gold_and_kinds_stand_at_the_first_piece_of_their_word(tmp_path: Path):
    store = written(
        tmp_path,
        {"text_id": "t1", "sentence": "blueball, red", "image_id": "i", "gold": [3, -1], "kinds": [1, 2]},
        {"text_id": "t2", "sentence": "a box", "image_id": "i"},
    )
    assert store.gold is not None
    assert store.kinds is not None
    length = len(TOKENIZER.encode("blueball,").ids)
    everything = (np.array([0]), store.offsets[-1:])
    assert store.gold.read(*everything).tolist() == [3] + [-1] * (length - 1) + [-1] + [-1, -1]
    assert store.kinds.read(*everything).tolist() == [1] + [0] * (length - 1) + [2] + [0, 0]


def test_long_sentences_are_dropped_and_counted(tmp_path: Path):
    long = {"text_id": "long", "sentence": "a a a a", "image_id": "i"}
    short = {"text_id": "short", "sentence": "a a a", "image_id": "i"}
    store = written(tmp_path, long, short, max_tokens=3)
    assert store.text_ids.tolist() == ["short"]
    assert (store.attributes["dropped"], store.attributes["truncated"]) == (1, 0)


def test_long_sentences_are_cut_when_asked(tmp_path: Path):
    long = {
        "text_id": "long",
        "sentence": "a red ball box",
        "image_id": "i",
        "gold": [-1, -1, 0, 1],
        "kinds": [0, 2, 1, 1],
    }
    store = written(tmp_path, long, max_tokens=3, truncate=True)
    assert pieces(store, 0) == ["a", "red", "ball"]
    assert (store.attributes["dropped"], store.attributes["truncated"]) == (0, 1)


def test_the_released_limit_is_sixty_pieces_without_cls_and_sep(tmp_path: Path):
    store = written(
        tmp_path,
        {"text_id": "60", "sentence": "a " * 60, "image_id": "i"},
        {"text_id": "61", "sentence": "a " * 61, "image_id": "i"},
    )
    assert store.text_ids.tolist() == ["60"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"sentence": ""}, "text 'new': the sentence is empty"),
        ({"sentence": " \n"}, "text 'new': the sentence is empty"),
        ({"gold": [1]}, "gold must have one value for each of the 3 words, got 1"),
        ({"kinds": [1, 0, 0, 0]}, "kinds must have one value for each of the 3 words, got 4"),
        ({"gold": [-2, 0, 0]}, "gold must be"),
        ({"kinds": [0, 3, 0]}, "kinds must be"),
        ({"text_id": "old"}, "text 'old' was appended before"),
    ],
)
def test_a_bad_text_is_named_and_refused(tmp_path: Path, record: dict, message: str):
    with TextWriter(tmp_path / "texts.zarr", tokenizer=TOKENIZER) as writer:
        writer.append("old", "a box", "i")
        with pytest.raises(ValueError, match=message):
            writer.append(**({"text_id": "new", "sentence": "a red ball", "image_id": "i"} | record))
        writer.publish()
    assert TextStore(tmp_path / "texts.zarr").text_ids.tolist() == ["old"]


def test_more_texts_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("uniter_data.stores.text_writer.BLOCK", 3)
    monkeypatch.setattr("uniter_data.stores.text_writer.STRINGS", 4)
    sentences = ["a " * (1 + number % 5) for number in range(21)]
    records = [{"text_id": str(n), "sentence": s, "image_id": f"i{n % 7}"} for n, s in enumerate(sentences)]
    store = written(tmp_path, *records)
    assert store.sentences.tolist() == sentences
    assert np.diff(store.offsets).tolist() == [1 + number % 5 for number in range(21)]
    assert store.image_ids.tolist() == [f"i{number % 7}" for number in range(21)]


def test_a_store_may_hold_no_text(tmp_path: Path):
    assert written(tmp_path).num_texts == 0


def test_pieces_are_kept_as_they_come(tmp_path: Path) -> None:
    source = {"source": [{"name": "texts.db", "sha256": "0"}]}
    with TextWriter(tmp_path / "texts.zarr", tokenizer=TOKENIZER, max_tokens=3, attributes=source) as writer:
        writer.append_pieces("a", [6, 1, 5], "one", sentence="made up", group="g")
        writer.append_pieces("b", [5, 5, 5, 5], "two", sentence="too long")
        with pytest.raises(ValueError, match=r"'c': expected word pieces from 0 to \d+, got \[99\]"):
            writer.append_pieces("c", [99], "two", sentence="")
        with pytest.raises(ValueError, match="'d': the sentence is empty"):
            writer.append_pieces("d", [], "two", sentence="")
        writer.publish()
    store = TextStore(tmp_path / "texts.zarr")
    assert store.sentences.tolist() == ["made up"]
    assert store.token_ids.read(np.array([0]), np.array([3])).tolist() == [6, 1, 5]
    assert store.attributes["dropped"] == 1
    assert store.attributes["attributes"] == source
    with TextWriter(tmp_path / "other.zarr", tokenizer=TOKENIZER, attributes=source) as writer:
        writer.append("a", "a ball", "one")
    with pytest.raises(ValueError, match="was begun with attributes"):
        TextWriter(tmp_path / "other.zarr", tokenizer=TOKENIZER)


def test_a_set_of_ids_is_a_set_across_its_sortings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uniter_data.stores.id_set.FRESH", 4)
    ids, plain = IdSet(), set()
    for number in [*range(30), *range(20, 40)]:
        assert (str(number) in ids) == (str(number) in plain)
        ids.add(str(number))
        plain.add(str(number))
        assert len(ids) == len(plain)
    assert "40" not in ids
