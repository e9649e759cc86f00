"""A letter as RFC 5322 bytes: text, HTML where the sender's program writes it, quotes, signature, files. Pure."""

from __future__ import annotations

import html
from datetime import datetime
from email import policy
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from zoneinfo import ZoneInfo

from demo.attachments import lantern_png, make_file
from demo.letters import Letter
from demo.scripts import Person
from demo.users import DOMAIN

MAIL_HOST = f"mail.{DOMAIN}"
WROTE = {
    "en": "On {date} at {time}, {name} <{address}> wrote:",
    "de": "Am {date} um {time} schrieb {name} <{address}>:",
    "no": "{date} kl. {time} skrev {name} <{address}>:",
    "pt": "{name} <{address}> escreveu ({date}, {time}):",
    "pl": "{date} o {time} {name} <{address}> napisał(a):",
    "fr": "Le {date} à {time}, {name} <{address}> a écrit :",
    "uk": "{date} о {time} {name} <{address}> пише:",
    "ja": "{date} {time} {name} <{address}>:",
    "ar": "في {date} {time}، كتب {name} <{address}>:",
}
PROGRAMS = {"gmail": "Webmail 4", "outlook": "Office Mail 16.0", "text": "Mutt-like 2.2"}
POLICY = policy.SMTP


def compose(letter: Letter) -> bytes:
    """The whole message, lines ending in CR LF."""
    message = EmailMessage(policy=POLICY)
    _headers(message, letter)
    message.set_content(_plain(letter))
    if letter.sender.style != "text" or "html" in letter.line.extra:
        message.add_alternative(letter.line.extra.get("html") or _html(letter), subtype="html")
        if letter.line.extra.get("inline_image"):
            picture = lantern_png(int(letter.line.extra["inline_image"]))
            related = message.get_payload()[1]  # type: ignore[index]
            related.add_related(picture, "image", "png", cid="<lantern@demo>", filename="lantern.png")  # type: ignore[union-attr]
    for spec in letter.line.files:
        file = make_file(spec, letter.sent_at)
        main, sub = file.content_type.split("/")
        message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    return message.as_bytes()


def _headers(message: EmailMessage, letter: Letter) -> None:
    extra, sender = letter.line.extra, letter.sender
    sent = letter.sent_at.astimezone(ZoneInfo(sender.zone))
    domain = sender.address.rpartition("@")[2]
    if domain != DOMAIN:
        stamp = format_datetime(letter.sent_at)
        message["Return-Path"] = f"<{extra.get('return_path', sender.address)}>"
        message["Received"] = f"from mx.{domain} (mx.{domain} [192.0.2.25]) by {MAIL_HOST} with ESMTPS; {stamp}"
        message["Authentication-Results"] = extra.get("authentication") or (
            f"{MAIL_HOST}; spf=pass smtp.mailfrom={domain}; dkim=pass header.d={domain};"
            f" dmarc=pass header.from={domain}"
        )
    message["From"] = _mailbox(sender)
    message["To"] = [_mailbox(person) for person in letter.to]
    if letter.cc:
        message["Cc"] = [_mailbox(person) for person in letter.cc]
    # The older encoder: EmailMessage's own loses blanks where it breaks a long line of another alphabet (Python 3.11).
    charset = "us-ascii" if letter.subject.isascii() else "utf-8"
    message.set_raw("Subject", Header(letter.subject, charset, header_name="Subject").encode())
    message["Date"] = sent
    message["Message-ID"] = letter.message_id
    if letter.references:
        message["In-Reply-To"] = letter.references[-1]
        message["References"] = " ".join(letter.references)
    message["User-Agent"] = PROGRAMS[sender.style]
    for name, value in extra.get("headers", {}).items():
        message[name] = value


def _mailbox(person: Person) -> Address:
    return Address(person.name, addr_spec=person.address)


