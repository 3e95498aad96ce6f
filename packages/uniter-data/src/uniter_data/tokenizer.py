"""Sentences into word pieces: WordPiece through `tokenizers`, with BERT's vocabulary or one built from the corpus."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from uniter_core import Vocabulary

__all__ = ["SPECIAL_TOKENS", "Encoding", "Tokenizer"]

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """A sentence's word pieces, without [CLS] and [SEP].

    Attributes:
        ids: of the pieces.
        word_of_piece: for each piece, which of the sentence's whitespace-separated words it belongs to.
    """

    ids: list[int]
    word_of_piece: list[int]


class Tokenizer:
    """A WordPiece tokenizer, known by its tokenizer.json.

    Args:
        json: the text of a tokenizer.json, as `tokenizers` writes it.

    >>> tokenizer = Tokenizer.build(["a red ball", "a blue ball"])
    >>> tokenizer.encode("A red, red ball").word_of_piece
    [0, 1, 1, 2, 3]
    """

    def __init__(self, json: str) -> None:
        self.json = json
        self._backend = tokenizers.Tokenizer.from_str(json)

    @classmethod
    def from_vocabulary_file(cls, path: str | Path, *, cased: bool) -> "Tokenizer":
        """BERT's tokenizer with a vocabulary of one piece a line.

        Raises:
            ValueError: the file is missing, has no [UNK] (or another special token), or names a piece twice.
        """
        try:
            pieces = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path} is not a readable vocabulary file ({error}): expected one word piece a line"
            ) from error
        pieces = [piece.removesuffix("\r") for piece in pieces]
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
        if missing:
            raise ValueError(f"{path} lacks {', '.join(missing)}: expected a BERT vocabulary, one word piece a line")
        if len(vocabulary) != len(pieces):
            twice = Counter(pieces).most_common(1)[0][0]
            raise ValueError(f"{path} names the piece {twice!r} more than once: expected one line a piece")
        return cls(_backend(vocabulary, lowercase=not cased).to_str())

    @classmethod
    def build(cls, sentences: Iterable[str], *, max_words: int = 30_000) -> "Tokenizer":
        """A lower-casing tokenizer whose vocabulary is the corpus's words, the frequent first, then its characters.

        A word that is not in the vocabulary falls into characters, so nothing that is written in the corpus's
        characters is unknown. The same corpus gives the same ids in every process (the trainers of `tokenizers` do not
        promise that).

        Args:
            sentences: the corpus.
            max_words: keep so many of the most frequent words.
        """
        splitter = _backend({"[UNK]": 0}, lowercase=True)
        counts: Counter[str] = Counter()
        for sentence in sentences:
            normal = splitter.normalizer.normalize_str(sentence)
            counts.update(word for word, _ in splitter.pre_tokenizer.pre_tokenize_str(normal))
        words = sorted(counts, key=lambda word: (-counts[word], word))
        characters = sorted({character for word in words for character in word})
        ordered = [*SPECIAL_TOKENS, *words[:max_words], *characters, *("##" + character for character in characters)]
        pieces = list(dict.fromkeys(ordered))
        return cls(_backend({piece: number for number, piece in enumerate(pieces)}, lowercase=True).to_str())

    @classmethod
    def from_file(cls, path: str | Path) -> "Tokenizer":
        """The tokenizer of a tokenizer.json.

        Raises:
            ValueError: the file is missing or no tokenizer.
        """
        try:
            return cls(Path(path).read_text(encoding="utf-8"))
        # the backend raises bare Exceptions
        except Exception as error:
            raise ValueError(f"{path} is not a readable tokenizer.json ({error})") from error

    def save(self, path: str | Path) -> None:
        """Write the tokenizer.json."""
        Path(path).write_text(self.json, encoding="utf-8")

    def encode(self, sentence: str) -> Encoding:
        """Word pieces of a sentence, without special tokens."""
        encoding = self._backend.encode(sentence.split(), is_pretokenized=True, add_special_tokens=False)
        return Encoding(ids=encoding.ids, word_of_piece=[word or 0 for word in encoding.word_ids])

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The pieces behind ids."""
        return [self._backend.id_to_token(number) or "[UNK]" for number in ids]

    def sentence(self, ids: Sequence[int]) -> str:
        """A sentence for people from word pieces: its words are whole, its punctuation stands apart.

        >>> Tokenizer.build(["cats"]).sentence(Tokenizer.build(["cats"]).encode("cats cast").ids)
        'cats cast'
        """
        return " ".join(self.tokens(ids)).replace(" ##", "")

    def extended(self, pieces: Sequence[str]) -> "Tokenizer":
        """The same tokenizer with further pieces behind its own, such as the 81 that the released VCR data add."""
        backend = tokenizers.Tokenizer.from_str(self.json)
        backend.add_special_tokens(list(pieces))
        return Tokenizer(backend.to_str())

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Size, special ids, random range and digest (SHA-256 of tokenizer.json)."""
        ids: dict[str, int] = self._backend.get_vocab(with_added_tokens=True)
        pieces = sorted(ids, key=ids.__getitem__)
        return Vocabulary.from_tokens(pieces, digest=hashlib.sha256(self.json.encode()).hexdigest())

    def __reduce__(self) -> tuple[type["Tokenizer"], tuple[str]]:
        return Tokenizer, (self.json,)


def _backend(vocabulary: dict[str, int], *, lowercase: bool) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return backend
