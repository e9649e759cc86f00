"""Reading providers: the services to select from, and the servers a mailbox would use.

Invariant: a server is offered with its host filled in and its user name made by its login format, never with a
placeholder.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import CASCADE, ManyToOneRel, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from base.addresses import split_address
from providers.models import LoginFormat, Protocol, Provider, ProviderDomain, ProviderServer


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
    impersonates: bool = False


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
            impersonates=server.impersonates,
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


def uses_of(provider: Provider) -> list[str]:
    """Return sentences that say why this provider cannot be deleted, [] if it can.

    Whatever model points at a provider counts (email accounts of the room above too), but for what goes with it.
    """
    reasons = []
    if provider.is_catalogue:
        reasons.append(_("It comes from the catalogue, which would bring it back: switch “enabled” off instead."))
    domains = list(provider.domains.filter(is_removed=False).values_list("domain", flat=True)[:4])
    if domains:
        count = provider.domains.filter(is_removed=False).count()
        names = ", ".join(domains[:3]) + (" …" if count > 3 else "")
        said = ngettext(
            "%(count)d domain leads to it (%(names)s): remove it or give it to another provider first.",
            "%(count)d domains lead to it (%(names)s): remove them or give them to another provider first.",
            count,
        )
        reasons.append(said % {"count": count, "names": names})
    for relation in Provider._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ManyToOneRel) or relation.on_delete is CASCADE:
            continue
        model = relation.related_model
        if isinstance(model, str) or model is None or model is ProviderDomain:
            continue
        count = model._default_manager.filter(**{relation.field.name: provider}).count()
        if count:
            what = model._meta.verbose_name if count == 1 else model._meta.verbose_name_plural
            reasons.append(_("Used by %(count)d %(what)s.") % {"count": count, "what": what})
    return reasons
