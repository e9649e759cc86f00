"""A request with a large source in it, sent as it is read: base64 is made a piece at a time.

Invariant: the length is known before, and the body can be sent once more from its beginning (NTLM does).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

PLACE = "c291cmNlLWdvZXMtaGVyZQ=="  # stands for the source in the request's elements
STEP = 57 * 1024  # bytes of the source that make whole groups of base64


class Upload:
    """What requests takes for a file: the request before the source, the source as base64, what follows."""

    def __init__(self, request: bytes, raw: bytes) -> None:
        self._before, place, self._after = request.partition(PLACE.encode())
        if not place:
            raise ValueError("the request has no place for a source")
        self._raw = raw
        self._length = len(self._before) + -(-len(raw) // 3) * 4 + len(self._after)
        self.seek(0)

    def __len__(self) -> int:
        return self._length

    def seek(self, _offset: int, _whence: int = 0) -> int:
        """Back to the beginning, wherever it was asked to go: nobody asks for anything else."""
        self._pieces = self._make()
        self._left = b""
        return 0

    def tell(self) -> int:
        """Always the beginning: it is asked for before anything is sent."""
        return 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, b"" at the end, after which it begins anew: NTLM sends it again without a word."""
        while size < 0 or len(self._left) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._left += piece
        cut = len(self._left) if size < 0 else size
        given, self._left = self._left[:cut], self._left[cut:]
        if not given and size != 0:
            self.seek(0)
        return given

    def _make(self) -> Iterator[bytes]:
        yield self._before
        for start in range(0, len(self._raw), STEP):
            yield base64.b64encode(self._raw[start : start + STEP])
        yield self._after
