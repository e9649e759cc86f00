"""Attachments and sources read as they come: of a SOAP answer only the one base64 text is kept, a piece at a time.

Invariants: a connection of its own, gone when the reader stops; nothing is parsed but by expat, without document types;
size and time are bounded; memory does not grow with the attachment.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterator
from xml.parsers import expat

from drivers import errors
from drivers.ews.faults import Refused, translate, unreadable
from drivers.ews.session import Session
from drivers.ews.wire import Element

MOST = 300 * 1024 * 1024  # bytes of an answer: what Exchange itself can be made to take is less
PATIENCE = 1800.0  # seconds for a whole one; each piece has the timeout of a step
PIECE = 64 * 1024
HEAD_MOST = 64 * 1024  # characters of what is not the content
CONTENTS = ("Content", "MimeContent")


class _Reader:
    """Fed with XML, gives the decoded content back; `code` and `said` are the server's when there is none."""

    def __init__(self) -> None:
        self.found = self.is_done = False
        self.code = self.said = ""
        self._inside = ""
        self._left = ""
        self._pieces: list[bytes] = []
        self._seen = 0
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.buffer_text = False
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    def feed(self, data: bytes) -> bytes:
        """The content in this piece. Raises ProtocolError for what is no XML, no base64 or too much."""
        self._pieces.clear()
        try:
            self._parser.Parse(data, False)
        except (expat.ExpatError, binascii.Error, ValueError) as error:
            raise unreadable() from error
        return b"".join(self._pieces)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        local = name.rpartition("}")[2]
        if local in CONTENTS and not self.found:
            self._inside, self.found = local, True
        elif local in ("ResponseCode", "MessageText"):
            self._inside = local

    def _end(self, name: str) -> None:
        local = name.rpartition("}")[2]
        if local == self._inside:
            if local in CONTENTS:
                self._pieces.append(base64.b64decode(self._left + "=" * (-len(self._left) % 4)))
                self._left, self.is_done = "", True
            self._inside = ""

    def _text(self, text: str) -> None:
        if self._inside in CONTENTS and not self.is_done:
            text = self._left + "".join(text.split())
            whole = len(text) // 4 * 4
            self._left = text[whole:]
            self._pieces.append(base64.b64decode(text[:whole], validate=True))
            return
        self._seen += len(text)
        if self._seen > HEAD_MOST:
            raise ValueError("more than the answer should hold")
        if self._inside == "ResponseCode":
            self.code += text
        elif self._inside == "MessageText":
            self.said += text

    def _refuse(self, *_: object) -> None:
        raise ValueError("a document type")


def content_of(session: Session, operation: str, payload: Element) -> Iterator[bytes]:
    """The decoded content of the first attachment or source in an answer, in pieces.

    Raises what the server says of it, MessageGone where there is none, drivers.errors.
    """
    reader = _Reader()
    size, end = 0, time.monotonic() + PATIENCE
    pieces = session.raw_pieces(operation, payload, PIECE)
    try:
        for piece in pieces:
            size += len(piece)
            if size > MOST or time.monotonic() > end:
                raise errors.ProtocolError("The server's answer is larger or stranger than we take.")
            content = reader.feed(piece)
            if content:
                yield content
            if reader.is_done:
                return
    except Exception as error:
        raise translate(error, session.server.host) from error
    finally:
        pieces.close()
    code = reader.code.strip()
    if not reader.is_done and code not in ("", "NoError"):
        raise Refused(code, reader.said[:300]).as_error()
    if not reader.found:
        raise errors.MessageGone("The message has no such part.")
    if not reader.is_done:
        raise unreadable()
