"""What passes between the screens and the outbox: frozen and plain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

Addresses = tuple[tuple[str, str], ...]
"""((name, address), …) as typed."""


@dataclass(frozen=True, slots=True)
class DraftFields:
    """All that a person writes. `html` may hold pictures as cid:… or data:image/…; `text` counts in plain-text mode only.

    `keeps_quote`: whether the folded original (`OutgoingMessage.quoted_html`) leaves with it. `quoted_html` None leaves
    the quote as it is; "" removes it (after a person opened it into the text).
    """

    to: Addresses = ()
    cc: Addresses = ()
    bcc: Addresses = ()
    subject: str = ""
    html: str = ""
    text: str = ""
    is_plain: bool = False
    keeps_quote: bool = True
    quoted_html: str | None = None


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to attach. `inline`: a picture of the text; its content id is given by the outbox."""

    name: str
    content_type: str
    content: BinaryIO = field(repr=False)
    inline: bool = False
