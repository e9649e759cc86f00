"""A ParsedMessage as JSON bytes and back, to cross the border of a helper process without pickle."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from mail.types import Address, ParsedMessage, ParsedPart

_ADDRESSES = ("from_", "sender", "reply_to", "to", "cc", "bcc")
_TUPLES = ("references", "authentication_results", "problems")


def dump_message(message: ParsedMessage) -> bytes:
    """Return the message as JSON."""
    values = asdict(message)
    values["date"] = message.date.isoformat() if message.date else None
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")


def load_message(data: bytes) -> ParsedMessage:
    """Return the message of `dump_message`. Raises ValueError, KeyError, TypeError on anything else."""
    values: dict[str, Any] = json.loads(data)
    for name in _ADDRESSES:
        values[name] = tuple(Address(**item) for item in values[name])
    for name in _TUPLES:
        values[name] = tuple(values[name])
    values["parts"] = tuple(ParsedPart(**item) for item in values["parts"])
    values["date"] = datetime.fromisoformat(values["date"]) if values["date"] else None
    return ParsedMessage(**values)
