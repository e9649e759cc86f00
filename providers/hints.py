"""What a person is told about a provider before signing in: app passwords, IMAP switched off, no access at all.

Invariant: what is not proven is said as a possibility, with the provider's own page to look it up.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from providers.models import Access, AppPassword, Provider


@dataclass(frozen=True, slots=True)
class Hint:
    """`headline` is a sentence, `detail` more of them or "", `url` a page of the provider or ""."""

    headline: str
    detail: str = ""
    url: str = ""


def app_password_hint(provider: Provider) -> Hint | None:
    """Return what to say beside the password field, None if the usual password is known to work or nothing is known."""
    detail = _(provider.app_password_note) if provider.app_password_note else ""
    url = provider.app_password_help or provider.help_url
    words = {"provider": provider.name}
    if provider.app_password == AppPassword.REQUIRED:
        said = _("%(provider)s does not accept your usual password here: make an app password.") % words
        return Hint(said, detail, url)
    if provider.app_password == AppPassword.SOMETIMES:
        said = _("With two-step verification switched on, %(provider)s wants an app password here.") % words
        return Hint(said, detail, url)
    if provider.app_password == AppPassword.MAYBE:
        return Hint(_("%(provider)s may need an app password for mail programs.") % words, detail, url)
    return Hint(detail, "", url) if detail else None


def imap_hint(provider: Provider) -> Hint | None:
    """Return where IMAP is switched on, None where nothing is known about it."""
    if not provider.enable_imap_url:
        return None
    words = {"provider": provider.name}
    if provider.is_imap_off_by_default:
        said = _("At %(provider)s access for mail programs (IMAP) is off until you switch it on.") % words
    else:
        said = _("At %(provider)s access for mail programs (IMAP) can be switched off: check that it is on.") % words
    return Hint(said, "", provider.enable_imap_url)


def access_hint(provider: Provider) -> Hint | None:
    """Return why a mailbox of this provider cannot be connected directly, None where it can."""
    words = {"provider": provider.name}
    if provider.access == Access.BRIDGE:
        said = _("%(provider)s opens its mailboxes to mail programs only through its own bridge program.") % words
        detail = _("Ask a mail administrator to run the bridge beside CRM Mail and to add it as a server.")
        return Hint(said, detail, provider.help_url)
    if provider.access == Access.NONE:
        said = _("%(provider)s offers no access to mail programs, so this mailbox cannot be connected.") % words
        return Hint(
            said, _("Forward its mail to a mailbox of another provider and connect that one."), provider.help_url
        )
    return None
