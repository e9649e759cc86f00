"""What went wrong in a check, in words: what happened, what it means for the mail, what to do.

Invariant: a host refused by the guard, and every other refusal by it, has one text (no oracle); what the server said
is never part of these sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from drivers.errors import (
    AuthenticationFailed,
    CertificateInvalid,
    DriverError,
    ExchangeBlocked,
    ExchangeElsewhere,
    PermissionMissing,
    ProtocolDisabled,
    ServerBusy,
    ServerUnreachable,
)
from drivers.oauth.errors import ApplicationRefused, SignInRevoked
from providers.models import Provider


@dataclass(frozen=True, slots=True)
class Explanation:
    """`title` what happened, `meaning` for the mail, `mend` what to do, `link` a page that mends it with its `label`.

    `is_password` says that a new password is the next step, `is_server` that the server's data are."""

    title: str
    meaning: str
    mend: str
    link: str = ""
    label: str = ""
    is_password: bool = False
    is_sign_in: bool = False  # the next step is the service's sign-in page
    is_server: bool = False


def kind_of(error: DriverError) -> str:
    """The kind that is kept in the row of a check or an email account."""
    if isinstance(error, SignInRevoked):
        return "revoked"
    if isinstance(error, ApplicationRefused):
        return "oauth_application"
    if isinstance(error, ExchangeBlocked):
        return "exchange_blocked"
    if isinstance(error, ExchangeElsewhere):
        return "exchange_elsewhere"
    if isinstance(error, ProtocolDisabled):
        return "imap_off"
    if isinstance(error, AuthenticationFailed):
        return "password"
    if isinstance(error, PermissionMissing):
        return "permission"
    if isinstance(error, ServerBusy):
        return "busy"
    if isinstance(error, ServerUnreachable):
        return error.kind
    return "protocol"


def detail_of(error: DriverError) -> dict[str, Any]:
    """Facts for the sentence: the certificate's host and problem."""
    if isinstance(error, CertificateInvalid):
        return {"host": error.host, "problem": error.problem}
    if isinstance(error, ExchangeElsewhere):
        return {"host": error.host, "url": error.url}
    return {}


def _nothing() -> str:
    return _("Nothing was saved, and nothing changed on the mail server.")


def _certificate(host: str, problem: str) -> tuple[str, str]:
    what = {
        "name": _("The certificate of %(host)s is made out for another name."),
        "expired": _("The certificate of %(host)s has expired or is not valid yet."),
        "self_signed": _("The certificate of %(host)s is self-signed: nobody vouches for it."),
        "protocol": _("%(host)s does not speak TLS on this port."),
    }.get(problem, _("The certificate of %(host)s comes from an authority that this installation does not trust."))
    mend = {
        "name": _("Use the name that the certificate is made out for, or ask whoever runs the server."),
        "expired": _("Whoever runs the server must renew it."),
        "protocol": _("Check the port and the security: 993 and 465 go with SSL/TLS, 143 and 587 with STARTTLS."),
    }.get(problem, _("Whoever runs it can install a public certificate, or a mail administrator adds its authority."))
    return what % {"host": host}, mend


def _password(provider: Provider | None, host: str, direction: str) -> Explanation:
    name = provider.name if provider else host
    if direction == "send":
        title = _("%(name)s refused this password for sending.") % {"name": name}
    else:
        title = _("%(name)s does not accept this user name and password.") % {"name": name}
    if provider and provider.app_password and provider.app_password_help:
        mend = _("Make an app password there and paste it here; the usual password is refused by many services.")
        link, label = provider.app_password_help, _("Open app passwords")
        return Explanation(title, _nothing(), mend, link, label, is_password=True)
    mend = _("Type it again; mind capitals and spaces. Some servers expect a user name that is not the address.")
    return Explanation(title, _nothing(), mend, is_password=True)


