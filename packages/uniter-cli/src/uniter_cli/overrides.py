"""What the command line says on top of a recipe, as dotted keys and values."""

from collections.abc import Mapping, Sequence
from typing import Any

from uniter_cli.errors import UsageError

__all__ = ["chosen_settings"]


def chosen_settings(settings: Sequence[str] | None, flags: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options that were given, and the `KEY=VALUE` of `--set`, which come last.

    Raises:
        UsageError: a setting has no `=`.

    >>> chosen_settings(["optimizer.lr=1e-4"], {"steps": 10, "seed": None})
    {'steps': 10, 'optimizer.lr': '1e-4'}
    """
    chosen = {key: value for key, value in (flags or {}).items() if value is not None}
    for setting in settings or ():
        key, separator, value = setting.partition("=")
        if not separator:
            raise UsageError(f"--set {setting}: expected KEY=VALUE")
        chosen[key.strip()] = value.strip()
    return chosen
