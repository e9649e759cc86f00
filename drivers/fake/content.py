"""What the in-memory server makes of a source: its leaves, and the message without its attachments. Pure."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message

from drivers.types import PartInfo


def sections(message: Message, prefix: str = "") -> dict[str, Message]:
    """Leaves by IMAP section."""
    if not message.is_multipart():
        return {prefix or "1": message}
    found: dict[str, Message] = {}
    for number, child in enumerate(message.get_payload(), 1):
        if isinstance(child, Message):
            found.update(sections(child, f"{prefix}.{number}" if prefix else str(number)))
    return found


def without_attachments(source: bytes) -> tuple[bytes, tuple[PartInfo, ...]]:
    """The source without the bodies of its attachments, and what was left out."""
    message = message_from_bytes(source)
    left_out: list[PartInfo] = []
    for section, part in sections(message).items():
        if part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment":
            continue
        payload = part.get_payload()
        left_out.append(
            PartInfo(
                section,
                part.get_content_type(),
                len(payload) if isinstance(payload, str) else 0,
                part.get_filename() or "",
                part.get("Content-ID", ""),
                part.get_content_disposition() or "",
                part.get("Content-Transfer-Encoding", ""),
            )
        )
        part.set_payload("")
    return (message.as_bytes() if left_out else source), tuple(left_out)
