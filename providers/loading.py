"""Bringing the catalogue's data into the database.

Invariant: may run at any time, any number of times; a field that an administrator edited, a domain they removed or
gave to another provider, and a provider they disabled stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from providers.catalogue import CatalogueProvider, read_catalogue
from providers.models import DomainMatch, DomainSource, Provider, ProviderDomain, ProviderServer


@dataclass(frozen=True, slots=True)
class Counts:
    """What a load did: providers added, changed, with edits kept; domains added, kept as removed or moved by hand."""

    added: int = 0
    changed: int = 0
    kept: int = 0
    domains_added: int = 0
    domains_kept: int = 0


@transaction.atomic
def load(catalogue: Iterable[CatalogueProvider] | None = None) -> Counts:
    """Write the catalogue (the bundled one by default) and return what was done."""
    entries = tuple(read_catalogue() if catalogue is None else catalogue)
    known = {provider.key: provider for provider in Provider.objects.prefetch_related("servers")}
    added = changed = kept = 0
    for entry in entries:
        provider = known.get(entry.key)
        if provider is None:
            known[entry.key] = _add(entry)
            added += 1
            continue
        if not provider.is_catalogue:
            continue  # an administrator made a provider under this key: theirs
        changed += _refresh(provider, entry)
        kept += bool(provider.edited_fields)
    domains_added, domains_kept = _load_domains(entries, known)
    return Counts(added, changed, kept, domains_added, domains_kept)


def _add(entry: CatalogueProvider) -> Provider:
    provider = Provider.objects.create(key=entry.key, is_catalogue=True, **entry.fields)
    _write_servers(provider, entry)
    return provider


def _refresh(provider: Provider, entry: CatalogueProvider) -> bool:
    edited = set(provider.edited_fields)
    news = {
        name: value for name, value in entry.fields.items() if name not in edited and getattr(provider, name) != value
    }
    for name, value in news.items():
        setattr(provider, name, value)
    if news:
        provider.save(update_fields=list(news))
    servers_differ = "servers" not in edited and _described(provider) != _wanted(entry)
    if servers_differ:
        provider.servers.all().delete()
        _write_servers(provider, entry)
    return bool(news) or servers_differ


def _described(provider: Provider) -> list[tuple[object, ...]]:
    return sorted(
        (row.protocol, row.position, row.host, row.port, row.security, row.login_format)
        for row in provider.servers.all()
    )


def _wanted(entry: CatalogueProvider) -> list[tuple[object, ...]]:
    return sorted(
        (row.protocol, row.position, row.host, row.port, row.security, row.login_format) for row in _rows(entry)
    )


def _rows(entry: CatalogueProvider) -> list[ProviderServer]:
    rows: list[ProviderServer] = []
    for server in entry.servers:
        position = sum(row.protocol == server.protocol for row in rows)
        rows.append(
            ProviderServer(
                protocol=server.protocol,
                host=server.host,
                port=server.port,
                security=server.security,
                login_format=server.login_format,
                position=position,
            )
        )
    return rows


def _write_servers(provider: Provider, entry: CatalogueProvider) -> None:
    rows = _rows(entry)
    for row in rows:
        row.provider = provider
    ProviderServer.objects.bulk_create(rows)


def _load_domains(entries: tuple[CatalogueProvider, ...], known: dict[str, Provider]) -> tuple[int, int]:
    wanted = {
        (domain, match): known[entry.key]
        for entry in entries
        for match, domains in ((DomainMatch.EXACT, entry.domains), (DomainMatch.SUFFIX, entry.suffixes))
        for domain in domains
    }
    present = {(row.domain, row.match): row for row in ProviderDomain.objects.all()}
    missing = [
        ProviderDomain(domain=domain, match=match, provider=provider, source=DomainSource.CATALOGUE)
        for (domain, match), provider in wanted.items()
        if (domain, match) not in present
    ]
    ProviderDomain.objects.bulk_create(missing)
    kept = sum(
        present[key].is_removed or present[key].provider_id != provider.pk
        for key, provider in wanted.items()
        if key in present
    )
    return len(missing), kept
