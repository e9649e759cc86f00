"""Every screen with something believable on it: for axe, for widths and for pictures."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts import services
from accounts.models import EmailAccount, MailboxSetup, SetupCheck, SignInAttempt, User
from accounts.setup import ChosenServer
from accounts.tokens import keep_tokens
from accounts.vault import move_candidate
from contacts.models import Company, Contact
from drivers.oauth.flow import Tokens
from linking.models import MessageLink, Reason
from mail.models import Thread
from mail.threads import refresh
from providers.models import OAuthApplication, Provider
from tests.factories import (
    CompanyFactory,
    ContactFactory,
    EmailAccountFactory,
    EmailAccountServerFactory,
    MessageFactory,
    ProviderDomainFactory,
    ProviderFactory,
    ProviderServerFactory,
    ShareFactory,
    UserFactory,
)
from tests.panel.demo import believable

LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft Wien-Floridsdorf"

ANONYMOUS = {
    "sign-in": "/accounts/login/", "reset": "/accounts/password/reset/", "reset-done": "/accounts/password/reset/done/",
    "invitation-gone": "/invitation/unknown/", "sign-up": "/accounts/signup/",
}  # fmt: skip


def screens() -> tuple[User, dict[str, str]]:
    """A mail administrator with mail, people and runs of the wizard at every stage; name → address of each screen."""
    user, account = believable()
    User.objects.filter(pk=user.pk).update(is_mail_administrator=True)
    user.refresh_from_db()
    EmailAccountServerFactory(email_account=account)
    EmailAccountServerFactory(email_account=account, protocol="smtp", host="smtp.mail.example", port=465)
    ShareFactory(email_account=account, level="send", user=UserFactory(name=LONG))
    _long(account)
    lanterns, doubtful, long, newsletter = (
        Thread.objects.filter(subject__startswith=one).order_by("-message_count")[0].pk
        for one in ("Lantern order", "Updated bank", LONG[:20], "What 2700")
    )
    contact, company = Contact.objects.order_by("pk")[0].pk, Company.objects.order_by("pk")[0].pk
    mine, person, firm = (
        f"/settings/email-accounts/{account.pk}/", f"/contacts/{contact}/", f"/companies/{company}/",
    )  # fmt: skip
    paths = {
        "inbox": "/", "not-processed": "/?view=open", "drafts": "/?view=drafts", "sent": "/?view=sent",
        "thread": f"/threads/{lanterns}/", "doubtful": f"/threads/{doubtful}/", "long": f"/threads/{long}/",
        "newsletter": f"/threads/{newsletter}/",
        "search": "/search/?q=lantern", "search-none": "/search/?q=zeppelin", "links": f"/context/{lanterns}/links/",
        "notifications": "/notifications/", "keys": "/keys/",
        "contacts": "/contacts/", "contacts-none": "/contacts/?q=zeppelin", "contact": person, "contact-new": "/contacts/new/",
        "contact-edit": f"{person}edit/", "contact-merge": f"{person}merge/", "contact-delete": f"{person}delete/",
        "import": "/contacts/import/",
        "companies": "/companies/", "company": firm, "company-new": "/companies/new/", "company-edit": f"{firm}edit/",
        "company-merge": f"{firm}merge/", "company-delete": f"{firm}delete/",
        "settings": "/settings/", "people": "/settings/people/", "email-account": mine, "remove": f"{mine}remove/",
        "sign-in-again": f"/email-accounts/{account.pk}/sign-in/", "why": f"{mine}why/?q=lantern",
        "two-steps": "/accounts/2fa/", "totp": "/accounts/2fa/totp/activate/", "sessions": "/accounts/sessions/",
        "password": "/accounts/password/change/", "reauthenticate": "/accounts/reauthenticate/",
    }  # fmt: skip
    return user, paths | _wizard(user) | _without_a_password(user)


def _long(account: EmailAccount) -> None:
    """Names and subjects that no line holds."""
    message = MessageFactory(
        email_account=account, from_name=LONG, from_address=f"{'a' * 60}@{'b' * 50}.example", subject=f"{LONG} {LONG}",
        text="x" * 300, to=[(LONG, account.address)], folder=account.folders.first(),
    )  # fmt: skip
    person, firm = ContactFactory(first_name=LONG, last_name=LONG, job_title=LONG), CompanyFactory(name=LONG)
    MessageLink.objects.create(message=message, contact=person, reason=Reason.CONTACT_ADDRESS, evidence={})
    MessageLink.objects.create(message=message, company=firm, reason=Reason.COMPANY_DOMAIN, evidence={})
    refresh([message.thread_id])


def _wizard(user: User) -> dict[str, str]:
    provider = ProviderFactory(name="Nordlys Post")
    ProviderServerFactory(provider=provider)
    ProviderDomainFactory(domain="nordlys-post.example", provider=provider)
    paths = {"wizard-address": "/email-accounts/new/"}
    for name in ("service", "server"):
        setup = services.start_setup(user=user, address="kim@unknown.example")
        paths[f"wizard-{name}"] = f"/email-accounts/new/{setup.pk}/{name}/"
    setup = _run(user)
    paths["wizard-password"] = f"/email-accounts/new/{setup.pk}/password/"
    setup = _run(user, stage="checking")
    _steps(setup, ("ok", "running", "waiting"))
    paths["wizard-check"] = f"/email-accounts/new/{setup.pk}/check/"
    for kind, direction in (
        ("password", 0), ("unknown_host", 0), ("refused", 0), ("imap_off", 0), ("certificate", 0), ("timeout", 0), ("password", 1),
    ):  # fmt: skip
        setup = _run(user, stage="failed")
        _steps(setup, ("failed", "waiting", "waiting") if not direction else ("ok", "failed", "ok"), kind)
        paths[f"wizard-failed-{kind}-{direction}"] = f"/email-accounts/new/{setup.pk}/check/"
    done = _run(user, stage="done", email_account=EmailAccount.objects.filter(state="connected")[0])
    paths["wizard-done"] = f"/email-accounts/new/{done.pk}/done/"
    return paths


def _without_a_password(user: User) -> dict[str, str]:
    """The sign-in page of providers that take OAuth: not registered, refused, and another identity than the address."""
    paths = {}
    for kind, name in (("google", "Gmail"), ("microsoft", "Microsoft 365")):
        providers = []
        for _each in range(2):
            providers.append(
                ProviderFactory(
                    name=name, allows_oauth=True, oauth_kind=kind, allows_password=kind == "google",
                    app_password="required" if kind == "google" else "",
                )
            )  # fmt: skip
            ProviderServerFactory(provider=providers[-1])
        application = OAuthApplication.objects.create(
            key=kind, name=f"Our {name}", kind=kind, client_id="id", provider=providers[1]
        )
        paths[f"sign-in-none-{kind}"] = _at(user, providers[0])
        for word in ("scope",) if kind == "google" else ("administrator",):  # all alike but for the sentence
            paths[f"sign-in-{word}-{kind}"] = f"{_at(user, providers[1])}?told={word}"
        if kind == "google":
            continue
        paths |= _as_an_application(user, providers)
        paths["sign-in-other-microsoft"] = _at(user, providers[1])
        SignInAttempt.objects.create(
            state_hash=kind, session_hash="", user=user, setup=MailboxSetup.objects.latest("created_at"),
            application=application, problem="other_identity", expires_at=timezone.now(),
            signed_in_as="ines.ferreira-vandenbroucke@azulejos.example",
        )  # fmt: skip
    return paths


def _as_an_application(user: User, providers: list[Provider]) -> dict[str, str]:
    """Application-only access: offered beside the other way, and as the way that a mailbox is opened already."""
    service = OAuthApplication.objects.create(
        key="service", name="Our service", kind="microsoft", client_id="id", is_app_only=True,
        domains="nordlys-post.example",
    )  # fmt: skip
    account = EmailAccountFactory(owner=user, provider=providers[1], address="desk@nordlys-post.example")
    first = services.start_setup(user=user, address=account.address)
    keep_tokens(Tokens("token"), application=service, setup=first, is_app_only=True)
    move_candidate(first, account)
    again = services.start_again(user=user, email_account=account)
    return {"app-only": _at(user, providers[1]), "app-only-again": f"/email-accounts/new/{again.pk}/password/"}


def _at(user: User, provider: Provider) -> str:
    setup = services.start_setup(user=user, address="maren.solheim@nordlys-post.example")
    services.choose_provider(setup, provider, evidence="Found by the MX record of nordlys-post.example")
    return f"/email-accounts/new/{setup.pk}/password/"


def _run(user: User, **more: Any) -> MailboxSetup:
    setup = services.start_setup(user=user, address="maren.solheim-vandenbroucke@nordlys-post.example")
    servers = (
        ChosenServer("imap", "imap.nordlys-post.example", 993), ChosenServer("smtp", "smtp.nordlys-post.example", 465),
    )  # fmt: skip
    services.use_servers(setup, servers)
    MailboxSetup.objects.filter(pk=setup.pk).update(**more)
    setup.refresh_from_db()
    return setup


def _steps(setup: MailboxSetup, states: tuple[str, ...], error: str = "") -> None:
    for position, (kind, state) in enumerate(zip(("receive", "send", "folders"), states, strict=True)):
        failed = {"error_kind": error, "server_said": "[AUTHENTICATIONFAILED] Invalid credentials"}
        SetupCheck.objects.update_or_create(
            setup=setup, kind=kind,
            defaults={"position": position, "state": state, "seconds": 0.4} | (failed if state == "failed" else {}),
        )  # fmt: skip
