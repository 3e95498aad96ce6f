"""Digests of what an importer reads, of checksums that are computed as it passes: nothing is read twice for them."""

import hashlib
from collections.abc import Iterable
from typing import Any

import google_crc32c

__all__ = ["RecordDigest", "checksum"]


def checksum(parts: Iterable[bytes]) -> list[tuple[int, int]]:
    """Length and CRC-32C of each part of a record.

    >>> checksum([b"ab"])
    [(2, 3802278198)]
    """
    return [(len(part), google_crc32c.value(part)) for part in parts]


class RecordDigest:
    """SHA-256 of the names and checksums of records in their order.

    A cryptographic digest of everything would take longer than the import.
    """

    def __init__(self) -> None:
        self._records = self._bytes = 0
        self._hash = hashlib.sha256()

    def update(self, name: str, sums: Iterable[tuple[int, int]]) -> None:
        """One more record."""
        self._records += 1
        self._hash.update(name.encode())
        for length, crc in sums:
            self._bytes += length
            self._hash.update(f"\n{length} {crc:08x}".encode())
        self._hash.update(b"\n")

    def result(self) -> dict[str, Any]:
        """How many records and bytes there were, and their digest."""
        return {
            "records": self._records,
            "bytes": self._bytes,
            "sha256": self._hash.hexdigest(),
            "of": "name, lengths and CRC-32C of each record",
        }
