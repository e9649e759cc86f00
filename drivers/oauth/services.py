"""Which service is spoken to how: the one visible list. Adding one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from drivers.oauth.flow import Application, ServiceKind, SignInService
from drivers.oauth.google import GoogleService
from drivers.oauth.microsoft import MicrosoftService
from drivers.oauth.openid import OpenIdService

SERVICES: dict[ServiceKind, Callable[[Application], SignInService]] = {
    ServiceKind.GOOGLE: GoogleService,
    ServiceKind.MICROSOFT: MicrosoftService,
    ServiceKind.OPENID: OpenIdService,
}


def sign_in_service(application: Application) -> SignInService:
    """The service that this application is registered with."""
    return SERVICES[application.kind](application)
