"""The text databases that were released with UNITER: what is in them, and how they become data sets."""

from uniter_data.importers.texts.uniter.importing import import_uniter_texts

__all__ = ["import_uniter_texts"]
