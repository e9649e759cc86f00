"""The catalogue of mail providers that ships with the program: data files and their reader (pure).

Invariant: whatever the files say is checked when read, so a wrong line fails the tests and never reaches a database.

A `*.toml` file holds a table per provider, named by its key:
`name`, `kind` (consumer: a public mail service; business), `position` in the list of services, `monogram`;
`domains` (exactly these), `suffixes` (these and all below), `mx` (endings of the names of its MX hosts);
`imap`, `smtp`: "host:port security login", the preferred first; `{domain}` in a host stands for the mailbox's domain;
security is ssl or starttls; login is address (the whole address) or mailbox-name (what stands before the @);
`sign_in`: password, google, microsoft; `access`: direct, bridge, none;
`app_password`: required, sometimes (with two-step verification), maybe (not proven, never stated as a fact), and
`app_password_help`, `app_password_note`; `imap_off_by_default`, `enable_imap_url`, `help_url`, `notes`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from base.addresses import normalise_domain

FOLDER = Path(__file__).resolve().parent
PUBLIC_DOMAINS = FOLDER / "public_domains.txt"

_SERVER = re.compile(r"(?P<host>[a-z0-9.{}-]+):(?P<port>\d{2,5}) (?P<security>ssl|starttls) (?P<login>[a-z-]+)")
_LOGINS = {"address": "use_email_address", "mailbox-name": "use_mailbox_name", "manual": "manual_entry"}
_CHOICES = {
    "kind": {"consumer", "business"},
    "access": {"direct", "bridge", "none"},
    "app_password": {"", "required", "sometimes", "maybe"},
}
_SIGN_INS = {"password", "google", "microsoft"}
_LISTS = {"domains", "suffixes", "mx", "imap", "smtp", "sign_in"}
_TEXTS = {"name", "monogram", "app_password_help", "app_password_note", "enable_imap_url", "help_url", "notes"}
_KNOWN = set(_CHOICES) | _LISTS | _TEXTS | {"position", "imap_off_by_default"}


class CatalogueError(ValueError):
    """A line of the catalogue is wrong; the message names the provider and the field."""


@dataclass(frozen=True, slots=True)
class CatalogueServer:
    """One server; `login_format` in the words of providers.models.LoginFormat, `protocol` imap or smtp."""

    protocol: str
    host: str
    port: int
    security: str
    login_format: str


@dataclass(frozen=True, slots=True)
class CatalogueProvider:
    """One provider. `fields` are columns of providers.models.Provider; domains and suffixes are normalised."""

    key: str
    fields: Mapping[str, Any]
    servers: tuple[CatalogueServer, ...]
    domains: tuple[str, ...]
    suffixes: tuple[str, ...]


def read_catalogue(folder: Path = FOLDER) -> tuple[CatalogueProvider, ...]:
    """Return all providers of the folder's files. Raises CatalogueError (also for a key or domain named twice)."""
    found: dict[str, CatalogueProvider] = {}
    owners: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        for key, table in tomllib.loads(path.read_text("utf-8")).items():
            if key in found:
                raise CatalogueError(f"{key}: stands in the catalogue twice")
            found[key] = provider = _provider(key, table)
            for domain in (*provider.domains, *provider.suffixes):
                if owners.setdefault(domain, key) != key:
                    raise CatalogueError(f"{key}: {domain} belongs to {owners[domain]} already")
    return tuple(found.values())


def _provider(key: str, table: Mapping[str, Any]) -> CatalogueProvider:
    unknown = set(table) - _KNOWN
    if unknown or not table.get("name"):
        raise CatalogueError(f"{key}: unknown words {sorted(unknown)}" if unknown else f"{key}: has no name")
    for word, allowed in _CHOICES.items():
        if word in table and table[word] not in allowed:
            raise CatalogueError(f"{key}: {word} is {table[word]!r}, not one of {sorted(allowed)}")
    servers = tuple(_server(key, protocol, text) for protocol in ("imap", "smtp") for text in table.get(protocol, ()))
    return CatalogueProvider(
        key=key,
        fields=_fields(key, table, servers),
        servers=servers,
        domains=_domains(key, table.get("domains", ())),
        suffixes=_domains(key, table.get("suffixes", ())),
    )


def _fields(key: str, table: Mapping[str, Any], servers: tuple[CatalogueServer, ...]) -> dict[str, Any]:
    ways = set(table.get("sign_in", ("password",)))
    if ways - _SIGN_INS:
        raise CatalogueError(f"{key}: unknown sign-in {sorted(ways - _SIGN_INS)}")
    access = table.get("access", "direct")
    if bool(servers) != (access == "direct"):
        raise CatalogueError(f"{key}: has servers exactly when its access is direct")
    protocols = {server.protocol for server in servers}
    return {
        **{word: table.get(word, "") for word in _TEXTS},
        "kind": table.get("kind", "consumer"),
        "access": access,
        "position": table.get("position", 1000),
        "mx_suffixes": list(_domains(key, table.get("mx", ()))),
        "app_password": table.get("app_password", ""),
        "is_imap_off_by_default": table.get("imap_off_by_default", False),
        "can_receive": "imap" in protocols,
        "can_send": "smtp" in protocols,
        "allows_password": access == "direct" and "password" in ways,
        "allows_oauth": bool(ways & {"google", "microsoft"}),
        "oauth_kind": next(iter(ways & {"google", "microsoft"}), ""),
    }


def _server(key: str, protocol: str, text: str) -> CatalogueServer:
    match = _SERVER.fullmatch(text)
    if not match or match["login"] not in _LOGINS or not normalise_domain(match["host"].replace("{domain}", "a.test")):
        raise CatalogueError(f"{key}: {text!r} is no server")
    return CatalogueServer(protocol, match["host"], int(match["port"]), match["security"], _LOGINS[match["login"]])


def _domains(key: str, texts: object) -> tuple[str, ...]:
    assert isinstance(texts, list | tuple)
    domains = tuple(normalise_domain(text) for text in texts)
    if "" in domains:
        raise CatalogueError(f"{key}: {texts[domains.index('')]!r} is no domain")
    return domains


@lru_cache(maxsize=1)
def public_domains() -> frozenset[str]:
    """Return the bundled list of public mail domains besides those of the catalogue's providers."""
    lines = PUBLIC_DOMAINS.read_text("utf-8").splitlines()
    words = (word for line in lines if not line.startswith("#") for word in line.split())
    return frozenset(filter(None, map(normalise_domain, words)))
