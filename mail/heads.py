"""What the header block of one entity of a message says. Pure.

Invariant: a Head is never changed, since entities with the same block share one: the parts of most mail begin with the
same few short blocks ("Content-Type: text/plain; charset=utf-8"), and reading one anew costs ten times a look-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from mail.headers import Fields, clean_file_name, content_type, first, parse_parameters, raw_text, read_fields, token

MAX_SHARED = 256  # bytes of a block that is remembered
REMEMBERED = 1024  # blocks; with their fields at most some megabytes


class Head(NamedTuple):
    """The fields of an entity and what MIME needs of them (RFC 2045, RFC 2183)."""

    fields: Fields
    size: int  # bytes of the block that are fields; the body begins behind them
    type: str  # lower case; the default where the block names none
    is_typed: bool
    parameters: Mapping[str, str]
    encoding: str  # Content-Transfer-Encoding in lower case
    disposition: str  # in lower case, "" without one
    file_name: str  # of the disposition, else of the type; "" without one
    content_id: str  # without brackets, the form of cid: URLs (RFC 2392)


EMPTY = Head({}, 0, "application/octet-stream", False, {}, "", "", "", "")


def read_head(data: bytes, start: int, end: int) -> Head:
    """Return what the header block in data[start:end] says."""
    return _remembered(data[start:end]) if end - start <= MAX_SHARED else _read(data, start, end)


@lru_cache(maxsize=REMEMBERED)
def _remembered(block: bytes) -> Head:
    return _read(block, 0, len(block))


def _read(data: bytes, start: int, end: int) -> Head:
    fields, stopped = read_fields(data, start, end)
    typed = first(fields, b"content-type")
    parameters = parse_parameters(typed)
    placed = first(fields, b"content-disposition")
    name = clean_file_name(parse_parameters(placed).get("filename", ""))
    content_id = raw_text(first(fields, b"content-id"), 1000).strip().removeprefix("<").removesuffix(">").strip()
    return Head(
        fields,
        stopped - start,
        content_type(typed) or _guessed_type(typed, parameters),
        bool(typed),
        parameters,
        token(first(fields, b"content-transfer-encoding")),
        token(placed),
        name or clean_file_name(parameters.get("name", "")),
        content_id[:500],
    )


def _guessed_type(value: bytes, parameters: Mapping[str, str]) -> str:
    """Return the type where the value names none by the letter ("multipart", "html")."""
    bare = token(value)
    if bare == "multipart" or ("boundary" in parameters and bare):
        return "multipart/mixed"
    return "text/html" if bare == "html" else "text/plain"
