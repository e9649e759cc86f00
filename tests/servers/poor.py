"""A server with nothing but RFC 3501: no IDLE, CONDSTORE, MOVE, UIDPLUS, SPECIAL-USE, LIST-EXTENDED, ID, LITERAL+.

The commands of those extensions are really refused, and STATUS is refused for the folder that is open.
"""

from __future__ import annotations

from tests.servers.mini_imap import MiniImap


class PoorServer(MiniImap):
    """The same mailbox as anywhere else, with folders named in plain words."""

    capabilities = ("IMAP4rev1", "AUTH=PLAIN")

    status_of_open = False

    def __init__(self, *, noise: bool = True, users: dict[str, str] | None = None) -> None:
        super().__init__(noise=noise, users=users)
        for name in ("Sent Items", "Entwürfe", "Spam", "Trash"):
            self.add_folder(name)
