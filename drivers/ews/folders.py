"""The folder tree and the roles in it, which come from distinguished folders: names are in any language.

Invariant: only folders of mail are listed; a mailbox of which one may see only some folders is listed as far as one sees.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers import errors
from drivers.ews.faults import Refused
from drivers.ews.session import Session
from drivers.ews.wire import Element, children, element, field, local_name, number_at, text_at
from drivers.types import FolderRole, RemoteFolder

ROLES = {
    "inbox": FolderRole.INBOX,
    "sentitems": FolderRole.SENT,
    "drafts": FolderRole.DRAFTS,
    "junkemail": FolderRole.JUNK,
    "deleteditems": FolderRole.TRASH,
}
NOT_MAIL = (
    "outbox",
    "syncissues",
    "conflicts",
    "localfailures",
    "serverfailures",
    "conversationhistory",
    "recipientcache",
)
TOP = "msgfolderroot"
EPOCH = 1  # ids of items live as long as the item: there is no numbering that could begin anew
PAGE = 500
MAX_FOLDERS = 20_000
MAX_DEPTH = 40
SHOWN = ("folder:DisplayName", "folder:FolderClass", "folder:TotalCount", "folder:ParentFolderId")


def folder_shape(*, ids_only: bool = False) -> Element:
    """What is asked of a folder."""
    more = None if ids_only else element("t:AdditionalProperties", *(field(uri) for uri in SHOWN))
    return element("m:FolderShape", element("t:BaseShape", "IdOnly"), more)


def distinguished(session: Session, name: str) -> Element:
    """The reference of a distinguished folder in the session's mailbox."""
    mailbox = None  # one's own: not every server knows the mailbox of somebody else
    if "@" in session.address and not session.is_own:
        mailbox = element("t:Mailbox", element("t:EmailAddress", session.address))
    return element("t:DistinguishedFolderId", mailbox, Id=name)


def by_id(folder_id: str) -> Element:
    """The reference of a folder."""
    return element("t:FolderId", Id=folder_id)


def list_folders(session: Session) -> list[RemoteFolder]:
    """All folders of mail with their paths, roles and counts. Raises drivers.errors."""
    special = _special(session, (TOP, *ROLES, "archive", *NOT_MAIL))
    top = special.get(TOP)
    try:
        found = _hierarchy(session)
    except (errors.PermissionMissing, errors.FolderGone):
        top, found = None, []  # somebody else's mailbox: what is shared of it
    folders = {folder_id: folder for folder in found if (folder_id := _id(folder))}
    for name, folder in special.items():
        if name != TOP and (top is None or name in ROLES):
            folders.setdefault(_id(folder), folder)
    hidden = {_id(folder) for name, folder in special.items() if name in NOT_MAIL}
    roles = {_id(folder): role for name, role in ROLES.items() if (folder := special.get(name)) is not None}
    if (archive := special.get("archive")) is not None:
        roles.setdefault(_id(archive), FolderRole.ARCHIVE)
    top_id = _id(top) if top is not None else ""
    return [
        RemoteFolder(
            id=folder_id,
            path=path,
            role=roles.get(folder_id, FolderRole.NONE),
            virtual=local_name(folder) == "SearchFolder",
            total=number_at(folder, "TotalCount"),
            epoch=EPOCH,
        )
        for folder_id, folder in folders.items()
        if folder_id not in hidden and _is_of_mail(folder) and (path := _path(folder, folders, top_id))
    ]


def find(session: Session, name: str) -> str:
    """The id of a distinguished folder. Raises FolderGone, drivers.errors."""
    found = _special(session, (name,)).get(name)
    if found is None:
        raise errors.FolderGone("The folder does not exist.")
    return _id(found)


def check(session: Session, folder_id: str) -> int | None:
    """How many items lie in a folder. Raises FolderGone."""
    shape = element(
        "m:FolderShape",
        element("t:BaseShape", "IdOnly"),
        element("t:AdditionalProperties", field("folder:TotalCount")),
    )
    payload = element("m:GetFolder", shape, element("m:FolderIds", by_id(folder_id)))
    try:
        folder = next(_folders_in(session.one("GetFolder", payload)), None)
    except errors.MessageGone as error:  # malformed or unknown id
        raise errors.FolderGone("The folder does not exist.", server_said=error.server_said) from error
    if folder is None:
        raise errors.FolderGone("The folder does not exist.")
    return number_at(folder, "TotalCount")


