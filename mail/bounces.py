"""Recognising mail that machines send back: delivery failures (RFC 3464 and the odd ones) and automatic replies. Pure.

Invariants: linear time on capped input, never raises; what is read is a claim of whoever wrote the mail: the floor above
believes it only for mail that it really sent (Message-ID) and for addresses that it really wrote to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from base.addresses import normalise_address
from mail.message import extract_part, parse_message
from mail.types import ParsedMessage

MAX_RAW = 512 * 1024  # bytes read
MAX_RECIPIENTS = 100
_REPORTS = ("message/delivery-status", "message/global-delivery-status")
_RETURNED = (
    "message/rfc822",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global",
    "message/global-headers",
)

_DAEMON = re.compile(
    r"^(?:mailer[-_.]?daemon|post\s?master|mail[-_.]?delivery[-\w.]*|mail\.delivery\.system|mdaemon|bounces?|ndr|imss|"
    r"\"?system administrator\"?|mailadmin|smtp|uucp|null|<>)(?:@|$)|(?:delivery|postmaster|daemon)[\w.-]*@",
    re.I,
)
_SUBJECT = re.compile(
    r"undeliver|not (?:be )?deliver|deliver\w* (?:status|fail|problem|report|warning|notification|has failed|error)|"
    r"failure (?:notice|delivery)|fail(?:ed|ure)[\w ]{0,20}deliver|"
    r"returned (?:mail|to sender)|return(?:ed)? to sender|non[- ]?deliver|"
    r"could not be delivered|mail system error|message (?:has )?(?:been )?delayed|message delayed|warning: message|"
    r"user unknown|nicht zugestellt|unzustellbar|échec de la remise|non remis|no se pudo entregar|undelivered|bounced|"
    r"mancata consegna|não entregue|kunne ikke leveres|onbestelbaar|недостав|не доставлен|退信|投递失败|配信不能",
    re.I,
)
_DELAYED = re.compile(
    r"\bdelayed\b|not yet been delivered|still (?:being )?(?:trying|attempt|retried)|will (?:be |continue )?(?:retr|try)|"
    r"warning message only|no action is required|do not need to resend",
    re.I,
)
_FINAL = re.compile(
    r"giving up|permanent|fatal|gave up|has been returned|expired|was not delivered|unable to deliver", re.I
)
_COPY = re.compile(
    r"^\W{0,10}(?:-{3,}.{0,60}|(?:below (?:this line )?is|here is|following is|this is) a copy.{0,80}|original message.{0,60}|"
    r"(?:the )?(?:message|headers?).{0,30}follow\w*.{0,20}|(?:return-path|received|x-originating-ip|message-id):.{0,300})$",
    re.I | re.M,
)
_TRANSCRIPT = re.compile(
    r"-{3,}\s*(?:the following address|transcript|reason|failure|fatal|delivery|addresses|failed|errors|session)", re.I
)
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_CODE = re.compile(r"(?<![\d.@])\b([45])\d\d\b(?![\d.]*@)")
_ID = re.compile(rb"(?im)^[> \t]{0,8}(?:x-)?(?:original-)?message-id:[ \t]*(?:\r?\n[ \t]+)?<([^<>\s]{3,900})>")
_ENVELOPE = re.compile(rb"(?im)^Original-Envelope-Id:[ \t]*([!-~]{3,400})[ \t]*\r?$")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_FIELD = re.compile(r"^([A-Za-z-]{3,40}):[ \t]*(.{0,2000}(?:\n[ \t].{0,1000}){0,20})", re.M)
_AUTO_REPLY = re.compile(
    r"^(?:auto(?:matic|mated)?[ -]?(?:reply|response|antwort)|out of (?:the )?office|abwesen|réponse automatique|"
    r"respuesta automática|risposta automatica|automatische|automatisk|resposta automática|автоответ|自动回复|vacation)",
    re.I,
)


class ReportKind(StrEnum):
    """What a machine says."""

    FAILED = "failed"
    DELAYED = "delayed"
    AUTO_REPLY = "auto_reply"


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient that was not reached. `status` is the enhanced code (RFC 3463) or "", `said` one hostile line."""

    address: str  # normalised
    status: str = ""
    said: str = ""

    @property
    def is_permanent(self) -> bool:
        """Whether the address itself is at fault for good: 5.1.x, 5.2.1, 5.0.0, or no code at all."""
        group = self.status.split(".")
        if len(group) == 3:
            return group[0] == "5" and (group[1] in ("0", "1") or self.status in ("5.2.1", "5.4.4", "5.7.17"))
        return False


