"""One SMTP conversation, step by step, on a socket that `base.net` has opened.

Invariant: whoever calls `transfer` knows afterwards which of three things happened: accepted, refused (or not yet
wholly sent, which is the same for the mail), or uncertain. Uncertain begins with the final dot and not before.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import aiosmtplib
from aiosmtplib import SMTPResponse
from aiosmtplib.errors import SMTPConnectResponseError, SMTPHeloError, SMTPResponseException, SMTPTimeoutError
from aiosmtplib.protocol import SMTPProtocol

from base.net_addresses import ascii_host
from drivers.errors import DriverError, ProtocolError, SendUncertain, ServerUnreachable, TlsUnavailable
from drivers.smtp.message import Wire
from drivers.smtp.replies import Reply, busy, clean, greeting_error, refusal, said, tls_error, unexpected
from drivers.smtp.sign_in import scrub, sign_in
from drivers.types import Login, Security, ServerAddress

CHUNK = 64 * 1024  # octets written between two looks at the line
SLOWEST = 4 * 1024  # octets per second below which an upload is given up
POLL_SECONDS = 0.002


class Conversation:
    """The library's client with our steps and our errors; used inside one event loop."""

    def __init__(self, server: ServerAddress, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self._server = server
        self._login: Login | None = None
        self._client = aiosmtplib.SMTP(
            hostname=ascii_host(server.host),
            sock=sock,
            use_tls=server.security is Security.SSL,
            start_tls=False,  # a step of our own: the library would do it without saying so
            tls_context=context,
            local_hostname=_address_literal(sock),
            timeout=server.timeout,
        )

    async def greet(self) -> None:
        """TLS first where it is implicit, then the greeting and EHLO (HELO where EHLO is unknown)."""
        with self._neutral_errors():
            await self._client.connect()
            await self._hello()

    async def _hello(self) -> None:
        try:
            await self._client.ehlo()
        except SMTPHeloError as error:
            reply = _reply(error)
            if 400 <= reply.code < 500 or self._server.security is Security.STARTTLS:
                raise greeting_error(reply) if reply.code < 500 else TlsUnavailable(server_said=said(reply))
            await self._client.helo()

    async def secure(self) -> str:
        """STARTTLS where asked for, never left out (TlsUnavailable); returns the TLS version, "" for none."""
        with self._neutral_errors():
            if self._server.security is Security.STARTTLS:
                if not self._client.supports_extension("starttls"):
                    raise TlsUnavailable("The server does not offer STARTTLS.")
                try:
                    await self._client.starttls()
                except SMTPResponseException as error:
                    reply = _reply(error)
                    raise busy(reply) if 400 <= reply.code < 500 else TlsUnavailable(server_said=said(reply))
                await self._client.ehlo()  # what was said in the clear is forgotten (RFC 3207 4.2)
            tls = self._client.get_transport_info("ssl_object")
            return str(tls.version()) if tls is not None else ""

    async def sign_in(self, login: Login) -> str:
        """Returns the mechanism used, e.g. "plain"."""
        self._login = login
        offered = tuple(name.lower() for name in self._client.server_auth_methods)
        is_secure = self._client.get_transport_info("sslcontext") is not None
        with self._neutral_errors():
            return await sign_in(login, offered, self.ask, is_secure=is_secure)

    async def ask(self, line: bytes) -> Reply:
        """Sends one command line and returns the reply."""
        response = await self._client.execute_command(line)
        return Reply(response.code, scrub(clean(response.message), self._login))

    async def command(self, line: bytes) -> Reply:
        """As `ask`, with errors made neutral; for the commands of a mail."""
        with self._neutral_errors():
            return await self.ask(line)

    async def transfer(self, wire: Wire, answer_timeout: float) -> Reply:
        """The bytes of the message after a 354, up to the server's verdict. `answer_timeout` in seconds.

        Raises SendRejected, ServerBusy, ServerUnreachable (nothing was accepted) or SendUncertain.
        """
        protocol = self._client.protocol
        if protocol is None:
            raise ServerUnreachable("The connection was lost.", kind="dropped")
        answer = asyncio.ensure_future(protocol.read_response())
        await asyncio.sleep(0)  # lets the reader arm itself: a server may refuse before the end
        try:
            with self._neutral_errors():
                await self._upload(wire.body, protocol, answer)
                protocol.write(b".\r\n")
            return await self._verdict(answer, answer_timeout)
        except DriverError:
            if not answer.done():
                answer.cancel()
            raise

    async def _upload(self, body: bytes, protocol: SMTPProtocol, answer: asyncio.Future[SMTPResponse]) -> None:
        deadline = asyncio.get_running_loop().time() + self._server.timeout + len(body) / SLOWEST
        for start in range(0, len(body), CHUNK):
            protocol.write(body[start : start + CHUNK])
            is_last = start + CHUNK >= len(body)
            await self._drain(protocol, answer, 0 if is_last else CHUNK, deadline)
            if answer.done():
                response = answer.result()  # raises if the line is gone
                self._client.close()  # the server believes the mail is over, we do not: this line is of no more use
                raise refusal(Reply(response.code, clean(response.message)), "the message")

    async def _drain(
        self, protocol: SMTPProtocol, answer: asyncio.Future[SMTPResponse], limit: int, deadline: float
    ) -> None:
        """Waits until at most `limit` octets are unsent; gives up when nothing moves for a timeout."""
        now = asyncio.get_running_loop().time
        smallest, moved_at = -1, now()
        while protocol.transport is not None and not answer.done():
            unsent = protocol.transport.get_write_buffer_size()  # type: ignore[attr-defined]
            if unsent <= limit:
                return
            if unsent < smallest or smallest < 0:
                smallest, moved_at = unsent, now()
            if now() - moved_at > self._server.timeout or now() > deadline:
                self.abort()
                raise ServerUnreachable("The server stopped taking the message.", kind="timeout")
            await asyncio.sleep(POLL_SECONDS)

    async def _verdict(self, answer: asyncio.Future[SMTPResponse], timeout: float) -> Reply:
        try:
            response = await asyncio.wait_for(answer, timeout)
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            self.abort()
            raise SendUncertain("The message was sent, but the server's answer did not arrive.") from None
        reply = Reply(response.code, clean(response.message))
        if 200 <= reply.code < 300:
            return reply
        if 400 <= reply.code < 600:
            raise refusal(reply, "the message")
        self.abort()
        raise SendUncertain("The message was sent, but the server's answer makes no sense.", server_said=said(reply))

    @property
    def is_open(self) -> bool:
        """True while the line stands, as far as we know."""
        return self._client.is_connected

    @property
    def extensions(self) -> dict[str, str]:
        """EHLO keywords (lower case) and their parameters."""
        return self._client.esmtp_extensions

    async def quit(self) -> None:
        """QUIT, briefly; never raises."""
        try:
            if self._client.is_connected:
                await self._client.quit(timeout=min(self._server.timeout, 3.0))
        except (aiosmtplib.SMTPException, OSError, ValueError):
            pass
        finally:
            self._client.close()

    def abort(self) -> None:
        """Drops the line without a word, unsent bytes included."""
        if isinstance(self._client.transport, asyncio.WriteTransport):
            self._client.transport.abort()
        self._client.close()

    @contextmanager
    def _neutral_errors(self) -> Iterator[None]:
        try:
            yield
        except DriverError:
            raise
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._neutral(error) from None

    def _neutral(self, error: Exception) -> DriverError:
        for each in (error, error.__cause__, error.__context__):
            if isinstance(each, ssl.SSLError):
                return tls_error(each, self._server.host)
        if isinstance(error, SMTPConnectResponseError):
            return greeting_error(_reply(error))
        if isinstance(error, SMTPResponseException):
            return unexpected(_reply(error))
        if isinstance(error, SMTPTimeoutError | TimeoutError):
            return ServerUnreachable("The server did not answer in time.", kind="timeout")
        if isinstance(error, ConnectionRefusedError):
            return ServerUnreachable("The server refuses connections.", kind="refused")
        if isinstance(error, OSError):  # SMTPServerDisconnected and SMTPConnectError are ConnectionErrors
            return ServerUnreachable("The connection was lost.", kind="dropped")
        return ProtocolError("The server gave an answer that cannot be read.")


def _reply(error: SMTPResponseException) -> Reply:
    return Reply(int(error.code), clean(error.message))


def _address_literal(sock: socket.socket) -> str:
    """Who we say we are: the socket's own address (RFC 5321 4.1.3), which needs no lookup and tells no host name."""
    address = str(sock.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
