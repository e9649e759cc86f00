"""What only Gmail has (X-GM-EXT-1): labels, stable message ids, and a trash that is the only way to delete."""

from __future__ import annotations

from drivers.imap.syntax import Token, decode_folder, show_folder
from drivers.types import FolderRole

MAX_LABELS = 500


def read_labels(value: bytes | list[Token] | None) -> tuple[str, ...]:
    """Names out of X-GM-LABELS; system labels keep their backslash (\\Inbox, \\Sent). The label of the folder that is
    open is not among them."""
    tokens: list[Token] = list(value.split()) if isinstance(value, bytes) else (value or [])
    labels = [show_folder(decode_folder(token)) for token in tokens[:MAX_LABELS] if isinstance(token, bytes)]
    return tuple(dict.fromkeys(label for label in labels if label))


def deletes_for_good(role: FolderRole) -> bool:
    """True where Gmail's EXPUNGE really deletes; in any other folder it only takes that folder's label away."""
    return role in (FolderRole.TRASH, FolderRole.JUNK)
