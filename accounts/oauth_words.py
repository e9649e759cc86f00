"""What happened at a sign-in service, in words: what it means for the mail, and the way on.

Invariant: what the service said is no part of these sentences.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from accounts.setup_errors import Explanation


def told(
    problem: str, *, service: str, address: str, identity: str = "", is_manager: bool = False
) -> Explanation | None:
    """The sentences for a word of accounts.oauth; None for ""."""
    if not problem:
        return None
    words = {"service": service, "address": address, "identity": identity}
    nothing = _("Nothing was saved, and nothing changed in the mailbox.")
    if problem == "other_identity":
        return Explanation(
            _("You signed in as %(identity)s, but this is about %(address)s.") % words,
            nothing,
            _("Sign in with the other identity, or connect the mailbox of the one you used."),
        )
    title, mend = _texts(is_manager).get(problem, _texts(is_manager)["answer"])
    return Explanation(title % words, nothing, mend % words)


def _texts(is_manager: bool) -> dict[str, tuple[str, str]]:
    again = _("Sign in again.")
    ask = (
        _("Test the application in the administration, and mend it there.")
        if is_manager
        else _("Tell an administrator of this installation; the application that we use there needs a look.")
    )
    return {
        "refused": (_("The access was not granted at %(service)s."), _("Sign in again and choose Allow or Accept.")),
        "administrator": (
            _("%(service)s wants an administrator of your organisation to agree first."),
            _("Ask the administrator of your organisation's mail to approve this application, then sign in again."),
        ),
        "scope": (
            _("%(service)s signed you in, but without the right to read and send mail."),
            _("Sign in again and leave every box ticked, above all the one for your email."),
        ),
        "no_refresh": (_("%(service)s gave a sign-in that ends within the hour."), ask),
        "expired": (_("This sign-in took too long, or was begun in another browser."), again),
        "replayed": (_("This sign-in was used already."), _("If no mailbox was added by it, sign in again.")),
        "forged": (_("The answer did not belong to this sign-in, so it was thrown away."), again),
        "unknown": (_("The answer did not belong to a sign-in that you began."), _("Begin with the address again.")),
        "away": (_("%(service)s cannot be reached just now."), _("Try again in a few minutes.")),
        "application": (_("%(service)s does not know this installation's application, or its secret is over."), ask),
        "tries": (_("Too many tries with this address."), _("Start again tomorrow.")),
        "answer": (_("%(service)s answered in a way that we do not understand."), _("Try again in a few minutes.")),
    }