def _sign_in(kind: str, provider: Provider | None, host: str) -> Explanation:
    """Trouble with a sign-in without a password."""
    words = {"name": provider.name if provider else host}
    if kind == "revoked":
        title = _("%(name)s has ended this sign-in: it was taken back, or the password there was changed.") % words
        return Explanation(title, _nothing(), _("Sign in again."), is_sign_in=True)
    if kind == "oauth_application":
        title = _("%(name)s no longer takes this installation's application, or its secret is over.") % words
        return Explanation(title, _nothing(), _("An administrator mends it under Sign-in applications."))
    title = _("%(name)s signed you in, but its mail server does not open this mailbox to you.") % words
    mend = _("IMAP or SMTP may be switched off for it, or you have no right to it. Then sign in again.")
    return Explanation(title, _nothing(), mend, is_sign_in=True)


def _imap_off(provider: Provider | None, host: str) -> Explanation:
    title = _("IMAP is switched off for this mailbox.")
    mend = _("Switch IMAP on in the settings of the mail service, then try again.")
    link = (provider.enable_imap_url or provider.help_url) if provider else ""
    return Explanation(title, _nothing(), mend, link, _("Open its mail settings") if link else "")


def _exchange_elsewhere(host: str, url: str) -> Explanation:
    title = _("Autodiscover says that another server has this mailbox: %(host)s.") % {"host": host}
    mend = _("If that is right, go back and give %(place)s as the service address.") % {"place": url or host}
    return Explanation(title, _("The password was not sent there."), mend, is_server=True)


def _exchange_blocked(host: str) -> Explanation:
    title = _("%(host)s does not let programs in by Exchange Web Services.") % {"host": host}
    mend = _(
        "Exchange Online is closing this way, organisation by organisation: go back, choose Microsoft 365, and sign in "
        "on Microsoft's own page. On a server of one's own, its administrator allows EWS for this mailbox."
    )
    return Explanation(title, _nothing(), mend)


def explain(
    kind: str,
    *,
    provider: Provider | None = None,
    host: str = "",
    direction: str = "receive",
    detail: dict[str, Any] | None = None,
) -> Explanation:
    """The sentences for an error kind. `direction`: receive or send."""
    detail = detail or {}
    if kind == "password":
        return _password(provider, host, direction)
    if kind in ("revoked", "oauth_application", "oauth_refused"):
        return _sign_in(kind, provider, host)
    if kind in ("imap_off", "protocol_disabled"):
        return _imap_off(provider, host)
    if kind == "exchange_blocked":
        return _exchange_blocked(host)
    if kind == "exchange_elsewhere":
        return _exchange_elsewhere(str(detail.get("host", "")), str(detail.get("url", "")))
    if kind == "certificate":
        title, mend = _certificate(str(detail.get("host") or host), str(detail.get("problem", "")))
        return Explanation(title, _("The password was not sent."), mend, is_server=True)
    title, mend, is_server = _plain(kind)
    meaning = _("The password was not sent.") if is_server else _nothing()
    return Explanation(title % {"host": host}, meaning, mend, is_server=is_server or kind == "timeout")


def _plain(kind: str) -> tuple[str, str, bool]:
    again = _("Try again in a few minutes.")
    texts = {
        "unknown_host": (_("No server has the name %(host)s."), _("Check its spelling."), True),
        "refused": (_("%(host)s refuses connections on this port."), _("Check the port and the security."), True),
        "timeout": (_("%(host)s did not answer in time."), _("Check name and port, or try again later."), False),
        "blocked": (
            _("%(host)s cannot be reached from here."),
            _("Check name, port and security, or ask a mail administrator."),
            True,
        ),
        "no_starttls": (
            _("%(host)s does not offer the encryption that was chosen."),
            _("Choose SSL/TLS with its own port, or ask whoever runs the server."),
            True,
        ),
        "dropped": (_("%(host)s broke the connection off."), again, False),
        "busy": (_("%(host)s is busy."), again, False),
        "permission": (
            _("The sign-in worked, but this mailbox may not be opened."),
            _("Ask whoever runs the mailbox to allow it."),
            False,
        ),
        "stuck": (_("The check was interrupted."), _("Try again; the password is still kept, encrypted."), False),
        "no_password": (_("The password is no longer kept."), _("Type it again."), False),
    }
    return texts.get(kind, (_("%(host)s answered in a way that we do not understand."), again, False))