@dataclass(frozen=True, slots=True)
class Report:
    """A recognised report. `original_ids`: Message-IDs of the returned headers, without <>, most likely first."""

    kind: ReportKind
    failures: tuple[Failure, ...] = ()
    original_ids: tuple[str, ...] = ()


def may_be_report(from_address: str, subject: str, *, is_automatic: bool) -> bool:
    """Cheap look at a stored row: whether it is worth reading the whole mail."""
    return is_automatic or bool(_DAEMON.search(from_address) or _SUBJECT.search(subject)) or not from_address


def read_report(raw: bytes) -> Report | None:
    """What a machine reports in this mail; None for a mail of a person (or of a list). Never raises."""
    try:
        return _read(raw[:MAX_RAW])
    except Exception:  # the promise is "never": a defect here must not stop the reader
        return None


def _read(raw: bytes) -> Report | None:
    parsed = parse_message(raw)
    reported, is_delayed = _from_status_parts(raw, parsed)
    ids = _original_ids(raw, parsed)
    if reported:
        return Report(ReportKind.DELAYED if is_delayed else ReportKind.FAILED, reported, ids)
    sender = parsed.from_[0].address or parsed.from_[0].name if parsed.from_ else ""
    header = parsed.header_block
    failed = _failed_recipients(header)
    if failed:
        return Report(_tense(parsed), tuple(Failure(one, *_codes(parsed.text)) for one in failed), ids)
    looks = bool(_DAEMON.search(sender) or _SUBJECT.search(parsed.subject) or not sender)
    if looks and not _AUTO_REPLY.match(parsed.subject):
        found = _from_text(parsed)
        if found:
            return Report(_tense(parsed), found, ids)
    return Report(ReportKind.AUTO_REPLY, (), ids) if is_auto_reply(header, parsed.subject) else None


def is_auto_reply(header_block: str, subject: str = "") -> bool:
    """Whether a machine answered by itself (RFC 3834 5, and what older programs write): never to be answered by one."""
    for match in _FIELD.finditer(header_block):
        name, value = match[1].lower(), match[2].strip().lower()
        if name == "auto-submitted" and value.startswith(("auto-replied", "auto-generated", "auto-notified")):
            return value.startswith("auto-replied") or bool(_AUTO_REPLY.match(subject))
        if name in ("x-autoreply", "x-autorespond", "x-autoreply-from", "x-autoresponder"):
            return True
        if name == "precedence" and value.startswith("auto_reply"):
            return True
    return bool(_AUTO_REPLY.match(subject))


def _from_status_parts(raw: bytes, parsed: ParsedMessage) -> tuple[tuple[Failure, ...], bool]:
    """Failures of message/delivery-status parts, and whether all of them are delays (RFC 3464 2.3)."""
    found: dict[str, Failure] = {}
    delays = 0
    for part in parsed.parts[:20]:
        if part.content_type not in _REPORTS:
            continue
        for group in re.split(r"\n[ \t]*\n", _part_text(raw, part.id)):
            fields = {match[1].lower(): " ".join(match[2].split()) for match in _FIELD.finditer(group)}
            action = fields.get("action", "").lower().split(" ")[0].strip(";")
            address = _typed(fields.get("final-recipient", "")) or _typed(fields.get("original-recipient", ""))
            original = _typed(fields.get("original-recipient", ""))
            if not address or action in ("delivered", "relayed", "expanded"):
                continue
            status = _STATUS.search(fields.get("status", ""))
            code = status[0] if status else ""
            delays += action == "delayed" or (action != "failed" and code.startswith("4"))
            for one in dict.fromkeys((address, original)):
                if one and len(found) < MAX_RECIPIENTS:
                    found[one] = Failure(one, code, fields.get("diagnostic-code", "")[:300])
    return tuple(found.values()), bool(found) and delays > 0 and not any(
        f.status.startswith("5") for f in found.values()
    )


def _part_text(raw: bytes, part_id: str) -> str:
    try:
        content = extract_part(raw, part_id)[1]
    except KeyError:
        return ""
    return content[:MAX_RAW].decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _typed(value: str) -> str:
    """The address of "rfc822; someone@example.com" (RFC 3464 2.1.2)."""
    text = value.rpartition(";")[2].strip().strip("<>").strip()
    match = _ADDRESS.search(text)
    return normalise_address(text) or (normalise_address(match[0]) if match else "")


