"""Items as EWS shows them: the properties of a MIME message in the schema's order, and MIME made anew from them."""

from __future__ import annotations

import base64
import email.policy
import hashlib
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from lxml import etree

from tests.servers.ews.store import Folder, Item
from tests.servers.ews.tables import ITEM, MESSAGE, M, T

DETAIL = {"Body", "TextBody", "Attachments", "ToRecipients", "CcRecipients", "BccRecipients", "MimeContent",
          "InternetMessageHeaders", "ReplyTo", "UniqueBody"}  # fmt: skip
DEFAULTS = ["ItemClass", "Subject", "DateTimeReceived", "Size", "IsDraft", "HasAttachments", "From", "IsRead"]
ALL = [*DEFAULTS, "ParentFolderId", "DateTimeSent", "DateTimeCreated", "InReplyTo", "InternetMessageId", "Body",
       "Attachments", "ToRecipients", "CcRecipients", "BccRecipients", "InternetMessageHeaders", "Sender",
       "References", "ReplyTo", "Importance", "Flag"]  # fmt: skip


def el(tag: str, *children: Any, **attributes: str) -> etree._Element:
    """An element of the answer; None is left out."""
    prefix, _, name = tag.partition(":")
    made = etree.Element("{" + {"m": M, "t": T}[prefix] + "}" + name, nsmap={"m": M, "t": T})
    for key, value in attributes.items():
        made.set(key, value)
    for child in children:
        if isinstance(child, str):
            made.text = (
                child
                if child.isascii() and child.isprintable()
                else "".join(c for c in child if c in "\t\n\r" or " " <= c < "\ufffe" and not "\ud800" <= c <= "\udfff")
            )
        elif child is not None:
            made.append(child)
    return made


def decoded(value: Any) -> str:
    """A header as text."""
    try:
        return str(make_header(decode_header(str(value or "")))).replace("\r", "").replace("\n", "")
    except (LookupError, UnicodeError, ValueError):
        return str(value or "")


def pairs_in(values: list[Any]) -> list[tuple[str, str]]:
    """(name, address) of each address in these headers; those that Python's email stumbles over name nobody."""
    try:
        return getaddresses([decoded(value) for value in values])
    except (IndexError, ValueError, AttributeError, RecursionError):
        return []


