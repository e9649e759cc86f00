"""Short keys for long, hostile strings: a B-tree entry over about 2.7 kB fails, so Message-IDs are indexed by hash."""

from __future__ import annotations

import hashlib


def id_hash(message_id: str) -> int:
    """A signed 64-bit hash of a Message-ID (case kept: RFC 5322 3.6.4 compares octets)."""
    digest = hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
