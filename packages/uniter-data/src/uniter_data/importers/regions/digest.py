"""Digests of what an importer reads, computed as it passes, so that nothing is read twice for them."""

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import google_crc32c

__all__ = ["FileDigest", "RecordDigest"]

BLOCK = 1 << 20  # bytes handed over at once
AHEAD = 16  # blocks that may wait: reading does not outrun hashing by more memory than this


class FileDigest:
    """SHA-256 of a file's bytes in their order, computed beside the reading."""

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


class RecordDigest:
    """SHA-256 of records' names, lengths and CRC-32C, in their order.

    For files whose own SHA-256 would cost a second reading: their records do not lie in the order in which they come.
    """

    def __init__(self) -> None:
        self._size = 0
        self._hash = hashlib.sha256()

    def update(self, name: str, data: bytes) -> None:
        """One more record."""
        self._size += len(data)
        self._hash.update(f"{name}\n{len(data)} {google_crc32c.value(data):08x}\n".encode())

    def result(self) -> dict[str, Any]:
        """How many bytes the records have, and their digest."""
        return {
            "bytes": self._size,
            "sha256": self._hash.hexdigest(),
            "of": "name, length and CRC-32C of each record",
        }
