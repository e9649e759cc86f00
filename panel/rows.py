"""Threads as rows of a list: names, marks, chips of what they are linked to.

Invariant: the number of queries does not depend on the number of rows.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from linking.models import MessageLink
from mail.models import Message, MessageAddress, Thread
from panel.filters import ListAddress
from panel.moments import day_words
from panel.names import hides_something, shown_name

CHIPS = 2  # shown in a row


@dataclass(frozen=True, slots=True)
class Chip:
    """A linked record where space is short."""

    kind: str  # person | company
    label: str
    record_id: int

    @property
    def href(self) -> str:
        """Its page."""
        return record_url("company" if self.kind == "company" else "contact", self.record_id)


@dataclass(frozen=True, slots=True)
class Row:
    """One thread in a list."""

    thread: Thread
    url: str
    names: str
    mark_url: str = ""
    act_url: str = ""  # "" where the person may not move or delete it
    chips: list[Chip] = field(default_factory=list)
    is_suspicious: bool = False
    subject_html: str = ""
    snippet_html: str = ""

    @property
    def is_unread(self) -> bool:
        """Something in it was not read."""
        return self.thread.unread_count > 0

    @property
    def is_received(self) -> bool:
        """Something in it came from others, so that it can be marked."""
        return self.thread.message_count > self.thread.sent_count

    @property
    def is_open(self) -> bool:
        """Something in it was not processed."""
        return self.thread.open_count > 0


@dataclass(frozen=True, slots=True)
class Day:
    """Rows under one head: a day, further back a month."""

    label: str
    rows: list[Row]


def make_rows(
    threads: Sequence[Thread],
    address: ListAddress,
    movable: Container[int],
    chips: Mapping[int, list[Chip]] | None = None,
) -> list[Row]:
    """Rows of these threads, in order; three queries. `movable`: email accounts (ids) whose mail the person may move.
    `chips`: those of the threads, where they were just read (chips_of).
    """
    ids = [thread.pk for thread in threads]
    suspicious = _suspicious(ids)
    if chips is None:
        chips = chips_of(ids)
    to = _recipients([thread.pk for thread in threads if _only_own(thread)])
    suffix = address.suffix
    read, mark, act = (id_address(name, suffix) for name in ("thread", "mark", "act"))
    return [
        Row(
            thread=thread,
            url=read % thread.pk,
            names=_names(thread, to.get(thread.pk, [])),
            mark_url=mark % thread.pk,
            act_url=act % thread.pk if thread.email_account_id in movable else "",
            chips=_telling(chips.get(thread.pk, []), thread)[:CHIPS],
            is_suspicious=thread.pk in suspicious or _has_odd_name(thread),
        )
        for thread in threads
    ]


def id_address(name: str, suffix: str = "") -> str:
    """The address of `panel:{name}` with %d in place of the id: asked for once per page, not once per row."""
    before, _id, after = reverse(f"panel:{name}", args=[0]).rpartition("0")
    return f"{before}%d{after}{suffix.replace('%', '%%')}"


def by_day(rows: Iterable[Row]) -> list[Day]:
    """The rows under the heads of their days, order kept."""
    days: list[Day] = []
    zone, today = timezone.get_current_timezone(), timezone.localdate()
    for row in rows:
        label = day_words(row.thread.last_received_at.astimezone(zone).date(), today)
        if not days or days[-1].label != label:
            days.append(Day(label, []))
        days[-1].rows.append(row)
    return days


def chips_of(thread_ids: Sequence[int]) -> dict[int, list[Chip]]:
    """Linked companies and people of each thread, companies first; one query."""
    links = (
        MessageLink.objects.filter(message__thread_id__in=thread_ids, is_rejected=False)
        .values_list(
            "message__thread_id",
            "contact_id",
            "contact__first_name",
            "contact__last_name",
            "company_id",
            "company__name",
        )
        .distinct()
    )
    found: dict[int, list[Chip]] = {}
    for thread_id, contact, first, last, company, name in links:
        if company is not None:
            chip = Chip("company", name, company)
            found.setdefault(thread_id, []).insert(0, chip)
        else:
            chip = Chip("person", f"{first} {last}".strip(), contact)
            found.setdefault(thread_id, []).append(chip)
    return found


def record_url(kind: str, record_id: int) -> str:
    """The page of a contact or company, "" where there is none."""
    try:
        return reverse(f"panel:{kind}", args=[record_id])
    except NoReverseMatch:
        return ""


def _telling(chips: Sequence[Chip], thread: Thread) -> list[Chip]:
    """The chips without the people whom the row names already."""
    shown = [set(str(one[0]).casefold().split()) for one in thread.participants if not one[2]]
    return [
        chip
        for chip in chips
        if chip.kind != "person" or not any(set(chip.label.casefold().split()) <= words for words in shown)
    ]


def _has_odd_name(thread: Thread) -> bool:
    return any(hides_something(str(name), str(address)) for name, address, own in thread.participants if not own)


def _suspicious(thread_ids: Sequence[int]) -> set[int]:
    failed = Message.objects.filter(
        thread_id__in=thread_ids, verdict="failed", is_outgoing=False, trashed_at__isnull=True
    )
    return set(failed.values_list("thread_id", flat=True))


def _only_own(thread: Thread) -> bool:
    return bool(thread.participants) and all(one[2] for one in thread.participants)


def _recipients(thread_ids: Sequence[int]) -> dict[int, list[str]]:
    """To whom the threads went that hold only mail of ours."""
    rows = MessageAddress.objects.filter(message__thread_id__in=thread_ids, role=MessageAddress.Role.TO).values_list(
        "message__thread_id", "correspondent__address"
    )
    found: dict[int, list[str]] = {}
    for thread_id, address in rows:
        people = found.setdefault(thread_id, [])
        if address not in people and len(people) < 4:
            people.append(address)
    return found


def _names(thread: Thread, to: Sequence[str]) -> str:
    if to:
        return _("To %(people)s") % {"people": ", ".join(to)}
    people: list[list[Any]] = sorted(thread.participants, key=lambda one: bool(one[2]))  # the others first, "you" last
    names = [_("you") if own else shown_name(str(name), str(address)) for name, address, own in people]
    if len(names) > 1:
        names = [_short(name) if number else name for number, name in enumerate(names)]
    return ", ".join(names) or _("unknown sender")


def _short(name: str) -> str:
    """The first name, where a name looks like one in two words of letters."""
    words = name.split()
    return words[0] if len(words) in (2, 3) and all(word.isalpha() for word in words) else name
