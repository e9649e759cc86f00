"""Whom an answer goes to, what it is called and what it quotes. Pure.

Invariants: own addresses are never answered unless nobody else is there; References hold the whole chain (RFC 5322
3.6.4); nothing of List-Unsubscribe or of the original's other headers goes along.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape

from base.addresses import domain_of, registrable_domain
from mail.thread_keys import MAX_REFERENCES, base_subject

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Original:
    """What is known of the mail that is answered; addresses as (name, normalised address)."""

    message_id: str
    references: tuple[str, ...]
    in_reply_to: str
    subject: str
    sent_at: datetime | None
    from_: Pairs
    reply_to: Pairs
    to: Pairs
    cc: Pairs
    is_outgoing: bool
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who gets the answer. `has_odd_reply_to`: it goes elsewhere than the mail came from."""

    to: Pairs
    cc: Pairs
    has_odd_reply_to: bool = False


def recipients(original: Original, kind: str, own: frozenset[str]) -> Recipients:
    """To and Cc of a reply or reply_all; nobody for a forward. `own` are normalised addresses of the person."""
    if kind not in ("reply", "reply_all"):
        return Recipients((), ())
    if original.is_outgoing:  # going on in one's own mail: to those it went to
        to = _others(original.to, own) or original.to
        cc = _others(original.cc, own | _keys(to)) if kind == "reply_all" else ()
        return Recipients(to, cc)
    answer = _others(original.reply_to, own) or _others(original.from_, own) or original.from_
    is_odd = bool(original.reply_to) and not original.is_verified and _goes_elsewhere(original, answer)
    cc = _others(original.to + original.cc, own | _keys(answer)) if kind == "reply_all" else ()
    return Recipients(answer, cc, is_odd)


def _goes_elsewhere(original: Original, answer: Pairs) -> bool:
    came_from = {_organisation(address) for _, address in original.from_}
    return any(_organisation(address) not in came_from for _, address in answer)


def _organisation(address: str) -> str:
    domain = domain_of(address)
    return registrable_domain(domain) or domain


def _keys(pairs: Pairs) -> frozenset[str]:
    return frozenset(address for _, address in pairs)


def _others(pairs: Pairs, without: frozenset[str]) -> Pairs:
    found: dict[str, tuple[str, str]] = {}
    for name, address in pairs:
        if address and address not in without and address not in found:
            found[address] = (name, address)
    return tuple(found.values())


def subject_for(subject: str, kind: str) -> str:
    """Re: or Fwd: before the subject, once."""
    mark = "Fwd" if kind == "forward" else "Re"
    return f"{mark}: {base_subject(subject)}".rstrip()


def references_for(original: Original) -> tuple[str, ...]:
    """The chain for the answer: the original's own (or its In-Reply-To), then its Message-ID; root and newest kept."""
    chain = list(original.references) or ([original.in_reply_to] if original.in_reply_to else [])
    chain = [one for one in dict.fromkeys(chain) if one and one != original.message_id]
    if original.message_id:
        chain.append(original.message_id)
    return tuple(chain[:1] + chain[1 - MAX_REFERENCES :] if len(chain) > MAX_REFERENCES else chain)


def quote_html(original: Original, body: str, kind: str) -> str:
    """The quoted original as HTML; `body` is cleaned already."""
    if kind == "forward":
        lines = "<br>".join(escape(line) for line in _forward_lines(original))
        return f'<div class="forwarded"><p>{lines}</p>{body}</div>'
    said = escape(attribution(original))
    return f'<div class="quoted"><p>{said}</p><blockquote type="cite">{body}</blockquote></div>'


def quote_text(original: Original, text: str, kind: str) -> str:
    """The quoted original as plain text."""
    if kind == "forward":
        return "\n".join([*_forward_lines(original), "", text])
    lines = text.rstrip().split("\n")
    return "\n".join([attribution(original), *(f">{line}" if line.startswith(">") else f"> {line}" for line in lines)])


def attribution(original: Original) -> str:
    """ "On 3 November 2026 at 10:12, Ida Lindqvist <ida@customer.example> wrote:", the time zone named."""
    who = _shown(original.from_) or "somebody"
    if original.sent_at is None:
        return f"{who} wrote:"
    return f"On {_moment(original.sent_at)}, {who} wrote:"


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%B %Y} at {at:%H:%M} {at.tzname() or ''}".rstrip()


def _shown(pairs: Pairs) -> str:
    return ", ".join(f"{name} <{address}>" if name else address for name, address in pairs[:50] if name or address)


def _forward_lines(original: Original) -> list[str]:
    lines = ["---------- Forwarded message ----------", f"From: {_shown(original.from_)}"]
    if original.sent_at is not None:
        lines.append(f"Date: {_moment(original.sent_at)}")
    lines.append(f"Subject: {original.subject}")
    lines.append(f"To: {_shown(original.to)}")
    return [*lines, f"Cc: {_shown(original.cc)}"] if original.cc else lines
