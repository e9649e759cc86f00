"""Reading providers: the services to select from, and the servers a mailbox would use.

Invariant: a server is offered with its host filled in and its user name made by its login format, never with a
placeholder.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from base.addresses import split_address
from providers.models import LoginFormat, Protocol, Provider, ProviderServer


@dataclass(frozen=True, slots=True)
class ServerOffer:
    """A server as it would be used for one address. `user_name` is "" where the person types it (manual entry)."""

    protocol: str
    host: str
    port: int | None
    security: str
    url: str
    login_format: str
    user_name: str
    ca_bundle: str = ""


def mail_services(search: str = "") -> QuerySet[Provider]:
    """Return the enabled providers for *Select mail service*, the best known first; `search` matches names, domains."""
    found = Provider.objects.filter(is_enabled=True)
    search = search.strip()[:100]
    if search:
        by_domain = Provider.objects.filter(domains__domain__istartswith=search, domains__is_removed=False)
        found = found.filter(name__icontains=search) | found.filter(pk__in=by_domain.values("pk"))
    return found.order_by("position", "name")


def server_offers(provider: Provider, address: str) -> tuple[ServerOffer, ...]:
    """Return the servers of a provider for this address, receiving before sending, the preferred first.

    Directions that the provider has switched off are left out. Empty for an invalid address.
    """
    local, domain = split_address(address)
    if not domain:
        return ()
    order = {Protocol.IMAP: 0, Protocol.EWS: 1, Protocol.SMTP: 2}
    servers = [server for server in provider.servers.all() if _is_on(provider, server)]
    servers.sort(key=lambda server: (order[Protocol(server.protocol)], server.position, server.pk))
    return tuple(
        ServerOffer(
            protocol=server.protocol,
            host=server.host.replace("{domain}", domain),
            port=server.port,
            security=server.security,
            url=server.url,
            login_format=server.login_format,
            user_name=user_name_for(server.login_format, local, domain),
            ca_bundle=server.ca_bundle,
        )
        for server in servers
    )


def user_name_for(login_format: str, local: str, domain: str) -> str:
    """Return the user name for a login format: the address, its mailbox name, or "" (typed by the person)."""
    if login_format == LoginFormat.ADDRESS:
        return f"{local}@{domain}"
    return local if login_format == LoginFormat.MAILBOX_NAME else ""


def _is_on(provider: Provider, server: ProviderServer) -> bool:
    if server.protocol == Protocol.SMTP:
        return provider.can_send
    return provider.can_receive or (server.protocol == Protocol.EWS and provider.can_send)
