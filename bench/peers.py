"""Other programs that bring a mailbox home, for `script/bench sync`: offlineimap (Debian) and django-mailbox (PyPI).

They are slow: each brings at most the newest mails of a mailbox of its own, and its rate is what counts.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.postgres import PostgresServer

Peer = Callable[[Dovecot, str, Path], tuple[float, int]]  # server, user and a new folder; seconds and mails brought
DJANGO_MAILBOX = "django-mailbox==4.10.1"
PROGRAM = """
import sys
import django
from django.conf import settings
folder, host, port, name, user, uri = sys.argv[1:]
settings.configure(
    INSTALLED_APPS=["django_mailbox"], MEDIA_ROOT=folder, USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": host, "PORT": port, "NAME": name, "USER": user}},
)
django.setup()
from django.core.management import call_command
from django_mailbox.models import Mailbox
call_command("migrate", verbosity=0)
print("ready", flush=True)
sys.stdin.readline()
mailbox = Mailbox.objects.create(name="bench", uri=uri)
print(sum(1 for _ in mailbox.get_new_mail()), flush=True)
"""


def offlineimap(server: Dovecot, user: str, folder: Path) -> tuple[float, int]:
    """Seconds, and how many mails it brought into a Maildir. Raises RuntimeError."""
    folder.mkdir(parents=True)
    (folder / "ca.pem").write_text(server.authority.pem)
    (folder / "rc").write_text(
        f"[general]\naccounts = bench\nmetadata = {folder}/meta\n\n[Account bench]\nlocalrepository = near\n"
        f"remoterepository = far\n\n[Repository near]\ntype = Maildir\nlocalfolders = {folder}/maildir\n\n"
        f"[Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {server.ssl_port}\nremoteuser = {user}\n"
        f"remotepass = {PASSWORD}\nssl = yes\nsslcacertfile = {folder}/ca.pem\nreadonly = True\n"
        "folderfilter = lambda name: name == 'INBOX'\n"
    )
    began = time.monotonic()
    words = ["offlineimap", "-o", "-c", str(folder / "rc"), "-u", "quiet"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={"HOME": str(folder), "PATH": "/usr/bin"}
    )
    took = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"offlineimap: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return took, sum(1 for part in ("cur", "new") for _ in (folder / "maildir" / "INBOX" / part).iterdir())


def django_mailbox(server: Dovecot, user: str, folder: Path) -> tuple[float, int]:
    """Seconds from its first command to its last row, and how many mails it stored. It deletes them on the server. Its
    PostgreSQL is its own, with fsync on, so that nothing of it goes on while others are measured."""
    installer = Path(sys.prefix) / "uv" / "bin" / "uv"  # as script/_environment put it there
    words = f"pip install -q --no-deps --python {sys.executable} --target {folder} {DJANGO_MAILBOX}".split()
    subprocess.run([str(installer), *words], check=True)
    postgres = PostgresServer(is_durable=True).start()
    try:
        return _run_django_mailbox(folder, postgres.url(), server, user)
    finally:
        postgres.stop()


def _run_django_mailbox(folder: Path, database_url: str, server: Dovecot, user: str) -> tuple[float, int]:
    database = urlsplit(database_url)
    uri = f"imap+ssl://{quote(user, safe='')}:{quote(PASSWORD, safe='')}@localhost:{server.ssl_port}"
    words = [str(folder), database.hostname, database.port, database.path[1:], database.username, uri]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdin is None or process.stdout is None or process.stdout.readline() != "ready\n":
        raise RuntimeError("django-mailbox did not begin")
    began = time.monotonic()
    process.stdin.write("go\n")
    process.stdin.flush()
    said = process.stdout.readline()
    took = time.monotonic() - began
    process.wait(60)
    return took, int(said)
