"""Messages as letters: who, to whom, what is doubtful about it, its files; and how a thread is folded.

Invariant: everything here is hostile text that templates escape; nothing is sanitised or fetched to show a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from base.lookalikes import address_in_name, has_bidi, has_mixed_scripts, shows_foreign_domain
from mail.models import Message, MessageContent, Part
from panel.names import plain_name

REMOTE_SALT = "panel.remote"
REMOTE_AGE = 12 * 3600  # seconds a "Show" lasts
SCANNED = 2_000_000  # characters searched for remote pictures
NAMED = 2  # recipients named in the head
FOLD_OVER = 4  # shut messages in a row that are folded into one line

_REMOTE = re.compile(
    r"(?i)(?:\b(?:src|background|poster)\s*=\s*[\"']?|url\(\s*[\"']?|\bsrcset\s*=\s*[\"']?)\s*((?:https?:)?//[^\s\"'<>)]{1,300})"
)


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address as written in a header."""

    name: str
    address: str

    @property
    def plain(self) -> str:
        """The name without letters that turn or hide it."""
        return plain_name(self.name)

    @property
    def label(self) -> str:
        """The name, else the address."""
        return plain_name(self.name) or self.address or _("unknown")


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of an open thread. `content` is None while it is shut."""

    message: Message
    content: MessageContent | None
    sender: Person
    to: str
    recipients: list[tuple[str, list[Person]]]
    answers_to: list[Person]
    parts: list[Part]
    remote_count: int
    remote_token: str
    shows_remote: bool
    has_misleading_name: bool
    has_odd_letters: bool = False

    @property
    def is_doubtful(self) -> bool:
        """Authentication failed, or the name says something else than the address."""
        return not self.message.is_outgoing and (self.message.verdict == "failed" or self.is_misleading)

    @property
    def is_misleading(self) -> bool:
        """The name or the domain passes for another."""
        return self.has_misleading_name or self.has_odd_letters

    @property
    def has_others(self) -> bool:
        """Whether an answer to all reaches more people than an answer; a shut message is not looked into."""
        return self.content is None or len(_everybody(self.content.recipients)) > 1

    @property
    def files_size(self) -> int:
        """Bytes of all attachments."""
        return sum(part.size for part in self.parts)


@dataclass(frozen=True, slots=True)
class Fold:
    """Several shut messages in one line."""

    letters: list[Letter]

    @property
    def label(self) -> str:
        """How many, and by whom."""
        names = list(dict.fromkeys(_("you") if one.message.is_outgoing else one.sender.label for one in self.letters))
        people = ", ".join(names[:4]) + ("…" if len(names) > 4 else "")
        count = len(self.letters)
        more = ngettext("%(count)d more", "%(count)d more", count) % {"count": count}
        return f"{more}: {people}"


def make_letters(messages: Sequence[Message], opened: Iterable[int], user: Any, remote: str = "") -> list[Letter]:
    """Letters of these messages; those in `opened` with content, recipients and files (two queries).

    `remote` is the token of the message whose remote pictures the user asked to see.
    """
    wanted = set(opened)
    contents = MessageContent.objects.in_bulk(wanted)
    parts: dict[int, list[Part]] = {}
    for part in Part.objects.filter(message_id__in=wanted).order_by("id"):
        parts.setdefault(part.message_id, []).append(part)
    return [_letter(one, contents.get(one.pk), parts.get(one.pk, []), user, remote) for one in messages]


def opened_by_default(messages: Sequence[Message], asked: int | None = None) -> list[int]:
    """Which messages of a thread are open at first: the last, at most nine unread ones, and the one asked for."""
    ids = [one.pk for one in messages if not one.is_read and not one.is_outgoing][-9:]
    ids += [one.pk for one in messages[-1:]]
    return ids + [asked] if asked else ids


def fold(letters: Sequence[Letter]) -> list[Letter | Fold]:
    """The letters with long runs of shut ones folded: the first and the last of a run stay."""
    out: list[Letter | Fold] = []
    run: list[Letter] = []
    for letter in [*letters, None]:
        if letter is not None and letter.content is None:
            run.append(letter)
            continue
        out += [run[0], Fold(run[1:-1]), run[-1]] if len(run) >= FOLD_OVER else run
        run = []
        if letter is not None:
            out.append(letter)
    return out


def remote_token(user: Any, message_id: int) -> str:
    """What a "Show" carries, so that no link of a stranger shows pictures by itself."""
    return signing.dumps([user.pk, message_id], salt=REMOTE_SALT)


def shows_remote(token: str, user: Any, message_id: int) -> bool:
    """Whether `token` is this user's Show for this message."""
    try:
        return signing.loads(token, salt=REMOTE_SALT, max_age=REMOTE_AGE) == [user.pk, message_id]
    except (signing.BadSignature, ValueError, TypeError):
        return False


def remote_count(html: str) -> int:
    """How many different remote pictures an HTML body names, roughly and fast; 99 at most."""
    return min(len({match[1] for match in _REMOTE.finditer(html[:SCANNED])}), 99)


def _letter(message: Message, content: MessageContent | None, parts: list[Part], user: Any, remote: str) -> Letter:
    sender = Person(message.from_name, message.from_address)
    recipients = _recipients(content.recipients if content else {})
    answers_to = [one for one in recipients.get("reply_to", []) if one.address != message.from_address]
    token = remote_token(user, message.pk) if content else ""
    shown = bool(remote) and shows_remote(remote, user, message.pk)
    return Letter(
        message=message,
        content=content,
        sender=sender,
        to=_to_line(recipients, message.email_account.address),
        recipients=[(label, recipients[key]) for key, label in _labels() if recipients.get(key)],
        answers_to=answers_to if content else [],
        parts=[part for part in parts if not part.is_inline],
        remote_count=remote_count(content.html) if content and content.html else 0,
        remote_token=token,
        shows_remote=shown,
        has_misleading_name=bool(address_in_name(sender.name, sender.address)),
        has_odd_letters=has_odd_letters(sender),
    )


def _everybody(stored: Any) -> set[str]:
    people = _recipients(stored)
    return {one.address.lower() for role in ("to", "cc") for one in people.get(role, [])}


def has_odd_letters(person: Person) -> bool:
    """A name or domain of alphabets that look alike, or a name that turns its direction."""
    return has_mixed_scripts(person.name) or has_bidi(person.name) or shows_foreign_domain(person.address)


def _labels() -> tuple[tuple[str, str], ...]:
    return (
        ("from", _("From")), ("sender", _("Sender")), ("reply_to", _("Reply to")),
        ("to", _("To")), ("cc", _("Cc")), ("bcc", _("Bcc")),
    )  # fmt: skip


def _recipients(stored: Any) -> dict[str, list[Person]]:
    found: dict[str, list[Person]] = {}
    for key, people in stored.items() if isinstance(stored, dict) else ():
        found[key] = [Person(str(one[0]), str(one[1])) for one in people if isinstance(one, list) and len(one) == 2]
    return found


def _to_line(recipients: dict[str, list[Person]], own: str) -> str:
    everybody = recipients.get("to", []) + recipients.get("cc", []) + recipients.get("bcc", [])
    names = [_("you") if one.address.lower() == own.lower() else one.label for one in everybody]
    names = list(dict.fromkeys(names))
    if not names:
        return _("to nobody named")
    shown, rest = names[:NAMED], len(names) - NAMED
    if rest > 0:
        return _("to %(people)s and %(rest)d more") % {"people": ", ".join(shown), "rest": rest}
    return _("to %(people)s") % {"people": _(" and ").join(shown)}
