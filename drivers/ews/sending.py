"""Sending by EWS: the message goes into Drafts (CreateItem), then it leaves (SendItem) and the server files its own copy.

Invariants: only SendItem can be uncertain, and it is never repeated; what is certain not to have left takes its draft
with it; recipients of the envelope who stand in no header are named in a Bcc, which Exchange takes out again.
"""

from __future__ import annotations

import time
from contextlib import suppress
from email.errors import MessageError
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses

from drivers import errors
from drivers.base import SendingDriver
from drivers.ews import folders, writes
from drivers.ews.driver import sign_in
from drivers.ews.faults import Refused
from drivers.ews.items import change_key_of
from drivers.ews.reading import get_items
from drivers.ews.session import Session
from drivers.ews.wire import element
from drivers.types import (
    Capabilities,
    CheckReport,
    CheckStep,
    Envelope,
    Login,
    RecipientResult,
    SendReceipt,
    ServerAddress,
)

CODES = {  # an SMTP code that says the same, RFC 5321 4.2.3
    "ErrorInvalidRecipients": 550,
    "ErrorMissingRecipients": 550,
    "ErrorInvalidRecipientSubfilter": 550,
    "ErrorSendAsDenied": 550,
    "ErrorSubmissionQuotaExceeded": 452,
    "ErrorQuotaExceeded": 452,
    "ErrorExceededMessageLimit": 452,
    "ErrorMessageThrottled": 451,
    "ErrorMessageSizeExceeded": 552,
    "ErrorSubmitAsDenied": 550,
    "ErrorAccessDenied": 550,
    "ErrorMessageSubmissionBlocked": 550,
    "ErrorInvalidMimeContent": 554,
    "ErrorMimeContentInvalid": 554,
    "ErrorRightsManagementPermanentException": 554,
    "ErrorChangeKeyRequired": 451,
    "ErrorChangeKeyRequiredForWriteOperations": 451,
    "ErrorStaleObject": 451,
}
NEVER_BEGUN = ("blocked", "unknown_host", "refused", "certificate")  # kinds of ServerUnreachable before any byte


class EwsSender(SendingDriver):
    """See the module."""

    def __init__(self, server: ServerAddress, login: Login | None) -> None:
        self._session = Session(server, login) if login is not None else None

    def _open_session(self) -> Session:
        if self._session is None:
            raise errors.AuthenticationFailed("Exchange takes no mail without a sign-in.")
        return self._session

    def open(self) -> None:
        """Connect and sign in."""
        session = self._open_session()
        session.open()
        try:
            sign_in(session)
        except BaseException:
            session.close()
            raise

    def close(self) -> None:
        """Drop the connection."""
        if self._session is not None:
            self._session.close()

    def check(self) -> CheckReport:
        """Sign-in, and a folder to put a message into."""
        session = self._open_session()
        steps: list[CheckStep] = []
        started = time.monotonic()
        try:
            session.open()
            for kind in ("connect", "secure"):
                steps.append(CheckStep(kind, True, time.monotonic() - started))
            sign_in(session)
            folders.find(session, "drafts")
            steps.append(CheckStep("sign_in", True, time.monotonic() - started))
        finally:
            session.close()
        return CheckReport(tuple(steps), Capabilities(saves_sent_copy=True))

    def send(self, envelope: Envelope, raw: bytes) -> SendReceipt:
        """One message. Raises SendRejected, SendUncertain, ServerBusy, ServerUnreachable."""
        session = self._open_session()
        session.account()
        whole = with_bcc(raw, envelope)
        key, change_key = self._draft(session, whole)
        try:
            _leave(session, key, change_key)
        except errors.SendUncertain:
            raise
        except errors.DriverError:
            with suppress(errors.DriverError):  # it did not leave: nothing of it stays
                writes.delete(session, [key])
            raise
        results = tuple(RecipientResult(address, True, 250) for address in envelope.recipients)
        return SendReceipt(results)

    def _draft(self, session: Session, raw: bytes) -> tuple[str, str]:
        """The message in Drafts; nothing leaves by this. Raises SendRejected, drivers.errors."""
        try:
            key, change_key = writes.create(
                session, folders.distinguished(session, "drafts"), raw, flags=("\\Draft", "\\Seen")
            )
        except errors.ProtocolError as error:
            code = CODES.get(error.server_said.partition(":")[0])
            if code is None:
                raise
            raise errors.SendRejected(
                "The server refused the message.", code=code, server_said=error.server_said
            ) from error
        if not key:
            raise errors.ProtocolError("The server does not say where it put the message.")
        return key, change_key