def _special(session: Session, names: Sequence[str]) -> dict[str, Element]:
    """Distinguished folders that exist and may be seen; one that the server does not know must not cost the others."""
    found: dict[str, Element] = {}
    for asked in (names,) if len(names) == 1 else (names[: len(ROLES) + 1], names[len(ROLES) + 1 :]):
        found |= _ask_special(session, asked)
    return found


def _ask_special(session: Session, names: Sequence[str]) -> dict[str, Element]:
    payload = element(
        "m:GetFolder", folder_shape(), element("m:FolderIds", *(distinguished(session, name) for name in names))
    )
    try:
        answers = session.ask("GetFolder", payload)
    except (errors.ProtocolError, errors.FolderGone, errors.MessageGone):
        if len(names) == 1:
            return {}
        answers = []
    if len(answers) != len(names):  # an older schema refuses the whole request for one unknown name
        return (
            {key: one for name in names for key, one in _ask_special(session, (name,)).items()}
            if len(names) > 1
            else {}
        )
    found: dict[str, Element] = {}
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, Refused):
            if name == TOP and isinstance(answer.as_error(), errors.ServerBusy | errors.AuthenticationFailed):
                raise answer.as_error()
            continue
        folder = next(_folders_in(answer), None)
        if folder is not None:
            found[name] = folder
    return found


def _hierarchy(session: Session) -> list[Element]:
    """All folders below the top: by SyncFolderHierarchy, else by FindFolder. Raises drivers.errors."""
    try:
        return _by_sync(session)
    except errors.ProtocolError:
        return _by_find(session)


def _by_sync(session: Session) -> list[Element]:
    found: list[Element] = []
    state = ""
    for _turn in range(MAX_FOLDERS // 10):
        payload = element(
            "m:SyncFolderHierarchy",
            folder_shape(),
            element("m:SyncFolderId", distinguished(session, TOP)),
            element("m:SyncState", state) if state else None,
        )
        answer = session.one("SyncFolderHierarchy", payload)
        changes = answer.find("{*}Changes")
        for change in children(changes):
            if local_name(change) in ("Create", "Update"):
                found.extend(children(change))
        state = answer.findtext("{*}SyncState") or ""
        is_last = (answer.findtext("{*}IncludesLastFolderInRange") or "true").strip().lower() in ("true", "1")
        if is_last or not state or len(found) >= MAX_FOLDERS:
            return found[:MAX_FOLDERS]
    return found


def _by_find(session: Session) -> list[Element]:
    found: list[Element] = []
    while len(found) < MAX_FOLDERS:
        payload = element(
            "m:FindFolder",
            folder_shape(),
            element(
                "m:IndexedPageFolderView", MaxEntriesReturned=str(PAGE), Offset=str(len(found)), BasePoint="Beginning"
            ),
            element("m:ParentFolderIds", distinguished(session, TOP)),
            Traversal="Deep",
        )
        root = session.one("FindFolder", payload).find("{*}RootFolder")
        page = list(children(root.find("{*}Folders"))) if root is not None else []
        found.extend(page)
        if not page or root is None or (root.get("IncludesLastItemInRange") or "true").lower() in ("true", "1"):
            break
    return found


def _folders_in(message: Element):  # type: ignore[no-untyped-def]  # noqa: ANN202 - an iterator of elements
    return children(message.find("{*}Folders"))


def _id(folder: Element | None) -> str:
    found = folder.find("{*}FolderId") if folder is not None else None
    return (found.get("Id") or "") if found is not None else ""


def _parent(folder: Element) -> str:
    found = folder.find("{*}ParentFolderId")
    return (found.get("Id") or "") if found is not None else ""


def _is_of_mail(folder: Element) -> bool:
    kind = text_at(folder, "FolderClass")
    if local_name(folder) not in ("Folder", "SearchFolder"):
        return False
    return not kind or kind.lower() == "ipf" or kind.lower().startswith("ipf.note")


def _path(folder: Element, folders: dict[str, Element], top_id: str) -> tuple[str, ...]:
    """Names from below the top down; a folder whose parent one may not see stands at the top."""
    names: list[str] = []
    here: Element | None = folder
    seen = 0
    while here is not None and seen < MAX_DEPTH:
        name = text_at(here, "DisplayName")
        names.append(name[:255] or "?")
        parent = _parent(here)
        here = folders.get(parent) if parent and parent != top_id else None
        seen += 1
    return tuple(reversed(names)) if seen < MAX_DEPTH else ()
