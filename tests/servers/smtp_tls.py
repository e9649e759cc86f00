"""Certificate files for the SMTP test servers, signed by the tests' own authority."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from tests.servers.certificates import TestAuthority


@dataclass(frozen=True)
class Certificate:
    """PEM files of one server, and the PEM text that a client must trust for it."""

    chain: Path
    key: Path
    authority: str

    def server_context(self) -> ssl.SSLContext:
        """TLS settings of a server that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


def make_certificate(
    folder: Path,
    *,
    names: tuple[str, ...] = ("localhost", "127.0.0.1"),
    expired: bool = False,
    self_signed: bool = False,
) -> Certificate:
    """A certificate for `names`, good unless asked otherwise, as files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = TestAuthority()
    issued = authority.issue(*names, expired=expired, self_signed=self_signed)
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_text(issued.certificate if self_signed else issued.certificate + authority.pem)
    key.write_text(issued.key)
    key.chmod(0o600)
    return Certificate(chain, key, authority.pem)
