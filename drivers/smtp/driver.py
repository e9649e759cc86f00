"""Sending by SMTP submission (RFC 6409) with aiosmtplib, over a socket that `base.net` opened.

Invariant: `send` says exactly what is known. SendRejected, ServerBusy and ServerUnreachable mean that nothing was
accepted; SendUncertain is raised only after the final dot had left and no answer came; a receipt lists every recipient.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from drivers.base import SendingDriver
from drivers.errors import DriverError, SendRejected, ServerUnreachable
from drivers.smtp.conversation import Conversation
from drivers.smtp.dial import open_socket, tls_settings
from drivers.smtp.loop import LoopThread
from drivers.smtp.message import Unsendable, Wire, envelope_id, wire_address, wire_message
from drivers.smtp.replies import Reply, busy, refusal
from drivers.types import (
    Capabilities,
    CheckReport,
    CheckStep,
    Envelope,
    Login,
    RecipientResult,
    Security,
    SendReceipt,
    ServerAddress,
)

Result = TypeVar("Result")

ANSWER_SECONDS = 120.0
"""How long the verdict on a message may take: servers scan before they answer (RFC 5321 4.5.3.2.6 grants 600 s)."""

NOT_SENDABLE = 553  # mailbox name not allowed, said by ourselves
NOT_TRANSFERABLE = 554


class SmtpDriver(SendingDriver):
    """One signed-in connection to a submission server; may send any number of messages.

    `login` None: no sign-in (a relay inside PRIVATE_NETWORKS). `answer_timeout`: seconds to wait for the verdict.
    """

    def __init__(self, server: ServerAddress, login: Login | None, *, answer_timeout: float | None = None) -> None:
        self._server = server
        self._login = login
        self._answer_timeout = answer_timeout or max(server.timeout, ANSWER_SECONDS)
        self._loop: LoopThread | None = None
        self._talk: Conversation | None = None

    def open(self) -> None:
        """Connect, secure, sign in. Raises what drivers.errors says."""
        self._open_in_steps()

    def close(self) -> None:
        """QUIT if the line still stands."""
        loop, talk, self._loop, self._talk = self._loop, self._talk, None, None
        if loop is None:
            return
        try:
            if talk is not None:
                loop.run(talk.quit())
        finally:
            loop.stop()

    def check(self) -> CheckReport:
        """Connect, secure and sign in, each a step; no message. Opens and closes by itself."""
        try:
            steps = self._open_in_steps()
            talk = self._conversation()
            names = tuple(sorted(talk.extensions))
            return CheckReport(steps, Capabilities(names=names), size_limit=_size_limit(talk.extensions))
        finally:
            self.close()

    def send(self, envelope: Envelope, raw: bytes) -> SendReceipt:
        """One message to all recipients of the envelope. See the module's invariant for what is raised."""
        talk = self._conversation()
        try:
            return self._run(_send(talk, envelope, raw, self._answer_timeout))
        except ServerUnreachable:
            self.close()  # the line is of no more use
            raise

    def _open_in_steps(self) -> tuple[CheckStep, ...]:
        self.close()
        steps: list[CheckStep] = []
        started = time.monotonic()

        def done(kind: str, detail: str) -> None:
            nonlocal started
            now = time.monotonic()
            steps.append(CheckStep(kind, ok=True, duration=now - started, detail=detail))
            started = now

        try:
            talk = self._dial()
            if self._server.security is Security.SSL:
                done("connect", self._server.host)  # the greeting comes inside TLS
                self._run(talk.greet())
            else:
                self._run(talk.greet())
                done("connect", self._server.host)
            done("secure", self._run(talk.secure()))
            if self._login is not None:
                done("sign_in", self._run(talk.sign_in(self._login)))
        except BaseException:
            self._abandon()
            raise
        return tuple(steps)

    def _dial(self) -> Conversation:
        context = tls_settings(self._server)
        sock = open_socket(self._server)
        self._loop = LoopThread(f"smtp {self._server.host}")
        self._talk = Conversation(self._server, sock, context)
        return self._talk

    def _abandon(self) -> None:
        """Drops a half-open line at once: a server that failed us gets no QUIT to be slow about."""
        loop, talk, self._loop, self._talk = self._loop, self._talk, None, None
        if loop is not None:
            if talk is not None:
                loop.run(_call(talk.abort))
            loop.stop()

    def _conversation(self) -> Conversation:
        if self._talk is None:
            raise ServerUnreachable("The connection is not open.", kind="dropped")
        return self._talk

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        if self._loop is None:
            work.close()
            raise ServerUnreachable("The connection is not open.", kind="dropped")
        return self._loop.run(work)


