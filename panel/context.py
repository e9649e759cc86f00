"""What every page of the panel needs: the rail's counts. Read only when a template asks for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from mail.queries import COUNT_CAP, AccountLabel, MailCounts, account_labels, mail_counts
from notifications.queries import needs_you_count

Found = TypeVar("Found")

_SECTIONS = {
    "email": ("inbox", "thread", "search", "keys"),
    "contacts": ("contact", "import"),
    "companies": ("compan",),
    "notifications": ("notification",),
    "settings": ("setting", "email_account", "profile", "sharing", "invit", "session", "password"),
}


@dataclass(frozen=True, slots=True)
class Rail:
    """Counts beside the sections, and the visible mailboxes with theirs."""

    unread: int
    open: int
    drafts: int
    needs_you: int
    accounts: list[AccountLabel]
    counts: dict[int, MailCounts]

    @property
    def unread_label(self) -> str:
        """At most three digits."""
        return f"{COUNT_CAP}+" if self.unread >= COUNT_CAP else str(self.unread)

    @property
    def state(self) -> str:
        """A digest of what a list shows: mail, states, counts, questions. Costs no query."""
        accounts = [
            [one.pk, one.state, str(one.last_new_mail_at), str(one.answered_at), one.failures >= 3]
            for one in self.accounts
        ]
        counts = sorted((pk, one.unread, one.open, one.drafts) for pk, one in self.counts.items())
        told = json.dumps([accounts, counts, self.needs_you])
        return hashlib.blake2s(told.encode(), digest_size=12).hexdigest()


def read_rail(user: Any, accounts: list[AccountLabel] | None = None) -> Rail:
    """The rail of a signed-in user, in three queries; in two where the visible `accounts` were just read."""
    if accounts is None:
        accounts = account_labels(user)
    seen = [account.pk for account in accounts]
    counts = mail_counts(seen)
    return Rail(
        unread=sum(one.unread for one in counts.values()),
        open=sum(one.open for one in counts.values()),
        drafts=sum(one.drafts for one in counts.values()),
        needs_you=needs_you_count(user, seen),
        accounts=accounts,
        counts=counts,
    )


def rail_of(request: HttpRequest) -> Rail:
    """The rail of this request, read once. A view that changes something asks for it afterwards."""
    return _once(request, "rail", lambda: read_rail(request.user, accounts_of(request)))


def accounts_of(request: HttpRequest) -> list[AccountLabel]:
    """The mailboxes whose mail the person may read, by address; asked for once per request."""
    return _once(request, "accounts", lambda: account_labels(request.user))


def seen_of(request: HttpRequest) -> list[int]:
    """Their ids."""
    return [one.pk for one in accounts_of(request)]


def movable_of(request: HttpRequest) -> frozenset[int]:
    """Email accounts (ids) whose mail the person may move and delete."""
    return frozenset(one.pk for one in accounts_of(request) if one.may_send)


def _once(request: HttpRequest, name: str, read: Callable[[], Found]) -> Found:
    """What `read` gave the first time in this request."""
    known: dict[str, Any] = request.__dict__.setdefault("read_once", {})
    if name not in known:
        known[name] = read()
    return cast("Found", known[name])


def section_of(request: HttpRequest) -> str:
    """Which place of the rail this page belongs to, "" for none."""
    match = request.resolver_match
    if match is None:
        return ""
    if match.app_names != ["panel"]:
        return "settings" if match.app_names == [] and request.path.startswith("/accounts/") else ""
    name = match.url_name or ""
    for section, beginnings in _SECTIONS.items():
        if name.startswith(beginnings):
            return section
    return ""


def rail(request: HttpRequest) -> dict[str, Any]:
    """`rail` (Rail, lazy) and `section` for signed-in people; nothing for anonymous."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}
    return {"rail": SimpleLazyObject(lambda: rail_of(request)), "section": section_of(request)}
