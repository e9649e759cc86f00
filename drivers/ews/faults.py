"""From what Exchange, exchangelib, requests or the network said to `drivers.errors`: one table. Pure.

Invariant: whatever is raised inside a call becomes one of ours; texts of a server are bounded and hold no credential.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from exchangelib import errors as ews
from exchangelib.util import ParseError

from base import net
from drivers import errors
from drivers.ews.transport import AnswerRefused

BUSY = {"ErrorServerBusy", "ErrorTooManyObjectsOpened", "ErrorExceededConnectionCount", "ErrorMailboxStoreUnavailable",
        "ErrorInternalServerTransientError", "ErrorTimeoutExpired", "ErrorExceededSubscriptionCount",
        "ErrorMailboxMoveInProgress", "ErrorBatchProcessingStopped", "ErrorConnectionFailed",
        "ErrorMailboxFailover", "ErrorInsufficientResources", "ErrorNotEnoughMemory"}  # fmt: skip
STATE_LOST = {"ErrorInvalidSyncStateData", "ErrorSyncFolderNotFound", "ErrorInvalidWatermark"}
FOLDER_GONE = {"ErrorFolderNotFound", "ErrorToFolderNotFound", "ErrorParentFolderNotFound", "ErrorInvalidFolderId",
               "ErrorParentFolderIdRequired"}  # fmt: skip
ITEM_GONE = {"ErrorItemNotFound", "ErrorInvalidIdMalformed", "ErrorInvalidId", "ErrorInvalidIdEmpty",
             "ErrorObjectTypeChanged", "ErrorInvalidIdNotAnItemAttachmentId", "ErrorInvalidIdStoreObjectIdTooLong",
             "ErrorInvalidIdXml", "ErrorInvalidIdTooManyAttachmentLevels", "ErrorAttachmentNotFound",
             "ErrorInvalidAttachmentId", "ErrorCannotFindFile", "ErrorInvalidIdMalformedEwsLegacyIdFormat",
             "ErrorInvalidChangeKey"}  # fmt: skip
NOT_ALLOWED = {"ErrorAccessDenied", "ErrorImpersonateUserDenied", "ErrorImpersonationDenied", "ErrorImpersonationFailed",
               "ErrorNonPrimarySmtpAddress", "ErrorMailboxConfiguration", "ErrorCannotUseFolderIdForItemId",
               "ErrorNonExistentMailbox", "ErrorMissingEmailAddress", "ErrorCrossSiteRequest",
               "ErrorAccessModeSpecified", "ErrorCreateItemAccessDenied", "ErrorDeleteDistinguishedFolder"}  # fmt: skip
SIGN_IN = {"ErrorPasswordExpired", "ErrorPasswordChangeRequired", "ErrorAccountDisabled", "UnauthorizedError",
           "ErrorTokenSerializationDenied", "ErrorInvalidUserPrincipalName"}  # fmt: skip
STALE = {"ErrorIrresolvableConflict", "ErrorStaleObject", "ErrorChangeKeyRequired", "ErrorInvalidChangeKey",
         "ErrorChangeKeyRequiredForWriteOperations", "ErrorChangeKeyTooLong"}  # fmt: skip
NO_MIME = {"ErrorMimeContentConversionFailed", "ErrorContentConversionFailed", "ErrorMimeContentInvalid",
           "ErrorMimeContentInvalidBase64String", "ErrorInvalidPropertyRequest", "ErrorUnsupportedMimeConversion",
           "ErrorCorruptData", "ErrorItemCorrupt"}  # fmt: skip
SOAP_FAULT = "SOAP fault"  # a fault without a ResponseCode
HANDSHAKE = "NTLM"  # a sign-in that broke off before the secret was judged
TENANT_BLOCKS = "EWS is not allowed for this mailbox or program."
_REDIRECT = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Refused:
    """What Exchange said about one thing that was asked for: `code` is its ResponseCode, `back_off` in seconds."""

    code: str
    text: str = ""
    back_off: float | None = None

    def as_error(self) -> errors.DriverError:
        """The error to raise for it."""
        return error_for(self.code, self.text, self.back_off)


def error_for(code: str, text: str = "", back_off: float | None = None) -> errors.DriverError:
    """The error for a ResponseCode."""
    said = f"{code}: {text}" if text else code
    if code in BUSY:
        return errors.ServerBusy("The server is busy.", retry_after=back_off, server_said=said)
    if code in STATE_LOST:
        return errors.CursorInvalid("The bookmark of this folder has expired.", server_said=said)
    if code in FOLDER_GONE:
        return errors.FolderGone("The folder does not exist.", server_said=said)
    if code in ITEM_GONE:
        return errors.MessageGone("The message is no longer there.", server_said=said)
    if code in NOT_ALLOWED:
        return errors.PermissionMissing("This mailbox or folder may not be opened.", server_said=said)
    if code in SIGN_IN:
        return errors.AuthenticationFailed("The server refused the sign-in.", server_said=said)
    return errors.ProtocolError("The server could not do this.", server_said=said)


def http_error(response: Any) -> errors.DriverError | None:
    """What an HTTP status means; None for an answer that is to be read (200, and faults: 500 with XML)."""
    status = response.status_code
    if status == 200:
        return None
    if status == 401:
        return errors.AuthenticationFailed("The server refused the sign-in.", server_said="HTTP 401")
    if status == 403:
        return errors.ExchangeBlocked(TENANT_BLOCKS, server_said="HTTP 403")
    if status in (429, 503):
        return errors.ServerBusy("The server is busy.", retry_after=retry_after(response), server_said=f"HTTP {status}")
    if status in _REDIRECT:
        return errors.ProtocolError("The server leads elsewhere.", server_said=f"HTTP {status}")
    if status == 404:
        return errors.ProtocolError("There is no Exchange service at this address.", server_said="HTTP 404")
    if status == 456:  # Exchange Online: the account is blocked
        return errors.AuthenticationFailed("The server refused the sign-in.", server_said="HTTP 456")
    if status >= 500 and b"Envelope" in response.content[:2000]:
        return None
    if status >= 500:
        return errors.ServerBusy("The server is in trouble.", server_said=f"HTTP {status}")
    return errors.ProtocolError("The server could not do this.", server_said=f"HTTP {status}")


def retry_after(response: Any) -> float | None:
    """Seconds of Retry-After, None where there is none."""
    text = str(response.headers.get("Retry-After", ""))
    return float(text) if re.fullmatch(r"\d{1,6}", text, re.ASCII) else None


def translate(error: Exception, host: str) -> errors.DriverError:
    """What was raised while a request was under way, as ours."""
    if isinstance(error, errors.DriverError):
        return error
    if isinstance(error, net.NetError):
        return unreached(error, host)
    if isinstance(error, AnswerRefused):
        return errors.ProtocolError("The server's answer is larger or stranger than we take.")
    if isinstance(error, ews.ErrorServerBusy):
        return errors.ServerBusy("The server is busy.", retry_after=error.back_off, server_said=_said(error))
    if isinstance(error, ews.ErrorTimeoutExpired) and str(error).startswith("Reraised from"):
        return dropped(error)
    if isinstance(error, KeyError | PermissionError):  # inside NTLM: the server broke its handshake off
        return errors.AuthenticationFailed("The server refused the sign-in.", server_said=HANDSHAKE)
    if isinstance(error, requests.exceptions.RequestException | urllib3.exceptions.HTTPError | OSError):
        return dropped(error)
    if isinstance(error, ews.SOAPError) and str(error).startswith("SOAP error code"):
        return errors.ProtocolError("The server could not do this.", server_said=f"{SOAP_FAULT}: {_said(error)}")
    if isinstance(error, ews.SOAPError | ews.MalformedResponseError | ParseError):
        return unreadable()
    if isinstance(error, ews.EWSError):
        return error_for(type(error).__name__, _said(error))
    return unreadable()


def unreached(error: net.NetError, host: str) -> errors.DriverError:
    """Why there is no connection."""
    kinds = {net.ConnectionBlocked: "blocked", net.UnknownHost: "unknown_host", net.Refused: "refused"}
    if isinstance(error, net.TlsFailed):
        return errors.CertificateInvalid("The certificate could not be verified.", host=host, problem=error.problem)
    return errors.ServerUnreachable("No connection to the server.", kind=kinds.get(type(error), "timeout"))


def dropped(error: Exception) -> errors.ServerUnreachable:
    """A connection that stood and broke, or an answer that did not come."""
    is_late = "timed out" in str(error).lower() or "timeout" in str(error).lower()
    return errors.ServerUnreachable("The server broke the connection off.", kind="timeout" if is_late else "dropped")


def unreadable() -> errors.ProtocolError:
    """An answer that is none."""
    return errors.ProtocolError("The server's answer could not be read.")


def blocked(kind: str, text: str) -> errors.DriverError:
    """A conversation that cannot be begun: `kind` is that of ServerUnreachable, or sign_in."""
    if kind == "sign_in":
        return errors.AuthenticationFailed(text)
    return errors.ServerUnreachable(text, kind=kind)


def _said(error: Exception) -> str:
    return str(error)[:300]