async def _call(action: Any) -> None:
    action()


async def _send(talk: Conversation, envelope: Envelope, raw: bytes, answer_timeout: float) -> SendReceipt:
    wire = _prepared(talk, raw)
    try:
        await _begin(talk, envelope, wire, envelope_id(raw))
        results = [await _recipient(talk, address) for address in envelope.recipients]
        if not any(result.accepted for result in results):
            raise _all_refused(results)
        reply = await talk.command(b"DATA")
        if reply.code != 354:
            raise refusal(reply, "the message")
    except DriverError:
        await _reset(talk)
        raise
    verdict = await talk.transfer(wire, answer_timeout)
    return SendReceipt(tuple(results), server_said=f"{verdict.code} {verdict.text}"[:500])


def _prepared(talk: Conversation, raw: bytes) -> Wire:
    try:
        wire = wire_message(raw, allow_8bit="8bitmime" in talk.extensions)
    except Unsendable as error:
        raise SendRejected(str(error), code=NOT_TRANSFERABLE) from None
    if wire.needs_utf8 and "smtputf8" not in talk.extensions:
        raise SendRejected("The server does not take headers in other alphabets (no SMTPUTF8).", code=NOT_TRANSFERABLE)
    limit = _size_limit(talk.extensions)
    if limit is not None and len(wire.body) > limit:
        raise SendRejected(f"The message has {len(wire.body)} bytes, the server takes {limit}.", code=552)
    return wire


async def _begin(talk: Conversation, envelope: Envelope, wire: Wire, identity: str) -> None:
    has_utf8 = "smtputf8" in talk.extensions
    try:
        sender = wire_address(envelope.sender, utf8=has_utf8)
    except Unsendable as error:
        raise SendRejected(str(error), code=NOT_SENDABLE) from None
    line = b"MAIL FROM:<" + sender + b">"
    if "size" in talk.extensions:
        line += f" SIZE={len(wire.body)}".encode()
    if wire.has_8bit and "8bitmime" in talk.extensions:
        line += b" BODY=8BITMIME"
    if has_utf8 and (wire.needs_utf8 or not all(each.isascii() for each in (envelope.sender, *envelope.recipients))):
        line += b" SMTPUTF8"
    if "dsn" in talk.extensions and sender:  # RFC 3461: reports return our headers, and our name for the mail
        line += b" RET=HDRS" + (f" ENVID={identity}".encode("ascii") if identity else b"")
    reply = await talk.command(line)
    if reply.code != 250:
        raise refusal(reply, "the sender")


async def _recipient(talk: Conversation, address: str) -> RecipientResult:
    try:
        encoded = wire_address(address, utf8="smtputf8" in talk.extensions)
        if not encoded:
            raise Unsendable("The address is empty.")
    except Unsendable as error:
        return RecipientResult(address, accepted=False, code=NOT_SENDABLE, text=str(error))
    wish = b" NOTIFY=FAILURE,DELAY" if "dsn" in talk.extensions else b""
    reply = await talk.command(b"RCPT TO:<" + encoded + b">" + wish)
    if reply.code == 421:
        raise busy(reply)
    return RecipientResult(address, accepted=reply.code in (250, 251), code=reply.code, text=reply.text[:500])


def _all_refused(results: list[RecipientResult]) -> DriverError:
    refused = {result.address: (result.code, result.text) for result in results}
    if not results:
        return SendRejected("The message has no recipient.", code=NOT_TRANSFERABLE)
    # Temporary only if nobody was refused for good: trying again is worth it for all of them.
    worst = max(results, key=lambda result: result.code)
    if all(Reply(result.code, result.text).is_busy for result in results):
        return busy(Reply(worst.code, worst.text))
    return SendRejected(
        "The server refuses every recipient.",
        refused=refused,
        code=worst.code,
        server_said=f"{worst.code} {worst.text}",
    )


async def _reset(talk: Conversation) -> None:
    """Clears the envelope for the next mail; a line that cannot even do that is dropped."""
    if not talk.is_open:
        return
    try:
        reply = await talk.command(b"RSET")
    except DriverError:
        talk.abort()
        return
    if reply.code != 250:
        talk.abort()


def _size_limit(extensions: dict[str, str]) -> int | None:
    """The announced SIZE in bytes (RFC 1870); None where absent, 0 (no limit) or not a number."""
    text = extensions.get("size", "").strip()
    return int(text) or None if text.isascii() and text.isdigit() and len(text) < 19 else None
