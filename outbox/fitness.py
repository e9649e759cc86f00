"""Whether a draft is fit to be sent, and what to ask before. Reads the draft's rows, changes nothing."""

from __future__ import annotations

import re

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from base.addresses import is_valid
from mail.html_text import html_to_text
from outbox.models import OutgoingMessage
from outbox.senders import is_own

_FILE_WORDS = re.compile(
    r"\b(attach(?:ed|ment|ments|ing)?|enclosed|anhang|angehängt|anbei|beigefügt|im anhang|pièces? jointes?|ci-joint\w*"
    r"|adjunt\w+|allegat\w+|anexo|em anexo|vedlagt|vedlegg|bifogad\w*|bilaga|bijlage|bijgevoegd|załącz\w+|liite(?:enä)?"
    r"|вложени\w+|прикрепл\w+|додат(?:ок|ку)|添付|附件)\b",
    re.I,
)
_SHARP = re.compile(r"(?:添付|附件)")


def problems_of(row: OutgoingMessage) -> dict[str, str]:
    """What makes the draft impossible to send: field → sentence; empty when it may leave."""
    problems: dict[str, str] = {}
    for kind in ("to", "cc", "bcc"):
        bad = [address or name for name, address in getattr(row, kind) if not is_valid(address)]
        if bad:
            problems[kind] = _("“%(text)s” is not an email address. Correct it or take it out.") % {
                "text": bad[0][:100]
            }
    count = len(row.to) + len(row.cc) + len(row.bcc)
    if not count:
        problems["to"] = _("Say whom it is for: add at least one recipient.")
    if count > settings.SEND_RECIPIENTS_MOST:
        problems["to"] = _("An email may have %(most)s recipients, this one has %(count)s. Send it in parts.") % {
            "most": settings.SEND_RECIPIENTS_MOST,
            "count": count,
        }
    if not is_own(row):
        problems["from"] = _("%(address)s is no longer an address of this mailbox. Choose another sender.") % {
            "address": row.from_address
        }
    if any(not one.stored and one.part_id is None for one in row.attachments.all()):
        problems["attachments"] = _("An attachment is no longer there. Take it out or attach it again.")
    return problems


def questions_about(row: OutgoingMessage, recipient_count: int) -> dict[str, str]:
    """What to ask before it leaves: kind (recipients, attachment, reply_to, subject) → question."""
    questions: dict[str, str] = {}
    if recipient_count > settings.SEND_RECIPIENTS_ASK:
        questions["recipients"] = ngettext(
            "Send this to %(count)s recipient?", "Send this to %(count)s recipients?", recipient_count
        ) % {"count": recipient_count}
    if mentions_a_file(row) and not any(not one.is_inline for one in row.attachments.all()):
        questions["attachment"] = _("The text speaks of an attachment, and there is none. Send it anyway?")
    if row.needs_reply_to_check:
        questions["reply_to"] = _(
            "Your answer goes to another address than the email came from, and the sender could not be verified. Send it?"
        )
    if not row.subject.strip():
        questions["subject"] = _("Send this without a subject?")
    return questions


def mentions_a_file(row: OutgoingMessage) -> bool:
    """Whether what the person wrote (not the quote) speaks of an attachment."""
    text = row.text if row.is_plain else html_to_text(row.html)
    written = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(">"))[:20_000]
    return bool(_FILE_WORDS.search(written) or _SHARP.search(written))
