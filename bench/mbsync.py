"""mbsync (isync), the yardstick: it writes a Maildir with its default fsync."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.servers.dovecot import PASSWORD, Dovecot


class Mbsync:
    """A configuration for one user's INBOX in `folder`."""

    def __init__(self, server: Dovecot, user: str, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        authority = folder / "ca.pem"
        authority.write_text(server.authority.pem)
        (folder / "maildir").mkdir()
        (folder / "rc").write_text(
            f'IMAPAccount bench\nHost localhost\nPort {server.ssl_port}\nUser {user}\nPass "{PASSWORD}"\nSSLType IMAPS\n'
            f"CertificateFile {authority}\n\nIMAPStore far\nAccount bench\n\n"
            f"MaildirStore near\nPath {folder}/maildir/\nInbox {folder}/maildir/INBOX\nSubFolders Verbatim\n\n"
            f"Channel inbox\nFar :far:INBOX\nNear :near:INBOX\nCreate Near\nSync Pull\nSyncState {folder}/state-\n"
        )

    def run(self) -> float:
        """Seconds of one run. Raises RuntimeError."""
        began = time.monotonic()
        done = subprocess.run(
            ["mbsync", "-q", "-c", self.folder / "rc", "inbox"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"mbsync: {done.stderr}")
        return time.monotonic() - began

    def count(self) -> int:
        """Messages in the Maildir."""
        return sum(1 for part in ("cur", "new") for _ in (self.folder / "maildir" / "INBOX" / part).iterdir())
