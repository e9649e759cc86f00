"""Who has a mailbox on the demo server. Addresses, words and names are invented; the words are no secret."""

from __future__ import annotations

from dataclasses import dataclass

DOMAIN = "nordlys.example"


@dataclass(frozen=True, slots=True)
class DemoUser:
    """`key` is the name in the scripts; one signs in with the whole `address` and the fixed `password`."""

    key: str
    address: str
    password: str
    name: str


DEMO_USERS = (
    DemoUser("maren", f"maren.solheim@{DOMAIN}", "fjord-lantern-demo", "Maren Solheim"),
    DemoUser("sales", f"sales@{DOMAIN}", "two-candles-demo", "Nordlys Sales"),
    DemoUser("ravi", f"ravi.chandrasekaran@{DOMAIN}", "patina-ria-demo", "Ravi Chandrasekaran"),
)
FOLDERS = ("Sent", "Drafts", "Junk", "Trash", "Archive", "Projects", "Projects/Porto 2027", "Tenders")
