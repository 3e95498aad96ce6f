"""SHA-256 of what an importer reads, computed beside the reading, so that nothing is read twice for it."""

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

__all__ = ["Digest"]

BLOCK = 1 << 20  # bytes handed over at once
AHEAD = 16  # blocks that may wait: reading does not outrun hashing by more memory than this


class Digest:
    """The digest of bytes in the order in which they pass."""

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="digest")
        self._parts: list[bytes] = []
        self._gathered = 0
        self._waiting: deque[Future[None]] = deque()

    def update(self, data: bytes) -> None:
        """More bytes."""
        self.size += len(data)
        self._gathered += len(data)
        self._parts.append(data)
        if self._gathered >= BLOCK:
            self._hand_over()

    def result(self) -> dict[str, Any]:
        """How many bytes passed, and their digest; nothing can be added after."""
        self._hand_over()
        self._thread.shutdown(wait=True)
        return {"bytes": self.size, "sha256": self._hash.hexdigest()}

    def _hand_over(self) -> None:
        parts, self._parts, self._gathered = self._parts, [], 0
        self._waiting.append(self._thread.submit(self._absorb, parts))
        if len(self._waiting) > AHEAD:
            self._waiting.popleft().result()

    def _absorb(self, parts: list[bytes]) -> None:
        for part in parts:
            self._hash.update(part)
