"""Mutated letters through the real sending driver into a strict and a lax server: one mail in is one mail out.

SMUGGLING_MAILS sets how many (300 in the suite; the long test sends 10,000).
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from drivers.errors import SendRejected
from drivers.smtp.driver import SmtpDriver
from drivers.types import Envelope, Security, ServerAddress
from outbox.compose import Unwritable, build, envelope_of
from tests.outbox.test_compose import mutations

COUNT = int(os.environ.get("SMUGGLING_MAILS", "300"))
END = re.compile(rb"(?:\r\n|\n|\r)\.(?:\r\n|\n|\r)")  # whatever some server somewhere takes for the end of a mail


@dataclass
class LaxSink:
    """Takes any line end for one, in commands and for the end of data: what a careless server would do."""

    mails: list[bytes] = field(default_factory=list)
    recipients: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            with line:
                self._serve(line)

    def _serve(self, line: socket.socket) -> None:
        line.sendall(b"220 lax\r\n")
        buffer, in_data = b"", False
        while piece := line.recv(65536):
            buffer += piece
            while True:
                if in_data:
                    end = END.search(b"\n" + buffer)
                    if not end:
                        break
                    self.mails.append(buffer[: max(0, end.start() - 1)])
                    buffer, in_data = buffer[end.end() - 1 :], False
                    line.sendall(b"250 ok\r\n")
                    continue
                command, found, rest = self._line(buffer)
                if not found:
                    break
                buffer = rest
                in_data = self._answer(line, command)

    @staticmethod
    def _line(buffer: bytes) -> tuple[bytes, bool, bytes]:
        match = re.search(rb"\r\n|\n|\r", buffer)
        return (buffer[: match.start()], True, buffer[match.end() :]) if match else (b"", False, buffer)

    def _answer(self, line: socket.socket, command: bytes) -> bool:
        word = command[:4].upper()
        if word == b"RCPT":
            self.recipients.append(command)
        line.sendall(
            b"250-lax\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
            if word == b"EHLO"
            else b"354 go\r\n"
            if word == b"DATA"
            else b"250 ok\r\n"
        )
        return word == b"DATA"


class Strict:
    """Counts mails and recipients of aiosmtpd."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.recipients: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802 - its name in aiosmtpd
        self.mails.append(envelope.content)
        self.recipients.extend(envelope.rcpt_tos)
        return "250 ok"


class StrictController(Controller):
    def factory(self) -> SMTP:
        return SMTP(self.handler, enable_SMTPUTF8=True, hostname="strict")


@pytest.fixture
def strict() -> Iterator[tuple[int, Strict]]:
    handler = Strict()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    controller = StrictController(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield port, handler
    controller.stop()


def pour(port: int, count: int, seed: int) -> int:
    """Send that many mutated letters; how many the driver says were accepted."""
    address = ServerAddress("127.0.0.1", port, Security.NONE, "", ("127.0.0.0/8",), 10.0)
    accepted = 0
    with SmtpDriver(address, None) as driver:
        for letter in mutations(count, seed):
            try:
                raw = build(letter)
                to = envelope_of(letter.to[0][1])
            except Unwritable:
                continue
            try:
                driver.send(Envelope("anna@example.com", (to,)), raw)
            except SendRejected:
                continue
            accepted += 1
    return accepted


def smuggles_nothing(strict: tuple[int, Strict], count: int, seed: int) -> None:
    port, handler = strict
    accepted = pour(port, count, seed)
    assert accepted > count // 2
    assert len(handler.mails) == accepted == len(handler.recipients)
    assert not any("evil" in one.rpartition("@")[2] for one in handler.recipients)
    with LaxSink() as lax:
        accepted = pour(lax.port, count, seed)
        assert len(lax.mails) == accepted == len(lax.recipients)
    headers = [re.split(rb"\r?\n\r?\n", mail, maxsplit=1)[0] for mail in (*handler.mails, *lax.mails)]
    assert not any(re.search(rb"(?im)^bcc:", header) for header in headers)


def test_no_mutated_letter_smuggles_a_mail(strict: tuple[int, Strict]) -> None:
    smuggles_nothing(strict, COUNT, 11)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_ten_thousand_mutated_letters_smuggle_nothing(strict: tuple[int, Strict]) -> None:
    smuggles_nothing(strict, 10_000, 12)
