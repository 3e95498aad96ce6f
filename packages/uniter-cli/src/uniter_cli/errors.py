"""Errors that a person reads: one line, no traceback (`--debug` shows it)."""

__all__ = ["RunError", "UsageError"]


class UsageError(ValueError):
    """The command line or a recipe asks for something that does not exist: exit status 2."""


class RunError(RuntimeError):
    """The run cannot go on: exit status 1."""
