"""Mends to what pymap (0.36.7) says about a message: RFC 3501 7.4.2 wants other spellings.

It writes Content-Disposition as one string instead of a list, decoded letters instead of encoded words, and the Date of
an envelope in the format of INTERNALDATE.
"""

from __future__ import annotations

from datetime import datetime
from email.header import Header
from email.headerregistry import ContentDispositionHeader
from email.utils import format_datetime
from typing import Any

from pymap.parsing.primitives import List, Nil, String
from pymap.parsing.response import fetch

WHOLE_LINE = 100_000  # characters: encoded words are not folded


class _ExactString:
    """Stands for pymap's String where it builds envelopes and body structures."""

    @staticmethod
    def build(value: Any, binary: bool = False, fallback: Any = None) -> Any:
        if isinstance(value, ContentDispositionHeader):
            return _disposition(value)
        if isinstance(value, str) and not value.isascii():
            value = Header(value, "utf-8", maxlinelen=WHOLE_LINE).encode()
        return String.build(value, binary, fallback)


def _disposition(value: ContentDispositionHeader) -> Any:
    pairs = [_ExactString.build(text) for pair in value.params.items() for text in pair]
    return List([String.build(value.content_disposition or "attachment"), List(pairs) if pairs else Nil()])


def _envelope_date(when: datetime | None) -> Any:
    return Nil() if when is None else String.build(format_datetime(when))


def mend_structure() -> None:
    """Puts the mends in place, for this process."""
    fetch.String = _ExactString  # type: ignore[attr-defined, assignment]
    fetch.DateTime = _envelope_date  # type: ignore[attr-defined, assignment]
