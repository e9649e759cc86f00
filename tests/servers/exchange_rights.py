"""Whose token opens which mailbox, as Exchange Online decides it: asked by Dovecot and Postfix at each sign-in.

A person's token opens their own mailbox, and a shared one where they have full access; the token of an application
(client credentials) opens the mailboxes that its service principal was given. Dovecot hands the name and the token of
the SASL exchange to a `checkpassword` program, the program asks here, and here the authorization server is asked about
the token (RFC 7662): an ended, revoked or made-up one opens nothing, whatever the lists say.
"""

from __future__ import annotations

import json
import shutil
import socketserver
import tempfile
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from tests.servers.oidc_server import CLIENTS, OidcServer

PERSONS_SCOPE = "https://outlook.office.com/IMAP.AccessAsUser.All"
APPLICATIONS_SCOPE = "https://outlook.office365.com/.default"
PROGRAM = """#!/bin/bash
# checkpassword: name and token come on descriptor 3, each ended by NUL.
IFS= read -r -d '' -u 3 user; IFS= read -r -d '' -u 3 token
exec 5<>/dev/tcp/127.0.0.1/{port} || exit 111
printf '%s\\n%s\\n' "$user" "$token" >&5
IFS= read -r said <&5
export USER="$user"
case "$said" in yes) exec "$@" ;; no) exit 1 ;; *) exit 111 ;; esac
"""
PASSDB = """
auth_mechanisms = plain login xoauth2 oauthbearer
passdb {{
  driver = checkpassword
  mechanisms = xoauth2 oauthbearer
  args = {program}
}}
"""


@dataclass
class ExchangeRights:
    """The lists. `full_access`: mailbox → people; `applications`: mailbox → client ids; `asked`: (mailbox, who, answer)."""

    oidc: OidcServer
    full_access: dict[str, set[str]] = field(default_factory=dict)
    applications: dict[str, set[str]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        rights = self

        class Asked(socketserver.StreamRequestHandler):
            timeout = 30

            def handle(self) -> None:
                with suppress(OSError):
                    user, token = (self.rfile.readline(20_000).decode("utf-8", "replace").strip() for _each in "ut")
                    self.wfile.write(rights.decide(user, token).encode() + b"\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Asked)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self._folder = Path(tempfile.mkdtemp(prefix="xr", dir="/tmp"))
        self._folder.chmod(0o755)  # Dovecot's own user runs the program
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def passdb(self) -> str:
        """Dovecot's configuration; it names the program that asks here."""
        program = self._folder / "checkpassword"
        program.write_text(PROGRAM.format(port=self._server.server_address[1]))
        program.chmod(0o755)
        return PASSDB.format(program=program)

    def decide(self, mailbox: str, token: str) -> str:
        """`yes`, `no`, or `later` where the authorization server cannot be asked."""
        try:
            told = self._introspect(token)
        except (OSError, ValueError):
            who, answer = "?", "later"
        else:
            scopes, who = str(told.get("scope", "")).split(), str(told.get("sub") or told.get("client_id") or "?")
            if told.get("active") is not True:
                may = False
            elif told.get("sub"):  # a person, by whichever application
                may = PERSONS_SCOPE in scopes and (who == mailbox or who in self.full_access.get(mailbox, ()))
            else:
                may = APPLICATIONS_SCOPE in scopes and who in self.applications.get(mailbox, ())
            answer = "yes" if may else "no"
        self.asked.append((mailbox, who, answer))
        return answer

    def _introspect(self, token: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.oidc.plain_port}/tenant-1/v2.0/token/introspection?as={CLIENTS['microsoft']}"
        with urllib.request.urlopen(url, data=urlencode({"token": token}).encode(), timeout=10) as answer:
            return dict(json.load(answer))
