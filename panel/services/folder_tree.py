"""The folders of a mailbox as a tree for the settings: a ticked folder brings its subfolders."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from accounts.models import EmailAccount
from mail.folders import ORDER
from mail.models import Folder

NEVER = ("junk",)
ALWAYS = ("sent",)
MAX_DEPTH = 20


@dataclass(slots=True)
class Node:
    """A folder with those inside it; `folder` is None for a name that only holds others."""

    name: str
    folder: Folder | None = None
    children: list[Node] = field(default_factory=list)

    @property
    def is_fixed(self) -> bool:
        """Whether the choice is not the person's: Sent always comes, Junk never."""
        return self.is_group or (self.folder is not None and self.folder.role in (*NEVER, *ALWAYS))

    @property
    def is_group(self) -> bool:
        """Whether it only holds other folders."""
        return self.folder is None or not self.folder.is_selectable

    @property
    def title(self) -> str:
        """Its name; INBOX in plain words."""
        return _("Inbox") if self.folder is not None and self.folder.role == "inbox" else self.name

    @property
    def is_never(self) -> bool:
        """Junk is never downloaded."""
        return self.folder is not None and self.folder.role in NEVER


def folder_tree(email_account: EmailAccount) -> list[Node]:
    """The tree, INBOX and Sent first, the rest by name. One query."""
    roots: list[Node] = []
    places: dict[tuple[str, ...], Node] = {}
    rows = Folder.objects.filter(email_account=email_account, gone_at__isnull=True)
    for folder in sorted(rows, key=_order):
        path = tuple(str(segment) for segment in folder.path[:MAX_DEPTH]) or (folder.remote_id,)
        node = _node(path, places, roots)
        node.folder = folder
    return roots


def _order(folder: Folder) -> tuple[int, list[str]]:
    plain = ORDER.index("")
    place = ORDER.index(folder.role) if folder.role in ORDER and len(folder.path) == 1 else plain
    return place, [str(segment).casefold() for segment in folder.path]


def _node(path: tuple[str, ...], places: dict[tuple[str, ...], Node], roots: list[Node]) -> Node:
    if path in places:
        return places[path]
    node = places[path] = Node(name=path[-1])
    if len(path) == 1:
        roots.append(node)
    else:
        _node(path[:-1], places, roots).children.append(node)
    return node


def counts(tree: list[Node]) -> tuple[int, int]:
    """(followed, all) selectable folders of a tree."""
    followed = total = 0
    for node in tree:
        if node.folder is not None and node.folder.is_selectable:
            total += 1
            followed += node.folder.is_followed
        inside = counts(node.children)
        followed, total = followed + inside[0], total + inside[1]
    return followed, total
