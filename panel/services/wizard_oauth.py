"""What the wizard's sign-in page shows where the provider signs people in by itself (Google, Microsoft, OpenID Connect)."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.models import MailboxSetup
from accounts.oauth import application_only, is_opened_by_application, last_attempt, may_be_shared
from accounts.oauth_words import told
from accounts.setup import Stage
from accounts.setup_errors import Explanation
from providers.applications import application_for

SERVICES = {"google": "Google", "microsoft": "Microsoft"}


@dataclass(frozen=True, slots=True)
class SignIn:
    """`is_registered`: an application is there; `identity`: who signed in instead; `app_password`: the other way is open;
    `app_only`: the application that may open it for itself; `is_app_only`: that is how the mailbox is opened by now."""

    service: str
    kind: str
    is_registered: bool
    is_manager: bool
    told: Explanation | None = None
    identity: str = ""
    may_share: bool = False
    app_only: str = ""
    is_app_only: bool = False
    app_password: bool = False

    @property
    def button(self) -> str:
        """The words of the button."""
        return _("Sign in with %(service)s") % {"service": self.service}


def sign_in_of(setup: MailboxSetup, problem: str = "") -> SignIn | None:
    """None where the provider takes no OAuth. `problem` is a word that the callback came with."""
    provider = setup.provider
    if provider is None or not provider.allows_oauth:
        return None
    application = application_for(setup.address, provider)
    service = SERVICES.get(provider.oauth_kind) or (application.name if application else provider.name)
    attempt = last_attempt(setup) if setup.stage == Stage.PASSWORD else None
    word = problem or (attempt.problem if attempt else "")
    is_other = attempt is not None and word == attempt.problem == "other_identity"
    app_only = application_only(setup)
    manager = setup.user.may_manage_servers
    identity = attempt.signed_in_as if attempt is not None and is_other else ""
    return SignIn(
        service=service,
        kind=provider.oauth_kind,
        is_registered=application is not None,
        is_manager=manager,
        told=told(word, service=service, address=setup.address, identity=identity or "?", is_manager=manager),
        identity=identity,
        may_share=attempt is not None and is_other and may_be_shared(attempt.application),
        app_only=app_only.name if app_only else "",
        is_app_only=is_opened_by_application(setup),
        app_password=provider.allows_password,
    )
