"""Drafts: begun, saved as one types, moved to another sender, discarded, taken over from the server.

Invariants: a save names the version it began from and never overwrites a newer one; what is kept of HTML is cleaned
before it is stored; the Message-ID is given here, from the sender's domain, and holds no name of a host of ours.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import EmailAccount
from accounts.queries import addresses_of
from accounts.shares import accounts_with_right
from base.addresses import clean_line, domain_of, normalise_address
from mail.models import Message
from mail.queries import visible_messages
from outbox.errors import DraftConflict, NotAllowed
from outbox.letter_html import Picture, clean_written, data_pictures, signature_block, swap_signature
from outbox.models import OutgoingAttachment, OutgoingMessage, ReplyKind, SendState
from outbox.originals import answer_fields, carried_parts, original_of
from outbox.rights import lock_draft, require_sender
from outbox.senders import delivered_to
from outbox.services.files import keep_pictures
from outbox.types import Addresses, DraftFields

SETTLE = timedelta(seconds=8)  # after the last key stroke, before the draft goes to the server's Drafts
ADDRESSES_KEPT = 1000  # of a draft; what may be sent is less


def new_message_id(email_account: EmailAccount, from_address: str = "") -> str:
    """A Message-ID (RFC 5322 3.6.4) without <>: random, in the sender's domain."""
    return f"{uuid.uuid4().hex}@{domain_of(from_address or email_account.address) or 'localhost.invalid'}"


def default_sender(user: Any) -> EmailAccount | None:
    """The email account that a new message is sent with; None when the person may send with none."""
    rows = accounts_with_right(user, "send").filter(can_send=True).exclude(state__in=("setup", "removed", "erasing"))
    ranked = sorted(rows, key=lambda one: (one.owner_id != user.pk, not one.is_default_sender, one.pk))
    return ranked[0] if ranked else None


@transaction.atomic
def start_draft(
    *, user: Any, email_account: EmailAccount | None = None, original: Message | None = None, kind: str = "new"
) -> OutgoingMessage:
    """Begin a message; `kind` is new, reply, reply_all or forward (the last three need `original`).

    The sender is the address that the original came to, also when that is an alias (if the person may send with it), else
    the default one.
    Raises NotAllowed.
    """
    if original is not None and not visible_messages(user).filter(pk=original.pk).exists():
        raise NotAllowed(_("This email is not yours to answer."))
    sender = email_account or _sender_for(user, original)
    if sender is None:
        raise NotAllowed(_("You have no email account to send with. Connect one in the settings, then write."))
    require_sender(user, sender)
    alias = delivered_to(original) if original is not None and original.email_account_id == sender.pk else ""
    draft = OutgoingMessage(
        email_account=sender, author=user, from_address=alias, message_id=new_message_id(sender, alias)
    )
    draft.html, pictures = data_pictures(signature_block(sender.signature_html), "inline")
    if original is not None and kind != ReplyKind.NEW:
        draft.reply_kind = kind
        draft.original = original
        known = original_of(original)
        own = addresses_of(accounts_with_right(user, "own") | EmailAccount.objects.filter(pk=sender.pk))
        for name, value in answer_fields(known, kind, frozenset(own)).items():
            setattr(draft, name, value)
        draft.save()
        _carry(draft, original, kind, user.time_zone)
    draft.save()
    keep_pictures(draft, pictures)
    return draft


def _sender_for(user: Any, original: Message | None) -> EmailAccount | None:
    can = accounts_with_right(user, "send").filter(can_send=True)
    if original is not None and can.filter(pk=original.email_account_id).exists():
        return original.email_account
    return default_sender(user)


def _carry(draft: OutgoingMessage, original: Message, kind: str, time_zone: str) -> None:
    """Quote the original and carry its parts: pictures of the quote always, attachments when it is forwarded."""
    quote, files = carried_parts(original, kind, time_zone)
    draft.quoted_html, draft.quoted_text = quote
    OutgoingAttachment.objects.bulk_create([OutgoingAttachment(message=draft, **fields) for fields in files])


@transaction.atomic
def save_draft(*, user: Any, draft: OutgoingMessage, version: int, fields: DraftFields) -> OutgoingMessage:
    """Keep what was typed; returns the row with its new version, to be named by the next save.

    Pictures that the editor holds as data: become files of the draft (same picture, same content id), so the text stays
    small. `version`: the version that the person's window shows. Raises DraftConflict (with the kept row) where another
    window saved something else meanwhile, WrongState where it was sent meanwhile, NotAllowed, FileRefused.
    """
    row = lock_draft(user, draft)
    values, pictures = _values(fields, row)
    keep_pictures(row, pictures)
    if all(getattr(row, name) == value for name, value in values.items()):
        return row
    if version != row.version:
        raise DraftConflict(
            _("This draft was changed in another window. Your text here was not saved over it: choose which to keep."),
            row,
        )
    for name, value in values.items():
        setattr(row, name, value)
    row.version += 1
    row.server_due_at = timezone.now() + SETTLE
    row.save()
    return row


