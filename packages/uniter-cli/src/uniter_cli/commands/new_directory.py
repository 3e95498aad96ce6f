"""Where a run lies that was not told where."""

import os
from datetime import datetime
from pathlib import Path

from uniter_cli.errors import UsageError

__all__ = ["new_directory"]


def new_directory(name: str) -> Path:
    """`runs/NAME-DATE-TIME`.

    Raises:
        UsageError: torchrun may start the run's processes again, which would not find what they left.
    """
    if int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0:
        raise UsageError("--max-restarts: give --out, so that a run that is started again finds its checkpoints")
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