def _original_ids(raw: bytes, parsed: ParsedMessage) -> tuple[str, ...]:
    """Message-IDs below the report's own header: of the returned message or headers, whatever they are wrapped in."""
    end = re.search(rb"\r?\n\r?\n", raw)
    texts = [raw[end.end() :] if end else b""]
    for part in parsed.parts[:10]:
        if part.content_type in _RETURNED:
            try:
                texts.append(extract_part(raw, part.id)[1])
            except KeyError:
                continue
    found = [match[1].decode("utf-8", "replace") for text in reversed(texts) for match in _ID.finditer(text)]
    found += [_from_xtext(match[1].decode()) for match in _ENVELOPE.finditer(texts[0])]  # the ENVID that we gave
    found += [one for one in (parsed.in_reply_to, *reversed(parsed.references)) if one]
    return tuple(one for one in dict.fromkeys(found) if one != parsed.message_id)[:20]


def _from_xtext(text: str) -> str:
    """RFC 3461 4: "+" and two hexadecimal digits stand for an octet."""
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), text)


def _failed_recipients(header: str) -> list[str]:
    """X-Failed-Recipients (Exim and others)."""
    for match in _FIELD.finditer(header):
        if match[1].lower() == "x-failed-recipients":
            found = (normalise_address(one) for one in match[2].replace("\n", " ").split(","))
            return [one for one in dict.fromkeys(found) if one][:MAX_RECIPIENTS]
    return []


def _tense(parsed: ParsedMessage) -> ReportKind:
    text = f"{parsed.subject}\n{parsed.text[:3000]}"
    is_delayed = bool(_DELAYED.search(text)) and not _FINAL.search(parsed.text[:3000])
    return ReportKind.DELAYED if is_delayed else ReportKind.FAILED


def _codes(text: str) -> tuple[str, str]:
    """(enhanced status, a line that holds it) out of a text; a plain 5yz counts as 5.0.0 only with known words."""
    for line in text[:6000].split("\n"):
        if (match := _STATUS.search(line)) and match[1] in "45":
            return match[0], " ".join(line.split())[:300]
    for line in text[:6000].split("\n"):
        if match := _CODE.search(line):
            known = re.search(
                r"unknown|no such|does ?n.t exist|not exist|invalid (?:user|recipient|address)|no mailbox", line, re.I
            )
            return (
                "5.1.1" if known and match[1] == "5" else f"{match[1]}.0.0" if match[1] == "4" else "5.3.0"
            ), " ".join(line.split())[:300]
    if match := re.search(
        r".{0,100}(?:user unknown|no such user|unknown (?:user|address)|account.{0,20}disabled).{0,100}", text, re.I
    ):
        return "5.1.1", " ".join(match[0].split())[:300]
    return "", ""


def _from_text(parsed: ParsedMessage) -> tuple[Failure, ...]:
    """Addresses named before the copy of the returned mail begins."""
    text = parsed.text.replace("\r\n", "\n")[:20_000]
    own = {one.address for one in (*parsed.from_, *parsed.to, *parsed.reply_to)}
    found = _addresses(_report_of(text), own)
    if not found:  # named in the subject, in an angle of the whole text, or in the returned mail's own To
        found = _addresses(parsed.subject, own) or _addresses(text[:4000], own)
    if not found:
        match = re.search(r"(?im)^[> ]{0,4}to:[ \t]*(.{3,300})$", text)
        found = _addresses(match[1], set()) if match else []
    status, said = _codes(text)
    return tuple(Failure(one, status, said) for one in found[:MAX_RECIPIENTS])


def _report_of(text: str) -> str:
    for match in _COPY.finditer(text):
        if match.start() > 20 and not _TRANSCRIPT.search(match[0]) and _ADDRESS.search(text[: match.start()]):
            return text[: match.start()]
    return text[:4000]


def _addresses(text: str, without: set[str]) -> list[str]:
    found: dict[str, None] = {}
    for match in _ADDRESS.finditer(text):
        address = normalise_address(match[0].strip("."))
        if address and address not in without and not _DAEMON.search(address):
            found[address] = None
    return list(found)
