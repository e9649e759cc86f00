"""Content of items: the source (MIME) below a size, else properties with the attachments left out.

Invariants: an answer stays within `BATCH_BYTES` where sizes are known; an item that cannot be converted to MIME by the
server is built from its properties; what is gone is left out.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from email import message_from_bytes
from email.message import Message

from drivers import errors
from drivers.ews.compose import headers_of, message_of
from drivers.ews.faults import NO_MIME, Refused
from drivers.ews.items import TRANSPORT_HEADERS, copy_of, item_shape, listed
from drivers.ews.session import Session
from drivers.ews.streamed import content_of
from drivers.ews.wire import Element, children, element, field, number_at, tagged, text_at
from drivers.types import PartInfo, RemoteMessage

BATCH = 100  # items of one GetItem
BATCH_BYTES = 8 * 1024 * 1024  # of messages in one answer (a third more on the wire)
MOST_WHOLE = 24 * 1024 * 1024  # bytes: a larger message is never asked for whole but by `fetch_raw`
MOST_TEXT = 8 * 1024 * 1024  # bytes of a message without its attachments, above which it is not asked for as one answer
TEXT_KEPT = 1024 * 1024  # bytes of such a message
UNKNOWN_SIZE = 256 * 1024
CHUNK = 64 * 1024
LONGEST_KEY = 600  # characters of an id, as the ledger keeps it
LARGEST_PART = "a"  # parts of a message built from properties are "a1", "a2", …; others are sections of its MIME

_HEAD = re.compile(r"[!-9;-~]{1,100}:.*\n")

HEADERS = (
    "item:Subject",
    "item:DateTimeSent",
    "item:InReplyTo",
    "message:From",
    "message:Sender",
    "message:ToRecipients",
    "message:CcRecipients",
    "message:BccRecipients",
    "message:ReplyTo",
    "message:InternetMessageId",
    "message:References",
)


def header_fields() -> list[Element]:
    """What tells messages apart, with the header block as it arrived where the server kept it."""
    return [*listed(), *(field(uri) for uri in HEADERS), tagged(TRANSPORT_HEADERS, "String")]


def get_items(session: Session, keys: Sequence[str]) -> Iterator[Element]:
    """These items with the properties of copies; the gone are left out. Raises drivers.errors."""
    for _key, found in ask_items(session, keys, item_shape(*listed())):
        if not isinstance(found, Refused):
            yield found


def ask_items(session: Session, keys: Sequence[str], shape: Element) -> Iterator[tuple[str, Element | Refused]]:
    """(key, item or why not) in batches; items that are gone are left out. Raises drivers.errors."""
    for start in range(0, len(keys), BATCH):
        batch = [key for key in dict.fromkeys(keys[start : start + BATCH]) if is_plausible(key)]
        if not batch:
            continue
        ids = element("m:ItemIds", *(element("t:ItemId", Id=key) for key in batch))
        payload = element("m:GetItem", _copied(shape), ids)
        try:
            answers = session.ask("GetItem", payload)
        except (errors.MessageGone, errors.ProtocolError):
            if len(batch) == 1:
                raise
            answers = []
        if len(answers) != len(batch):  # one that is malformed may cost the whole answer
            for key in batch:
                yield from _ask_one(session, key, shape)
            continue
        for key, answer in zip(batch, answers, strict=True):
            found = _item_in(answer)
            if found is not None:
                yield key, found


def _ask_one(session: Session, key: str, shape: Element) -> Iterator[tuple[str, Element | Refused]]:
    payload = element("m:GetItem", _copied(shape), element("m:ItemIds", element("t:ItemId", Id=key)))
    try:
        for answer in session.ask("GetItem", payload)[:1]:
            found = _item_in(answer)
            if found is not None:
                yield key, found
    except errors.MessageGone:
        return


def _copied(shape: Element) -> Element:
    """lxml moves an element that is put into another one."""
    return shape.__copy__() if shape.getparent() is None else shape.__deepcopy__({})


def _item_in(answer: Element | Refused) -> Element | Refused | None:
    """The item of an answer; None for one that is gone. Raises what stops everything (busy, sign-in)."""
    if isinstance(answer, Refused):
        error = answer.as_error()
        if isinstance(error, errors.MessageGone):
            return None
        if isinstance(error, errors.ServerBusy | errors.AuthenticationFailed):
            raise error
        return answer
    return next(iter(children(answer.find("{*}Items"))), None)


def is_plausible(key: str) -> bool:
    """Whether this can be an id at all (base64)."""
    return 8 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable() and " " not in key


def fetch_messages(session: Session, keys: Sequence[str], *, whole_below: int) -> Iterator[RemoteMessage]:
    """Content in the order given. Raises drivers.errors."""
    for start in range(0, len(keys), BATCH):
        wanted = list(dict.fromkeys(keys[start : start + BATCH]))
        heads = {
            key: item
            for key, item in ask_items(session, wanted, item_shape(*listed()))
            if not isinstance(item, Refused)
        }
        there = [key for key in wanted if key in heads]
        for batch in _batches(there, heads, min(whole_below, MOST_WHOLE)):
            if len(batch) == 1 and _size(heads[batch[0]]) >= min(whole_below, MOST_WHOLE):
                yield from built(session, batch[0], _size(heads[batch[0]]))
                continue
            yield from _whole(session, batch, heads)


def _size(head: Element) -> int:
    return number_at(head, "Size") or UNKNOWN_SIZE


def _batches(keys: Sequence[str], heads: dict[str, Element], whole_below: int) -> Iterator[list[str]]:
    """Groups of one answer, in order: small ones together, a large one alone."""
    batch: list[str] = []
    total = 0
    for key in keys:
        size = _size(heads[key])
        if batch and (size >= whole_below or total + size > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(key)
        total += size
        if size >= whole_below:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _whole(session: Session, keys: Sequence[str], heads: dict[str, Element]) -> Iterator[RemoteMessage]:
    try:
        found = dict(ask_items(session, keys, item_shape(mime=True)))
    except errors.ProtocolError:
        if len(keys) == 1:
            yield from built(session, keys[0])
            return
        for key in keys:
            yield from _whole(session, [key], heads)
        return
    for key in keys:
        item = found.get(key)
        if item is None:
            continue
        raw = source_in(item) if not isinstance(item, Refused) else None
        if raw is None:
            yield from built(session, key)
        else:
            yield RemoteMessage(copy_of(heads[key]), raw)


def source_in(item: Element) -> bytes | None:
    """The decoded MimeContent; None where there is none."""
    text = text_at(item, "MimeContent")
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):  # some give it out as it stands
        raw = text.encode("utf-8", "replace") if _HEAD.match(text) else b""
    return raw or None


def built(session: Session, key: str, size: int = 0) -> Iterator[RemoteMessage]:
    """A message made of properties, its attachments left out; nothing when it is gone. Raises ProtocolError.

    `size` as the server counts it: of a large message it is looked first how much of it are attachments.
    """
    rest = [*header_fields(), field("item:Attachments"), field("item:InternetMessageHeaders")]
    if size > MOST_TEXT:
        for _key, item in ask_items(session, [key], item_shape(*listed(), field("item:Attachments"))):
            parts = () if isinstance(item, Refused) else tuple(info for info, _id in attachments(item))
            if size - sum(part.size for part in parts) > MOST_TEXT:
                yield _beginning(session, key, item, parts)
                return
    for _key, item in ask_items(session, [key], item_shape(*rest, field("item:Body"), body="Best")):
        if isinstance(item, Refused):
            raise errors.ProtocolError("The server could not give this message out.", server_said=item.code)
        parts = tuple(info for info, _id in attachments(item))
        yield RemoteMessage(copy_of(item), message_of(item), is_complete=not parts, left_out=parts)


def _beginning(session: Session, key: str, item: Element, parts: Sequence[PartInfo]) -> RemoteMessage:
    """The first part of a message whose text is too long. Raises ProtocolError where it has attachments, too."""
    if parts:
        raise errors.ProtocolError("The text of this message is longer than we take.")
    raw = b""
    for piece in _stream(session, key):
        raw += piece
        if len(raw) >= TEXT_KEPT:
            break
    return RemoteMessage(copy_of(item), raw, is_complete=False)


def attachments(item: Element) -> list[tuple[PartInfo, str]]:
    """(part, AttachmentId) of each attachment, in the server's order."""
    found: list[tuple[PartInfo, str]] = []
    for one in children(item.find("{*}Attachments")):
        reference = one.find("{*}AttachmentId")
        is_item = one.find("{*}Content") is None and str(one.tag).endswith("}ItemAttachment")
        kind = "message/rfc822" if is_item else text_at(one, "ContentType").lower() or "application/octet-stream"
        content_id = text_at(one, "ContentId").strip("<> ")
        is_inline = text_at(one, "IsInline").lower() in ("true", "1")
        info = PartInfo(
            id=f"{LARGEST_PART}{len(found) + 1}",
            content_type=kind,
            size=number_at(one, "Size") or 0,
            file_name=text_at(one, "Name")[:255],
            content_id=f"<{content_id}>" if content_id else "",
            disposition="inline" if is_inline else "attachment",
            encoding="base64",
        )
        found.append((info, (reference.get("Id") or "") if reference is not None else ""))
    return found