def _values(fields: DraftFields, row: OutgoingMessage) -> tuple[dict[str, Any], list[Picture]]:
    html, pictures = data_pictures(fields.html, "inline")
    values: dict[str, Any] = {
        "to": _kept(fields.to),
        "cc": _kept(fields.cc),
        "bcc": _kept(fields.bcc),
        "subject": clean_line(fields.subject, 900),
        "html": clean_written(html),
        "text": fields.text.replace("\0", "").replace("\r\n", "\n"),
        "is_plain": fields.is_plain,
        "keeps_quote": fields.keeps_quote,
    }
    if fields.quoted_html is not None and fields.quoted_html != row.quoted_html:
        values["quoted_html"] = clean_written(fields.quoted_html)
        values["quoted_text"] = "" if not fields.quoted_html else row.quoted_text
    return values, pictures


def _kept(addresses: Addresses) -> list[list[str]]:
    pairs = [[clean_line(name, 300), clean_line(address, 320)] for name, address in addresses[:ADDRESSES_KEPT]]
    return [pair for pair in pairs if pair[0] or pair[1]]


@transaction.atomic
def change_sender(
    *, user: Any, draft: OutgoingMessage, email_account: EmailAccount, from_address: str = ""
) -> OutgoingMessage:
    """Send with another email account, or as an alias: its signature replaces the other's, the Message-ID stays.

    `from_address`: an alias of the mailbox, "" for its own address. Raises NotAllowed.
    """
    row = lock_draft(user, draft)
    require_sender(user, email_account)
    if row.email_account_id == email_account.pk and row.from_address == from_address:
        return row
    if from_address and not email_account.aliases.filter(address_key=normalise_address(from_address)).exists():
        raise NotAllowed(_("This address is no longer one of this mailbox. Choose another sender."))
    row.from_address = from_address
    if row.email_account_id != email_account.pk:
        _move(row, email_account)
    row.version += 1
    row.draft_version = 0
    row.server_due_at = timezone.now() + SETTLE
    row.save()
    return row


def _move(row: OutgoingMessage, email_account: EmailAccount) -> None:
    """To another mailbox: the draft there goes, the signature changes."""
    if row.draft_key:  # its copy in the other mailbox's Drafts goes with a row of its own
        OutgoingMessage.objects.create(
            email_account=row.email_account,
            author=row.author,
            message_id=new_message_id(row.email_account),
            state=SendState.DISCARDED,
            draft_key=row.draft_key,
            draft_epoch=row.draft_epoch,
            server_due_at=timezone.now(),
        )
        row.draft_key = ""
    row.email_account = email_account
    row.html, pictures = data_pictures(swap_signature(row.html, email_account.signature_html), "inline")
    keep_pictures(row, pictures)


@transaction.atomic
def discard_draft(*, user: Any, draft: OutgoingMessage) -> None:
    """Delete a draft and its files; its copy on the server goes too. Raises NotAllowed, WrongState."""
    row = lock_draft(user, draft)
    forget_files(row)
    if row.draft_key:
        OutgoingMessage.objects.filter(pk=row.pk).update(
            state=SendState.DISCARDED, server_due_at=timezone.now(), html="", text="", quoted_html="", quoted_text=""
        )
    else:
        row.delete()


def forget_files(row: OutgoingMessage) -> None:
    """Delete the attachments of a message, their files after the commit."""
    names = [name for name in row.attachments.values_list("stored", flat=True) if name]
    row.attachments.all().delete()
    transaction.on_commit(lambda: _delete(names))


def _delete(names: list[str]) -> None:
    for name in names:
        storages["mail"].delete(name)


@transaction.atomic
def import_draft(*, user: Any, message: Message) -> OutgoingMessage:
    """*Edit as draft*: a stored draft of another program becomes one here; saving replaces it on the server.

    Returns the same row when asked twice. Raises NotAllowed.
    """
    if not message.is_draft or not visible_messages(user).filter(pk=message.pk).exists():
        raise NotAllowed(_("This email is not a draft of yours."))
    require_sender(user, message.email_account)
    known = OutgoingMessage.objects.filter(author=user, is_from_server=True, original=message, state=SendState.DRAFT)
    if (found := known.first()) is not None:
        return found
    content = message.content
    draft = OutgoingMessage(
        email_account=message.email_account,
        author=user,
        message_id=new_message_id(message.email_account),
        subject=message.subject,
        in_reply_to=content.in_reply_to[:1000],
        references=content.references,
        text=content.text,
        is_plain=not content.html,
        is_from_server=True,
        original=message,
        **{kind: content.recipients.get(kind, []) for kind in ("to", "cc", "bcc")},
    )
    copy = message.copies.filter(state="stored", folder__role="drafts", missing_since__isnull=True).first()
    draft.draft_key, draft.draft_epoch = (copy.remote_key, copy.epoch) if copy else ("", 0)
    draft.save()
    (draft.html, _text), files = carried_parts(message, "draft")
    OutgoingAttachment.objects.bulk_create([OutgoingAttachment(message=draft, **fields) for fields in files])
    draft.save()
    return draft
