"""Generated mails of real sizes (median 18 KB, mean 100 KB), each with what must be found in its row. Pure but for chance.

Names are invented, domains reserved. The same seed makes the same mails.
"""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from statistics import NormalDist

MEDIAN, SPREAD, LARGEST = 18_000, 1.86, 8_000_000  # lognormal: the mean is about 100 kB
SMALL, LARGEST_HTML = 30_000, 40_000  # smaller mails have no attachments; more markup no mail has
FRAME, EMPTY = 240, "<p>&nbsp;</p>"  # bytes of the boundaries and heads of a mail's parts; an empty paragraph
PEOPLE, COMPANIES = 400, 80
FIRST = ("Ida", "Jonas", "Marta", "Oskar", "Lena", "Pavel", "Amira", "Nils", "Greta", "Tomas")
LAST = ("Lindqvist", "Berg", "Novak", "Haddad", "Keller", "Moreau", "Sato", "Costa", "Vogel", "Nyberg")
WORDS = tuple(
    "offer order delivery lamp invoice meeting Tuesday project drawing contract price sample quantity shipment "  # noqa: SIM905
    "answer question attached please thank regards tomorrow week account reference number colour finish glass".split()
)


@dataclass(frozen=True, slots=True)
class Made:
    """A mail and what its stored row must say."""

    raw: bytes
    message_id: str
    subject: str
    from_address: str
    token: str  # stands in the text
    attachments: int
    received_at: datetime


def people() -> list[tuple[str, str, str, str]]:
    """First name, last name, address, company domain."""
    found = []
    for number in range(PEOPLE):
        first, last = FIRST[number % len(FIRST)], LAST[number // len(FIRST) % len(LAST)]
        domain = f"company{number % COMPANIES}.example"
        found.append((first, last, f"{first}.{last}.{number}@{domain}".lower(), domain))
    return found


def contacts_csv() -> str:
    """Half of the people as contacts, for import_contacts."""
    lines = ["first_name,last_name,email,phone,job_title,company,company_domain"]
    for number, (first, last, address, domain) in enumerate(people()):
        if number % 2 == 0:
            lines.append(f"{first},{last},{address},,,Company {number % COMPANIES},{domain}")
    return "\n".join(lines) + "\n"


def mails(count: int, *, owner: str, seed: int = 7, end: datetime) -> Iterator[Made]:
    """`count` mails, oldest first, one every two minutes until `end`; a third answers an earlier one."""
    chance = random.Random(seed)  # noqa: S311
    pool = base64.b64encode(chance.randbytes(3_000_000)).decode()
    senders = people()
    recent: list[tuple[str, str]] = []
    sizes = _sizes(count, chance)
    for number in range(count):
        moment = end - timedelta(minutes=2 * (count - number))
        made = _mail(number, sizes[number], chance, pool, senders[chance.randrange(PEOPLE)], recent, (owner, moment))
        recent = [*recent[-200:], (made.message_id, made.subject)]
        yield made


def _sizes(count: int, chance: random.Random) -> list[int]:
    """The quantiles of the lognormal distribution in a chance order: whatever the count, its median and its mean hold."""
    normal = NormalDist(sigma=SPREAD)
    found = [min(LARGEST, int(math.exp(normal.inv_cdf((number + 0.5) / count)) * MEDIAN)) for number in range(count)]
    chance.shuffle(found)
    return found


def _mail(
    number: int,
    size: int,
    chance: random.Random,
    pool: str,
    sender: tuple[str, str, str, str],
    recent: list[tuple[str, str]],
    to_at: tuple[str, datetime],
) -> Made:
    first, last, address, domain = sender
    owner, moment = to_at
    message_id, token = (
        f"bench-{number}-{chance.getrandbits(48):x}@{domain}",
        f"token{number}x{chance.getrandbits(32):x}",
    )
    subject, thread = f"{chance.choice(WORDS)} {chance.choice(WORDS)} {number}", ""
    if recent and chance.random() < 0.33:
        parent, old = chance.choice(recent)
        subject = old if old.startswith("Re: ") else f"Re: {old}"
        thread = f"In-Reply-To: <{parent}>\r\nReferences: <{parent}>\r\n"
    head = (
        f"Received: from mx.{domain} (mx.{domain} [192.0.2.{number % 250}]) by mx.mail.example; {format_datetime(moment)}\r\n"
        f"Message-ID: <{message_id}>\r\n{thread}Date: {format_datetime(moment)}\r\nFrom: {first} {last} <{address}>\r\n"
        f"To: <{owner}>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
    )
    text = _text(chance, token, min(size // 4, 3_000))
    files = 0 if size < SMALL else 1 + chance.randrange(3)
    room = size - len(head) - len(text) - FRAME if not files else min(LARGEST_HTML, size // 2)
    body, attachments = _body(text, _html(text, room), pool, size - len(head), files, chance)
    return Made((head + body).encode(), message_id, subject, address, token, attachments, moment)


def _text(chance: random.Random, token: str, size: int) -> str:
    lines = [f"Hello, this is {token}.", ""]
    total = 0
    while total < size:
        line = " ".join(chance.choices(WORDS, k=11))
        lines.append(line)
        total += len(line)
    return "\r\n".join([*lines, "", "Regards", ""])


def _html(text: str, size: int) -> str:
    """The text again, and the empty paragraphs with which editors fill a mail."""
    html = f"<html><body><p>{text.replace(chr(13), '')}</p>"
    return html[: max(400, size)] + EMPTY * ((size - len(html)) // len(EMPTY)) + "</body></html>"


def _body(text: str, html: str, pool: str, size: int, files: int, chance: random.Random) -> tuple[str, int]:
    alternative = (
        'Content-Type: multipart/alternative; boundary="alt"\r\n\r\n--alt\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'
        f"{text}\r\n--alt\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{_wrapped(html, 900)}\r\n--alt--\r\n"
    )
    if not files:
        return alternative, 0
    each = max(4_000, (size - len(alternative)) // files)
    parts = [f'Content-Type: multipart/mixed; boundary="mix"\r\n\r\n--mix\r\n{alternative}']
    for place in range(files):
        begin = chance.randrange(max(1, len(pool) - min(each, len(pool))))
        data = pool[begin : begin + each] * (1 + each // len(pool))
        data = data[: each // 4 * 4]
        parts.append(
            f'--mix\r\nContent-Type: application/pdf; name="file{place}.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="file{place}.pdf"\r\n\r\n{_wrapped(data, 76)}\r\n'
        )
    return "".join([*parts, "--mix--\r\n"]), files


def _wrapped(text: str, width: int) -> str:
    return "\r\n".join(text[place : place + width] for place in range(0, len(text), width))