def fetch_headers(session: Session, keys: Sequence[str]) -> Iterator[RemoteMessage]:
    """Header blocks in the order given. Raises drivers.errors."""
    for start in range(0, len(keys), BATCH):
        wanted = list(dict.fromkeys(keys[start : start + BATCH]))
        found = dict(ask_items(session, wanted, item_shape(*header_fields())))
        for key in wanted:
            item = found.get(key)
            if item is not None and not isinstance(item, Refused):
                yield RemoteMessage(copy_of(item), headers_of(item), is_complete=False)


def fetch_raw(session: Session, key: str) -> Iterator[bytes]:
    """The source in chunks. Raises MessageGone, drivers.errors."""
    pieces = _stream(session, key)
    first = b""
    with suppress(errors.ProtocolError, errors.MessageGone):  # no MIME, or none that can be read so
        first = next(pieces, b"")
    if first:
        yield first
        yield from pieces
        return
    yield from chunks(_source(session, key))


def _stream(session: Session, key: str) -> Iterator[bytes]:
    payload = element("m:GetItem", item_shape(mime=True), element("m:ItemIds", element("t:ItemId", Id=key)))
    return content_of(session, "GetItem", payload)


def _source(session: Session, key: str) -> bytes:
    for _key, item in ask_items(session, [key], item_shape(mime=True)):
        if isinstance(item, Refused):
            if item.code in NO_MIME:
                return b"".join(message.raw for message in built(session, key))
            raise item.as_error()
        raw = source_in(item)
        if raw is not None:
            return raw
        return b"".join(message.raw for message in built(session, key))
    raise errors.MessageGone("The message is no longer there.")