def stamp(moment: datetime, decimals: int) -> str:
    """A time with so many decimals."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{moment.microsecond * 1000:09}"[: decimals + 1] if decimals else "") + "Z"


class Shown:
    """One item, asked for its properties."""

    def __init__(self, item: Item, folder: Folder, *, decimals: int = 0, regenerates: bool = False) -> None:
        self.item, self.folder, self.decimals, self.regenerates = item, folder, decimals, regenerates
        self.message = item.message

    @property
    def tag(self) -> str:
        """The element's name by the class."""
        kind = self.item.item_class
        if kind.startswith("IPM.Schedule.Meeting.Request"):
            return "MeetingRequest"
        if kind.startswith("IPM.Appointment"):
            return "CalendarItem"
        return "Contact" if kind.startswith("IPM.Contact") else "Message"

    def element(self, names: list[str], tags: list[etree._Element], *, body: str = "Best", finds: bool = False) -> Any:
        """The element with these properties (and MAPI ones), in the schema's order."""
        made = el(f"t:{self.tag}")
        wanted = {"ItemId", *names}
        for name in ITEM + MESSAGE:
            if name == "ItemId":
                made.append(el("t:ItemId", Id=self.item.id, ChangeKey=self.item.change_key))
            elif name == "ExtendedProperty":
                for uri in tags:
                    self._extended(made, uri)
            elif name in wanted and not (finds and name in DETAIL):
                value = self._value(name, body, finds)
                if value is not None:
                    made.append(value)
        return made

    def _extended(self, made: etree._Element, uri: etree._Element) -> None:
        tag = int(uri.get("PropertyTag") or "0", 16)
        value = self.item.values.get(tag)
        if tag == 0x007D and self.item.item_class == "IPM.Note" and not self.item.is_draft:
            value = self.item.raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("utf-8", "replace") + "\n"
        if value is not None:
            shown = el("t:ExtendedFieldURI", PropertyTag=f"0x{tag:x}", PropertyType=uri.get("PropertyType") or "String")
            made.append(el("t:ExtendedProperty", shown, el("t:Value", value)))

    def _value(self, name: str, body: str, finds: bool) -> Any:  # noqa: C901 - a table of properties
        item, message = self.item, self.message
        people = {"ToRecipients": "To", "CcRecipients": "Cc", "ReplyTo": "Reply-To"}
        texts = {"Subject": decoded(message["Subject"]), "InReplyTo": decoded(message["In-Reply-To"]),
                 "InternetMessageId": decoded(message["Message-ID"]).strip(),
                 "References": decoded(message["References"]), "ItemClass": item.item_class,
                 "Size": str(item.size), "Importance": "Normal"}  # fmt: skip
        flags = {"IsRead": item.is_read, "IsDraft": item.is_draft, "HasAttachments": bool(self.files()),
                 "IsAssociated": False}  # fmt: skip
        if name in texts:
            return el(f"t:{name}", texts[name]) if texts[name] else None
        if name in flags:
            return el(f"t:{name}", "true" if flags[name] else "false")
        if name in ("DateTimeReceived", "DateTimeCreated"):
            moment = item.received_at if name == "DateTimeReceived" else item.created_at
            return el(f"t:{name}", stamp(moment, self.decimals)) if moment else None
        if name == "DateTimeSent":
            try:
                return el("t:DateTimeSent", stamp(parsedate_to_datetime(str(message["Date"])), self.decimals))
            except (TypeError, ValueError):
                return None
        if name in ("From", "Sender"):
            pairs = pairs_in([message["From"]])[:1]
            if not pairs or not any(pairs[0]):
                return None
            name_, address = pairs[0]
            # FindItem tells the name only, as documented.
            return el(
                f"t:{name}", el("t:Mailbox", el("t:Name", name_ or address), *([] if finds else self._smtp(address)))
            )
        if name in people:
            return self._people(name, pairs_in(message.get_all(people[name], [])))
        if name == "BccRecipients":
            return self._people(name, [("", address) for address in item.bcc])
        if name == "ParentFolderId":
            return el("t:ParentFolderId", Id=self.folder.id, ChangeKey="AQAAAA==")
        if name == "Flag":
            return el("t:Flag", el("t:FlagStatus", "Flagged" if item.values.get(0x1090) == "2" else "NotFlagged"))
        if name == "MimeContent":
            return el("t:MimeContent", base64.b64encode(self.mime()).decode(), CharacterSet="UTF-8")
        if name in ("Body", "TextBody"):
            kind, text = self.body("Text" if name == "TextBody" else body)
            return el(f"t:{name}", text, BodyType=kind)
        if name == "Attachments":
            files = [self._attachment(n, *one) for n, one in enumerate(self.files())]
            return el("t:Attachments", *files) if files else None
        if name == "InternetMessageHeaders" and not item.is_draft:
            pairs = [(key, " ".join(str(value).split())) for key, value in message.items()]
            return el("t:InternetMessageHeaders", *(el("t:InternetMessageHeader", v, HeaderName=k) for k, v in pairs))
        return None

    def _smtp(self, address: str) -> list[etree._Element]:
        return [el("t:EmailAddress", address), el("t:RoutingType", "SMTP"), el("t:MailboxType", "OneOff")]

    def _people(self, name: str, pairs: list[tuple[str, str]]) -> Any:
        found = [
            el("t:Mailbox", el("t:Name", who or address), *self._smtp(address)) for who, address in pairs if address
        ]
        return el(f"t:{name}", *found) if found else None

    def leaves(self) -> list[Message]:
        """Leaves of the MIME tree; an embedded message is one."""
        found: list[Message] = []

        def walk(part: Message) -> None:
            if part.get_content_maintype() == "multipart" and part.is_multipart():
                for child in part.get_payload():
                    walk(child)  # type: ignore[arg-type]
            else:
                found.append(part)

        walk(self.message)
        return found

    def files(self) -> list[tuple[str, str, str, bool, bytes]]:
        """(name, type, content id, inline, bytes) of each attachment."""
        found = []
        for part in self.leaves():
            is_body = (
                part.get_content_type() in ("text/plain", "text/html")
                and part.get_content_disposition() != "attachment"
            )
            if is_body:
                continue
            content = part.get_payload(decode=True)
            if not isinstance(content, bytes):
                content = b"".join(one.as_bytes() for one in part.get_payload())  # type: ignore[union-attr]
            cid = str(part.get("Content-ID") or "").strip("<> ")
            inline = part.get_content_disposition() == "inline" or bool(cid)
            found.append((decoded(part.get_filename()) or "attachment", part.get_content_type(), cid, inline, content))
        return found + [(name, kind, "", False, content) for name, kind, content in self.item.attachments]

    def attachment_id(self, number: int) -> str:
        """The id of an attachment."""
        return base64.b64encode(f"{self.item.id}#{number}".encode()).decode()

    def _attachment(self, number: int, name: str, kind: str, cid: str, inline: bool, content: bytes) -> etree._Element:
        return el(
            "t:FileAttachment",
            el("t:AttachmentId", Id=self.attachment_id(number)),
            el("t:Name", name),
            el("t:ContentType", kind),
            el("t:ContentId", cid) if cid else None,
            el("t:Size", str(len(content) + 200)),
            el("t:IsInline", "true" if inline else "false"),
        )

    def body(self, wanted: str) -> tuple[str, str]:
        """(BodyType, text): one body is kept, the best one; the other kind is made of it."""
        texts = {}
        for part in self.leaves():
            if (
                part.get_content_type() in ("text/plain", "text/html")
                and part.get_content_disposition() != "attachment"
            ):
                data = part.get_payload(decode=True)
                charset = part.get_content_charset() or "utf-8"
                try:
                    text = data.decode(charset, "replace") if isinstance(data, bytes) else ""
                except LookupError:
                    text = data.decode("latin-1") if isinstance(data, bytes) else ""
                texts.setdefault(part.get_content_type(), text)
        html, plain = texts.get("text/html"), texts.get("text/plain")
        if html is not None:
            if wanted == "Text":
                return "Text", "".join(etree.HTML(html or "<p/>").itertext())
            return "HTML", html
        if wanted == "HTML":
            return (
                "HTML",
                f"<html><body><pre>{(plain or '').replace('&', '&amp;').replace('<', '&lt;')}</pre></body></html>",
            )
        return "Text", plain or ""

    def mime(self) -> bytes:
        """The source as it was, or made anew from the properties (another boundary, other encodings and folding)."""
        if not self.regenerates:
            return self.item.raw
        made = EmailMessage(policy=email.policy.SMTP)
        for key, value in self.message.items():
            if not key.lower().startswith(("content-", "mime-version")):
                try:
                    made[key] = decoded(value)
                except ValueError:
                    continue
        kind, text = self.body("Best")
        made.set_content(text, subtype="html" if kind == "HTML" else "plain", cte="base64")
        for name, file_type, cid, inline, content in self.files():
            main, _, sub = file_type.partition("/")
            main, sub = (main, sub) if main not in ("message", "multipart") else ("application", "octet-stream")
            made.add_attachment(
                content, maintype=main, subtype=sub, filename=name, cid=f"<{cid}>" if cid else None,
                disposition="inline" if inline else "attachment",
            )  # fmt: skip
        if made.is_multipart():
            made.set_boundary("_" + hashlib.md5(self.item.id.encode()).hexdigest() + "_")
        return made.as_bytes()


def take_bcc(raw: bytes) -> tuple[bytes, list[str]]:
    """MIME without its Bcc header, and whom it named."""
    message = message_from_bytes(raw)
    addresses = [address for _name, address in getaddresses(message.get_all("Bcc", []))]
    if not addresses:
        return raw, []
    head, gap, rest = raw.partition(b"\r\n\r\n")
    kept, skip = [], False
    for line in head.split(b"\r\n"):
        skip = line.lower().startswith(b"bcc:") or (skip and line[:1] in (b" ", b"\t"))
        if not skip:
            kept.append(line)
    return b"\r\n".join(kept) + gap + rest, addresses
