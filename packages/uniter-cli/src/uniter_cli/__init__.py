"""Command line for UNITER: pre-train, import, convert."""

__version__ = "0.1.0"
