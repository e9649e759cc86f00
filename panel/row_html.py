"""What a page has fifty or hundreds of, as HTML: threads in a list, mailboxes in its menu, shut messages.

Pure, but for the reader's language and time zone.

Why not a template: a page shows fifty rows, and a template walks some forty nodes for each, which took most of a page's
time. Everything that is the same in many rows is made once per language; what a row adds goes through `format_html`.
Invariant: every word out of a mail is escaped here, but for SafeStrings (search results with their <mark>).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from panel.letters import Letter
from panel.lists import AccountLine
from panel.moments import exact, moment_html, when
from panel.rows import Row, id_address
from panel.templatetags.panel import icon, initials, plus

_ROW = (
    '<li id="row-{id}"{swap} data-thread="{id}" data-count="{count}"><a class="row{unread}" id="open-{id}" href="{url}"'
    ' hx-get="{url}" hx-target="#letter" hx-swap="outerHTML" hx-push-url="true"{current}>{mark}<span class="row-top">'
    '<span class="name clip" dir="auto">{names}</span>{counted}{moment}</span><span class="row-mid">'
    '<span class="row-subject clip" dir="auto">{subject}</span>{signs}</span><span class="row-low">{chips}'
    '<span class="clip" dir="auto">{snippet}</span></span></a><span class="row-acts">{acts}</span></li>'
)
_CHIP = '<span class="chip"><i class="shape shape-{}"></i><span class="clip" dir="auto">{}</span></span>'
_SHUT = (
    '<article class="msg is-shut" id="message-{id}"><a class="msg-head" href="{here}?message={id}#message-{id}"'
    ' hx-get="{fetched}" hx-target="#message-{id}" hx-swap="outerHTML"><span class="avatar" aria-hidden="true">{initials}'
    '</span><span class="clip"><b class="name" dir="auto">{name}</b> <span class="faint" dir="auto">{snippet}</span></span>'
    '<time class="when" datetime="{at}" title="{exact}">{when}</time></a></article>'
)
_SWAP = mark_safe(' hx-swap-oob="outerMorph"')
_CURRENT = mark_safe(' aria-current="true"')
_ADDRESS = "@@"  # in a button made once; no button holds it otherwise

_MARKS = {
    ("processed", "1"): ("check", gettext_lazy("Mark as processed"), "e"),
    ("processed", "0"): ("undo-2", gettext_lazy("Mark as not processed"), "e"),
    ("read", "1"): ("mail-open", gettext_lazy("Mark as read"), ""),
    ("read", "0"): ("mail", gettext_lazy("Mark as unread"), ""),
}


def rows_html(rows: Iterable[Row], *, current: int | None = None, swap: bool = False) -> SafeString:
    """The rows as `<li>`; that of the thread `current` is the open one. `swap`: htmx puts them in place of their like."""
    language, today = get_language() or "", timezone.localdate()
    return mark_safe("".join(_row(row, (language, today), row.thread.pk == current, swap) for row in rows))  # noqa: S308 - made by format_html


def shut_html(letters: Iterable[Letter]) -> SafeString:
    """Messages of a thread that are shut: a line each, opened in their place. A thread may have three hundred."""
    addresses = id_address("thread"), id_address("message")
    return mark_safe("".join(_shut(letter, *addresses) for letter in letters))  # noqa: S308 - made by format_html


def _shut(letter: Letter, here: str, fetched: str) -> SafeString:
    message, label = letter.message, letter.sender.label
    return format_html(
        _SHUT,
        id=message.pk,
        here=here % message.thread_id,
        fetched=fetched % message.pk,
        initials=initials(label),
        name=_("You") if message.is_outgoing else label,
        snippet=message.snippet,
        at=timezone.localtime(message.received_at).isoformat(),
        exact=exact(message.received_at),
        when=when(message.received_at),
    )


def accounts_html(lines: Iterable[AccountLine]) -> SafeString:
    """Mailboxes as links of a menu, each with its unread threads."""
    return format_html_join(
        "",
        '<a href="{}"{}><span class="clip">{}</span>{}</a>',
        ((one.url, _CURRENT if one.is_current else "", one.address, _unread(one.unread)) for one in lines),
    )


@lru_cache(maxsize=1024)
def _unread(count: int) -> SafeString | str:
    return format_html(' <span class="count">{}</span>', plus(count)) if count else ""


def _row(row: Row, reader: tuple[str, date], is_current: bool, swap: bool) -> SafeString:
    language, today = reader
    thread = row.thread
    return format_html(
        _ROW,
        id=thread.pk,
        swap=_SWAP if swap else "",
        count=thread.message_count,
        unread=" is-unread" if row.is_unread else "",
        url=row.url,
        current=_CURRENT if is_current else "",
        mark=_state(row, language),
        names=row.names,
        counted=_counted(thread.message_count, language) if thread.message_count > 1 else "",
        moment=moment_html(thread.last_received_at, today),
        subject=row.subject_html or thread.subject or _("(no subject)"),
        signs=_signs((thread.has_attachments, thread.is_flagged, row.is_suspicious), language),
        chips=format_html_join("", _CHIP, ((chip.kind, chip.label) for chip in row.chips)),
        snippet=row.snippet_html or thread.snippet,
        acts=_acts(row, language),
    )


def _state(row: Row, language: str) -> str:
    return _state_html(row.is_unread, language) if row.is_unread or row.is_open else ""


@lru_cache(maxsize=64)
def _state_html(is_unread: bool, language: str) -> SafeString:
    name, said = ("unread", _("Unread.")) if is_unread else ("open", _("Not processed."))
    return format_html('<i class="mark mark-{}"><span class="sr">{}</span></i>', name, said)


@lru_cache(maxsize=1024)
def _counted(count: int, language: str) -> SafeString:
    said = _("messages in thread:")
    return format_html('<span class="count"><span class="sr">{} </span>{}</span>', said, count)


@lru_cache(maxsize=256)
def _signs(has: tuple[bool, bool, bool], language: str) -> SafeString:
    """What is special about a thread: attachments, a flag, a doubtful sender."""
    signs = (
        ("paperclip", _("Has attachments"), ""),
        ("flag", _("Flagged"), ""),
        ("shield-alert", _("Unverified sender"), "warn"),
    )
    return mark_safe("".join(icon(*sign) for sign, is_so in zip(signs, has, strict=True) if is_so))  # noqa: S308


def _acts(row: Row, language: str) -> SafeString:
    made = ""
    if row.is_received:
        address = escape(row.mark_url)
        made += _mark_button("processed", "1" if row.is_open else "0", language).replace(_ADDRESS, address)
        made += _mark_button("read", "1" if row.is_unread else "0", language).replace(_ADDRESS, address)
    if row.act_url:
        made += _delete_button(language).replace(_ADDRESS, escape(row.act_url))
    return mark_safe(made)  # noqa: S308 - made by templates; the addresses are escaped


@lru_cache(maxsize=64)
def _mark_button(name: str, value: str, language: str) -> str:
    symbol, label, key = _MARKS[name, value]
    context = {"name": name, "value": value, "symbol": symbol, "label": label, "key": key, "mark_url": _ADDRESS}
    return render_to_string("panel/_mark_button.html", context)


@lru_cache(maxsize=64)
def _delete_button(language: str) -> str:
    context = {"act": "delete", "symbol": "trash-2", "label": _("Delete"), "leaves": 1, "is_small": 1}
    return render_to_string("panel/_act_button.html", context | {"act_url": _ADDRESS}).strip()
