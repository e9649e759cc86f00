"""The SMTP server: signs in demo users, delivers among them, and lets mail for the rest of the invented world vanish.

Invariant: only a signed-in user sends, and only in their own name; nothing ever leaves this machine.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import format_datetime, make_msgid

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from demo.mailstore import HOST, MailStore
from demo.users import DEMO_USERS, DOMAIN, DemoUser

SIZE_LIMIT = 25 * 1024 * 1024
NOBODY = ("j.ortiz@luzsur.example",)
"""Addresses that the rest of the world does not know: mail to them comes back."""

BOUNCE = """From: Mail Delivery System <MAILER-DAEMON@mail.{domain}>\r
To: <{sender}>\r
Subject: Undelivered Mail Returned to Sender\r
Date: {date}\r
Message-ID: {message_id}\r
Auto-Submitted: auto-replied\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary="returned"\r
\r
--returned\r
Content-Type: text/plain; charset=utf-8\r
\r
This is the mail system at host mail.{domain}.\r
\r
Your message could not be delivered to {recipient}:\r
the address does not exist.\r
\r
--returned\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mail.{domain}\r
\r
Final-Recipient: rfc822; {recipient}\r
Action: failed\r
Status: 5.1.1\r
Diagnostic-Code: smtp; 550 5.1.1 <{recipient}>: Recipient address rejected: User unknown\r
\r
--returned--\r
"""


class Submission:
    """Hooks of aiosmtpd; `heard` is told about each mail to somebody outside (sender, recipient, raw)."""

    def __init__(self, store: MailStore, heard: Callable[[DemoUser, str, bytes], Awaitable[None]]) -> None:
        self._store = store
        self._heard = heard
        self._users = {user.address: user for user in DEMO_USERS}

    async def serve(self, stack: AsyncExitStack, port: int) -> int:
        """Listens on loopback until the stack ends; returns the port (chosen if 0 was given)."""
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")  # loopback only
        server = await asyncio.get_running_loop().create_server(self._connection, HOST, port)
        stack.callback(server.close)
        return int(server.sockets[0].getsockname()[1])

    def _connection(self) -> SMTP:
        return SMTP(
            self,
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            hostname=f"mail.{DOMAIN}",
            auth_required=True,
            auth_require_tls=False,
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        user = self._users.get(data.login.decode("utf-8", "replace").lower())
        is_right = user is not None and data.password.decode("utf-8", "replace") == user.password
        return AuthResult(success=is_right, handled=False, auth_data=user.address if user else None)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:  # noqa: N802
        """Only one's own address, or none (a report). aiosmtpd asks for a sign-in before it calls this."""
        user: DemoUser = self._users[str(session.auth_data)]
        if address and address.lower() != user.address:
            return f"553 5.7.1 <{address}>: Sender address rejected: not owned by user {user.address}"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:  # noqa: N802
        """Everybody outside is taken; colleagues must exist."""
        if address.lower().endswith("@" + DOMAIN) and address.lower() not in self._users:
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown in virtual mailbox table"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Into the Inbox of each colleague; a report back for an unknown address outside."""
        sender: DemoUser = self._users[str(session.auth_data)]
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        stamp = format_datetime(datetime.now(UTC))
        top = f"Return-Path: <{envelope.mail_from}>\r\n"
        top += f"Received: from [127.0.0.1] by mail.{DOMAIN} with ESMTPA; {stamp}\r\n"
        top += f"Authentication-Results: mail.{DOMAIN}; auth=pass smtp.auth={sender.address}\r\n"
        for recipient in dict.fromkeys(address.lower() for address in envelope.rcpt_tos):
            colleague = self._users.get(recipient)
            if colleague is not None:
                await self._store.deliver(colleague, "INBOX", top.encode() + content)
            elif recipient in NOBODY:
                await self._store.deliver(sender, "INBOX", _bounce(sender.address, recipient))
            else:
                await self._heard(sender, recipient, content)
        return "250 2.0.0 Ok: queued"


def _bounce(sender: str, recipient: str) -> bytes:
    """A delivery status notification (RFC 3464)."""
    return BOUNCE.format(
        domain=DOMAIN,
        sender=sender,
        recipient=recipient,
        date=format_datetime(datetime.now(UTC)),
        message_id=make_msgid(domain=f"mail.{DOMAIN}"),
    ).encode()
