"""Importers: each reads one published layout and writes a data set."""

from uniter_data.importers.nlvr import NlvrReport, NlvrSplit, import_nlvr

__all__ = ["NlvrReport", "NlvrSplit", "import_nlvr"]
