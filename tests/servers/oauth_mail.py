"""Dovecot and Postfix that take OAuth tokens and ask the authorization server about each (introspection)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.dovecot import Dovecot, DovecotOptions
from tests.servers.oidc_server import OidcServer

PASSDB = """
auth_mechanisms = plain login xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {file}
}}
"""


def oauth_dovecot(oidc: OidcServer, name: str, users: tuple[str, ...], *, capability: str = "") -> Dovecot:
    """A Dovecot, not started, whose users sign in with tokens of this service (passwords go on)."""
    server = Dovecot(DovecotOptions(users=users, capability=capability))
    file = write_oauth(server.folder, oidc, name)
    server.options = DovecotOptions(users=users, capability=capability, extra=PASSDB.format(file=file))
    return server


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that Dovecot's own user may read; pytest's folders are shut by every run that begins."""
    folder = Path(tempfile.mkdtemp(prefix="oa", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_oauth(folder: Path, oidc: OidcServer, name: str) -> Path:
    """dovecot-oauth2.conf in this folder."""
    file = folder / "oauth2.conf"
    file.write_text(oidc.dovecot_oauth(name))
    file.chmod(0o644)
    return file