def chunks(data: bytes) -> Iterator[bytes]:
    """The bytes in pieces."""
    return (data[start : start + CHUNK] for start in range(0, len(data), CHUNK))


def fetch_part(session: Session, key: str, part: str) -> Iterator[bytes]:
    """A part's decoded bytes in chunks. Raises MessageGone, drivers.errors."""
    if part.startswith(LARGEST_PART):
        return _attachment(session, key, part)
    found = sections(message_from_bytes(_source(session, key))).get(part)
    content = decoded(found) if found is not None else None
    if content is None:
        raise errors.MessageGone("The message has no such part.")
    return chunks(content)


def decoded(part: Message) -> bytes | None:
    """The bytes of a leaf; an embedded message as it stands."""
    if part.get_content_type() == "message/rfc822" and part.is_multipart():
        inner = part.get_payload()
        return inner[0].as_bytes() if isinstance(inner, list) and isinstance(inner[0], Message) else None
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else None


def sections(message: Message, prefix: str = "") -> dict[str, Message]:
    """Leaves by IMAP section (RFC 3501 6.4.5), embedded messages whole."""
    found: dict[str, Message] = {}
    rest: list[tuple[Message, str]] = [(message, prefix)]
    while rest:
        here, section = rest.pop()
        payload = here.get_payload()
        if here.get_content_maintype() == "multipart" and isinstance(payload, list):
            for number, child in enumerate(payload, 1):
                if isinstance(child, Message):
                    rest.append((child, f"{section}.{number}" if section else str(number)))
        else:
            found[section or "1"] = here
            if here.get_content_type() == "message/rfc822" and isinstance(payload, list) and payload:
                inner = payload[0]
                if isinstance(inner, Message):
                    rest.append((inner, section or "1") if inner.is_multipart() else (inner, f"{section or '1'}.1"))
    return found


def _attachment(session: Session, key: str, part: str) -> Iterator[bytes]:
    shape = item_shape(field("item:Attachments"))
    for _key, item in ask_items(session, [key], shape):
        if isinstance(item, Refused):
            raise item.as_error()
        ids = {info.id: attachment_id for info, attachment_id in attachments(item)}
        if ids.get(part):
            return _content(session, ids[part])
    raise errors.MessageGone("The message has no such part.")


def _content(session: Session, attachment_id: str) -> Iterator[bytes]:
    """The bytes of an attachment; of an attached item its own source."""
    payload = element(
        "m:GetAttachment",
        element("m:AttachmentShape", element("t:IncludeMimeContent", "true")),
        element("m:AttachmentIds", element("t:AttachmentId", Id=attachment_id)),
    )
    return content_of(session, "GetAttachment", payload)
