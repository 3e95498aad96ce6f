"""The tokenizer: BERT's vocabulary files, vocabularies built from a corpus, words and their pieces."""

import copy
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniter_data import Tokenizer
from uniter_data.tokenizer import SPECIAL_TOKENS

CORPUS = ["A red ball.", "the red box", "The ball, the box; the kite!", "Ein großer Würfel"]


def bert_file(folder: Path, *words: str, special: tuple[str, ...] = SPECIAL_TOKENS) -> Path:
    path = folder / "vocab.txt"
    path.write_text("\n".join([*special, *words]) + "\n", encoding="utf-8")
    return path


def test_specials_come_first_then_words_by_count_then_characters():
    tokenizer = Tokenizer.build(CORPUS)
    pieces = tokenizer.tokens(range(tokenizer.vocabulary.size))
    assert tuple(pieces[:5]) == SPECIAL_TOKENS
    assert pieces[5:10] == ["the", "ball", "box", "red", "!"]  # 4, 2, 2, 2 times, then once, by name
    assert len(set(pieces)) == len(pieces)
    assert pieces[-1].startswith("##")
    vocabulary = tokenizer.vocabulary
    assert (vocabulary.pad_id, vocabulary.unk_id, vocabulary.cls_id, vocabulary.sep_id, vocabulary.mask_id) == (
        0, 1, 2, 3, 4,
    )  # fmt: skip
    assert vocabulary.random_range == (5, len(pieces))


def test_what_is_written_in_the_corpus_s_characters_is_never_unknown():
    tokenizer = Tokenizer.build(CORPUS)
    encoding = tokenizer.encode("thereball box")
    assert tokenizer.vocabulary.unk_id not in encoding.ids
    assert encoding.word_of_piece == [0] * (len(encoding.ids) - 1) + [1]


@given(st.lists(st.text(alphabet="abcXYZ ,.'é中\t", max_size=20), max_size=8))
def test_the_corpus_itself_is_never_unknown(corpus):
    tokenizer = Tokenizer.build(corpus)
    for sentence in corpus:
        encoding = tokenizer.encode(sentence)
        assert tokenizer.vocabulary.unk_id not in encoding.ids
        assert len(encoding.word_of_piece) == len(encoding.ids)
        assert encoding.word_of_piece == sorted(encoding.word_of_piece)
        assert all(word < len(sentence.split()) for word in encoding.word_of_piece)


def test_max_words_keeps_the_frequent_and_spells_the_rest():
    tokenizer = Tokenizer.build(CORPUS, max_words=1)
    assert tokenizer.tokens(tokenizer.encode("the kite").ids) == ["the", "k", "##i", "##t", "##e"]


@pytest.mark.parametrize("seed", ["0", "1"])
def test_building_is_the_same_in_every_process(seed):
    code = f"from uniter_data import Tokenizer; print(Tokenizer.build({CORPUS!r}).vocabulary.digest)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == Tokenizer.build(CORPUS).vocabulary.digest


def test_words_are_the_whitespace_separated_ones():
    tokenizer = Tokenizer.build(["dog's red-brown, ball"])
    encoding = tokenizer.encode("Dog's  red-brown,\tball")
    assert tokenizer.tokens(encoding.ids) == ["dog", "'", "s", "red", "-", "brown", ",", "ball"]
    assert encoding.word_of_piece == [0, 0, 0, 1, 1, 1, 1, 2]


def test_saved_and_copied_tokenizers_are_the_same(tmp_path):
    tokenizer = Tokenizer.build(CORPUS)
    tokenizer.save(tmp_path / "tokenizer.json")
    digest = hashlib.sha256((tmp_path / "tokenizer.json").read_bytes()).hexdigest()
    for other in (Tokenizer.from_file(tmp_path / "tokenizer.json"), copy.deepcopy(tokenizer)):
        assert other.vocabulary == tokenizer.vocabulary
        assert other.vocabulary.digest == digest
        assert other.encode("a kite") == tokenizer.encode("a kite")


def test_a_cased_vocabulary_tells_cases_apart(tmp_path):
    path = bert_file(tmp_path, "Ball", "ball", "café")
    cased, uncased = (Tokenizer.from_vocabulary_file(path, cased=cased) for cased in (True, False))
    assert cased.encode("Ball café").ids == [5, 7]
    assert uncased.encode("Ball Ball").ids == [6, 6]
    assert cased.vocabulary.digest != uncased.vocabulary.digest


def test_bracketed_leading_pieces_are_no_random_words(tmp_path):
    path = bert_file(
        tmp_path, "!", "a", special=("[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused2]")
    )
    vocabulary = Tokenizer.from_vocabulary_file(path, cased=True).vocabulary
    assert vocabulary.random_range == (7, 9)
    assert vocabulary.mask_id == 5


def test_unusable_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"absent\.txt is not a readable vocabulary"):
        Tokenizer.from_vocabulary_file(tmp_path / "absent.txt", cased=True)
    with pytest.raises(ValueError, match=r"vocab.txt lacks \[MASK\]"):
        Tokenizer.from_vocabulary_file(bert_file(tmp_path, special=SPECIAL_TOKENS[:4]), cased=True)
    with pytest.raises(ValueError, match="names the piece 'a' more than once"):
        Tokenizer.from_vocabulary_file(bert_file(tmp_path, "a", "b", "a"), cased=True)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"not a readable tokenizer\.json"):
        Tokenizer.from_file(tmp_path / "tokenizer.json")


@pytest.mark.real_data
def test_a_real_bert_vocabulary(real_data_dir):
    path = next((real_data_dir / "bert").glob("*-vocab.txt"))
    pieces = path.read_text(encoding="utf-8").splitlines()
    tokenizer = Tokenizer.from_vocabulary_file(path, cased="-cased" in path.name)
    assert tokenizer.vocabulary.size == len(pieces)
    assert tokenizer.vocabulary.mask_id == pieces.index("[MASK]")
    assert pieces[tokenizer.vocabulary.random_range[0]] == "!"
    encoding = tokenizer.encode("the embeddings, unaffable")
    assert tokenizer.tokens(encoding.ids) == ["the", "em", "##bed", "##ding", "##s", ",", "una", "##ffa", "##ble"]
    assert encoding.word_of_piece == [0, 1, 1, 1, 1, 1, 2, 2, 2]


def test_an_extended_tokenizer_keeps_its_words_and_their_range(tmp_path):
    plain = Tokenizer.from_vocabulary_file(bert_file(tmp_path, "ball", "##s"), cased=True)
    longer = plain.extended(["[added 0]", "[added 1]"])
    assert longer.vocabulary.size == plain.vocabulary.size + 2
    # random words are never drawn from what was added
    assert longer.vocabulary.random_range == plain.vocabulary.random_range == (5, 7)
    assert longer.encode("balls").ids == plain.encode("balls").ids
    assert longer.sentence([5, 6, 8]) == "balls [added 1]"
    assert longer.vocabulary.digest not in ("", plain.vocabulary.digest)
