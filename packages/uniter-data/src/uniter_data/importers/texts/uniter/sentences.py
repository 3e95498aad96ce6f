"""The sentences of a released database, held against their word pieces.

The released files have no checksums, and a flipped bit may leave a record that still looks like one. Where a record
keeps its sentence, the tokenizer makes the same word pieces of it; that they differ is then a sign of damage.
"""

from uniter_data.annotations.fields import Fields
from uniter_data.importers.texts.uniter.database import TextDatabase, pieces
from uniter_data.tokenizer import Tokenizer

__all__ = ["Sentences"]

PROBE = 32  # records that show whether a database's word pieces were made as the tokenizer makes them


class Sentences:
    """Reads the sentences of one database.

    Args:
        database: of the records.
        field: that holds the sentence; a record may lack it.
        tokenizer: of the word pieces.

    Raises:
        ValueError: the database is damaged.
    """

    def __init__(self, database: TextDatabase, field: str, tokenizer: Tokenizer) -> None:
        self._field = field
        self._tokenizer = tokenizer
        probes = [fields for fields in database.sample(PROBE) if self._kept(fields)]
        self._comparable = 2 * sum(map(self._agree, probes)) > len(probes)

    def of(self, fields: Fields) -> str:
        """A record's sentence; if it keeps none, its word pieces put together again.

        Raises:
            ValueError: the sentence and the word pieces differ, in a database where most do not.
        """
        sentence = self._kept(fields)
        if not sentence:
            return self._tokenizer.sentence(pieces(fields))
        if self._comparable and not self._agree(fields):
            fields.fail(self._field, "a sentence of the record's word pieces", sentence)
        return sentence

    def _kept(self, fields: Fields) -> str:
        kept = fields.raw.get(self._field)
        return kept if isinstance(kept, str) and kept.strip() else ""

    def _agree(self, fields: Fields) -> bool:
        return self._tokenizer.encode(self._kept(fields)).ids == fields.raw.get("input_ids")
