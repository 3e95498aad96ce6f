"""SIGTERM and Ctrl-C while a run trains: the step under way is finished and saved, then the run ends."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupted", "Interruption"]

ASKS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Exception):
    """A run ended early because it was asked to.

    Attributes:
        code: exit status, as a shell has it: 128 and the signal's number.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Interruption:
    """Notes the first signal that asks the process to end; a second Ctrl-C ends it at once.

    Attributes:
        signal: the one that came, or None.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether the process was asked to end."""
        return self.signal is not None

    @property
    def code(self) -> int:
        """Exit status of a process that a signal ended; another process's signal counts as SIGTERM."""
        return 128 + (self.signal or signal.SIGTERM)

    def __enter__(self) -> Self:
        try:
            self._before = {each: signal.signal(each, self._note) for each in ASKS}
        except ValueError:  # only a main thread may listen
            self._before = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
