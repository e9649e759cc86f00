"""Which registered application signs people in to a mailbox, and the driver for it.

Invariant: a client secret leaves this file only inside `drivers.oauth.flow.Application`; the one that a domain names
wins over the one of a provider, that over the one of a service; application-only ones are never offered to a person.
"""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from base.addresses import domain_of
from base.crypto import CryptoError, KeyRing
from base.web import Door
from drivers.errors import DriverError
from drivers.oauth.errors import ApplicationRefused
from drivers.oauth.flow import Application, ServiceKind, SignInService
from drivers.oauth.services import sign_in_service
from providers.models import OAuthApplication, Provider

TIMEOUT = 12.0  # seconds for each network step: a person may be waiting


@cache
def _key_ring() -> KeyRing:
    return KeyRing(settings.CREDENTIAL_KEYS)


def _bound_to(application: OAuthApplication) -> str:
    return f"providers.OAuthApplication:{application.pk}"


def set_secret(application: OAuthApplication, secret: str) -> None:
    """Put a client secret into the row (not saved yet); "" takes it away."""
    application.secret_ciphertext = (
        _key_ring().encrypt(secret.encode(), bound_to=_bound_to(application)) if secret else ""
    )


def _secret_of(application: OAuthApplication) -> str:
    if not application.secret_ciphertext:
        return ""
    return _key_ring().decrypt(application.secret_ciphertext, bound_to=_bound_to(application)).decode()


def rotate_applications() -> int:
    """Encrypt every client secret anew with the first key; returns how many changed. Raises CryptoError."""
    changed = 0
    for application in OAuthApplication.objects.exclude(secret_ciphertext=""):
        if _key_ring().needs_rotation(application.secret_ciphertext):
            set_secret(application, _secret_of(application))
            application.save(update_fields=["secret_ciphertext"])
            changed += 1
    return changed


def service_of(application: OAuthApplication) -> SignInService:
    """The service, as this application. Raises ApplicationRefused where no key opens its secret."""
    try:
        secret = _secret_of(application)
    except CryptoError:
        raise ApplicationRefused("The client secret of the application cannot be read.") from None
    return sign_in_service(
        Application(
            kind=ServiceKind(application.kind),
            client_id=application.client_id,
            client_secret=secret,
            tenant=application.tenant,
            issuer=application.issuer,
            mail_scopes=tuple(application.mail_scopes.split()),
            door=Door(settings.PRIVATE_NETWORKS, application.ca_bundle, TIMEOUT),
        )
    )


def redirect_uri(key: str) -> str:
    """The exact address that this installation's applications send people back to."""
    return settings.BASE_URL + reverse("panel:oauth_callback", args=[key])


def enabled_applications() -> QuerySet[OAuthApplication]:
    """Applications that people may sign in with."""
    return OAuthApplication.objects.filter(is_enabled=True, is_app_only=False)


def application_for(address: str, provider: Provider | None) -> OAuthApplication | None:
    """The application for a mailbox at `provider`; None where the provider takes no OAuth or none is registered."""
    if provider is None or not provider.allows_oauth:
        return None
    rows = list(enabled_applications().filter(kind=provider.oauth_kind).order_by("created_at"))
    domain = domain_of(address)
    for fits in (
        [row for row in rows if domain in row.domain_list and row.provider_id in (None, provider.pk)],
        [row for row in rows if not row.domains and row.provider_id == provider.pk],
        [row for row in rows if not row.domains and row.provider_id is None],
    ):
        if fits:
            return fits[0]
    return None


def test_application(application: OAuthApplication) -> str:
    """Ask the service whether it knows the application; "" or the kind of what is wrong. The row keeps the result."""
    try:
        service = service_of(application)
        if application.is_app_only:
            service.for_application()
        else:
            service.check()
        problem = ""
    except ApplicationRefused:
        problem = "application"
    except DriverError as error:
        problem = str(getattr(error, "kind", "") or "answer")
    application.tested_at, application.test_problem = timezone.now(), problem
    OAuthApplication.objects.filter(pk=application.pk).update(tested_at=timezone.now(), test_problem=problem)
    return problem