def _leave(session: Session, key: str, change_key: str) -> None:
    """SendItem, once. Raises SendRejected, SendUncertain, ServerBusy, drivers.errors."""
    if not change_key:
        change_key = next((change_key_of(item) for item in get_items(session, [key])), "")
    reference = writes.item_id(key, change_key)
    payload = element(
        "m:SendItem",
        element("m:ItemIds", reference),
        element("m:SavedItemFolderId", folders.distinguished(session, "sentitems")),
        SaveItemToFolder="true",
    )
    try:
        answers = session.ask("SendItem", payload)
    except errors.DriverError as error:
        raise _unknown(error) from error
    if len(answers) != 1:
        raise errors.SendUncertain("The server did not say whether the message left.")
    answer = answers[0]
    if isinstance(answer, Refused):
        raise _refused(answer)


def _unknown(error: errors.DriverError) -> errors.DriverError:
    """What a request without a readable answer means: not begun, refused before it was looked at, or unknown."""
    if isinstance(error, errors.AuthenticationFailed | errors.CertificateInvalid):
        return error
    if isinstance(error, errors.ServerUnreachable) and error.kind in NEVER_BEGUN:
        return error
    said = error.server_said
    if isinstance(error, errors.ServerBusy) and (said.startswith("HTTP 429") or not said.startswith("HTTP")):
        return error  # Exchange says so before it does anything
    code = CODES.get(said.partition(":")[0])
    if code is not None:
        return errors.SendRejected("The server refused the message.", code=code, server_said=said)
    return errors.SendUncertain("The server did not say whether the message left.", server_said=said)


def _refused(answer: Refused) -> errors.DriverError:
    """What Exchange says of the one message."""
    said = f"{answer.code}: {answer.text}"
    code = CODES.get(answer.code)
    if code is not None:
        return errors.SendRejected("The server refused the message.", code=code, server_said=said)
    error = answer.as_error()
    if isinstance(error, errors.ServerBusy | errors.AuthenticationFailed) and answer.code != "ErrorTimeoutExpired":
        return error
    if isinstance(error, errors.PermissionMissing):
        return errors.SendRejected("The server refused the message.", code=550, server_said=said)
    return errors.SendUncertain("The server did not say whether the message left.", server_said=said)


def with_bcc(raw: bytes, envelope: Envelope) -> bytes:
    """The message with a Bcc for recipients that no header names. Raises SendRejected for an address that cannot stand there."""
    named = {address.lower() for address in _named(raw)}
    missing = [address for address in dict.fromkeys(envelope.recipients) if address.lower() not in named]
    if not missing:
        return raw
    for address in missing:
        if any(char in address for char in "\r\n\x00 ,;<>") or "@" not in address:
            raise errors.SendRejected("This address cannot be sent to.", refused={address: (553, "")}, code=553)
    line = "Bcc: " + ",\r\n ".join(missing) + "\r\n"
    return line.encode("utf-8") + raw


def _named(raw: bytes) -> list[str]:
    """Addresses in To, Cc and Bcc."""
    head = raw[: 1024 * 1024].partition(b"\r\n\r\n")[0]
    try:
        parsed = BytesHeaderParser(policy=compat32).parsebytes(head + b"\r\n\r\n")
        fields = [str(value) for name in ("To", "Cc", "Bcc") for value in parsed.get_all(name, [])]
        return [address for _name, address in getaddresses(fields) if address]
    except (MessageError, ValueError, IndexError):
        return []
