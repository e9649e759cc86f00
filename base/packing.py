"""Long texts as bytes for the database: packed by LZ4 where that makes them smaller, else as UTF-8.

PostgreSQL compresses such values too, but only after they went to it at their full length: sending markup, which is mostly
repetition, costs more than all the rest of its row. Invariant: `unpack(pack(text)) == text`; what is not packed is the text's
own UTF-8, so that rows from before are read as they are.
"""

from __future__ import annotations

import lz4.block

PACKED = b"\xff"  # begins no UTF-8 (RFC 3629 3); behind it the length (32 bits, little-endian), then an LZ4 block
SHORT = 500  # bytes that are left as they are


def pack(text: str) -> bytes:
    """Raises UnicodeEncodeError (a ValueError) for a lone surrogate."""
    plain = text.encode()
    if len(plain) < SHORT:
        return plain
    packed: bytes = PACKED + lz4.block.compress(plain)
    return packed if len(packed) < len(plain) else plain


def unpack(value: bytes | memoryview | str) -> str:
    """The text of what `pack` gave, or of a row that was written as text (SQLite). Raises ValueError for anything else."""
    if isinstance(value, str):
        return value
    raw = bytes(value)
    if not raw.startswith(PACKED):
        return raw.decode()
    try:
        return bytes(lz4.block.decompress(raw[len(PACKED) :])).decode()
    except (lz4.block.LZ4BlockError, ValueError) as error:
        raise ValueError(f"a packed text is damaged: {error}") from error
