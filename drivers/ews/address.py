"""The address of an Exchange service and the name one signs in with. Pure.

Invariant: what passes is an https URL, or an http one (the guard lets it reach the operator's private networks only).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

SERVICE_PATH = "/EWS/Exchange.asmx"
MAX_URL = 500  # characters


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the service answers; `port` is the scheme's own where none was given."""

    url: str
    host: str
    port: int
    is_encrypted: bool


def endpoint_of(text: str) -> Endpoint:
    """The endpoint that a person typed: a host ("mail.example.org", "mail.example.org:8443") or a whole URL.

    A URL without a path gets the path of Exchange. Raises ValueError.
    """
    text = text.strip()
    if not text or len(text) > MAX_URL or any(char <= " " or char == "\x7f" for char in text):
        raise ValueError("no address of an Exchange service")
    parts = urlsplit(text if "://" in text else f"https://{text}")
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host or parts.username or parts.password or parts.fragment:
        raise ValueError("no address of an Exchange service")
    is_encrypted = parts.scheme == "https"
    port = parts.port or (443 if is_encrypted else 80)
    shown = f"[{host}]" if ":" in host else host
    place = shown if port == (443 if is_encrypted else 80) else f"{shown}:{port}"
    path = parts.path if parts.path not in ("", "/") else SERVICE_PATH
    query = f"?{parts.query}" if parts.query else ""
    return Endpoint(f"{parts.scheme}://{place}{path}{query}", host, port, is_encrypted)


def ntlm_name(user_name: str) -> str:
    """The name as NTLM takes it: `DOMAIN\\user` as it is, an address or a bare name under the empty domain."""
    return user_name if "\\" in user_name else f"\\{user_name}"