def _date(when: datetime, person: Person) -> tuple[str, str]:
    local = when.astimezone(ZoneInfo(person.zone))
    date = f"{local.day} {local:%b %Y}" if person.language == "en" else f"{local:%d.%m.%Y}"
    return date, f"{local:%H:%M}"


def _wrote(letter: Letter, parent: Letter) -> str:
    date, time = _date(parent.sent_at, letter.sender)
    words = WROTE.get(letter.sender.language, WROTE["en"])
    return words.format(date=date, time=time, name=parent.sender.name, address=parent.sender.address)


def _plain(letter: Letter) -> str:
    parts = [letter.body]
    if letter.sender.signature:
        parts.append(f"-- \n{letter.sender.signature}")
    text = "\n\n".join(parts) + "\n"
    if letter.parent is not None and letter.line.quote:
        quoted = "\n".join(f"> {line}".rstrip() for line in _thread_text(letter.parent).splitlines())
        text += f"\n{_wrote(letter, letter.parent)}\n{quoted}\n"
    return text


def _thread_text(letter: Letter, depth: int = 3) -> str:
    text = letter.body + (f"\n\n-- \n{letter.sender.signature}" if letter.sender.signature else "")
    if letter.parent is not None and letter.line.quote and depth:
        quoted = "\n".join(f"> {line}".rstrip() for line in _thread_text(letter.parent, depth - 1).splitlines())
        text += f"\n\n{_wrote(letter, letter.parent)}\n{quoted}"
    return text


def _html(letter: Letter) -> str:
    direction = ' dir="rtl"' if letter.sender.language == "ar" else ""
    body = _paragraphs(letter.body)
    if letter.line.extra.get("inline_image"):
        body += '<p><img src="cid:lantern@demo" alt="The lantern at dusk" width="320"></p>'
    if letter.sender.signature:
        lines = "<br>".join(html.escape(line) for line in letter.sender.signature.splitlines())
        rule = "border-top:1px solid #ccc;" if letter.sender.style == "outlook" else ""
        body += f'<div class="signature" style="{rule}color:#666;font-size:12px;margin-top:16px">-- <br>{lines}</div>'
    if letter.parent is not None and letter.line.quote:
        body += _quoted_html(letter, letter.parent)
    font = "Calibri,sans-serif" if letter.sender.style == "outlook" else "Arial,sans-serif"
    head = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
    inner = f'<div{direction} style="font-family:{font};font-size:14px">{body}</div>'
    return f"<html><head>{head}</head><body>{inner}</body></html>"


def _quoted_html(letter: Letter, parent: Letter, depth: int = 3) -> str:
    inner = _paragraphs(parent.body)
    if parent.parent is not None and parent.line.quote and depth:
        inner += _quoted_html(parent, parent.parent, depth - 1)
    if letter.sender.style == "outlook":
        to = ", ".join(html.escape(person.name) for person in parent.to)
        date, time = _date(parent.sent_at, letter.sender)
        top = f"<b>From:</b> {html.escape(parent.sender.name)}<br><b>Sent:</b> {date} {time}<br><b>To:</b> {to}<br>"
        top += f"<b>Subject:</b> {html.escape(parent.subject)}"
        return f'<div style="border-top:1px solid #b5c4df;padding-top:6px;margin-top:16px">{top}</div>{inner}'
    intro = html.escape(_wrote(letter, parent))
    style = "margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex"
    quote = f'<blockquote class="gmail_quote" style="{style}">{inner}</blockquote>'
    return f'<div class="gmail_quote"><div>{intro}</div>{quote}</div>'


def _paragraphs(text: str) -> str:
    found = []
    for block in text.split("\n\n"):
        lines = block.splitlines()
        if lines and all(line.startswith(("- ", "• ")) for line in lines):
            found.append("<ul>" + "".join(f"<li>{html.escape(line[2:])}</li>" for line in lines) + "</ul>")
        else:
            found.append("<p>" + "<br>".join(html.escape(line) for line in lines) + "</p>")
    return "".join(found)
