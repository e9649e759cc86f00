"""Header fields out of bytes: blocks, parameters, message ids, addresses.

Invariant: every value that leaves here is one line without control characters; no function raises for any bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from urllib.parse import unquote_to_bytes

from base.addresses import MAX_HEADER, MAX_NAME, clean_line, parse_address_list
from mail.decoding import clean_text, decode_charset, decode_words, unix_lines
from mail.types import Address

MAX_VALUE = 64 * 1024  # bytes of one header's value that are decoded
MAX_REMEMBERED = 200  # bytes of an address header that is remembered
MAX_FIELDS = 2000  # header fields read of one entity

# A field, or nothing where none begins: so that finditer gives one field after the other and stops at the first junk.
_FIELD = re.compile(rb"([!-9;-~\x80-\xff]{1,200})[ \t]*:([^\n]*(?:\n[ \t]+[^\n]*)*)(?:\n|\Z)|")
_BLANK = re.compile(rb"\r?\n")
_FROM_LINE = re.compile(rb">?From [^\n]*\n")
_KNOWN_FIELD = re.compile(
    rb"(?im)^(?:from|to|cc|subject|date|mime-version|content-(?:type|transfer-encoding|disposition|id)|received"
    rb"|message-id|reply-to|sender|return-path|x-[a-z0-9-]{2,60})[ \t]*:"
)
_FOLD = re.compile(rb"[ \t\r]*\n[ \t]*")
# A semicolon or, since some forget it, white space before the name; a value may be an encoded word though it must not.
# A semicolon or, since some forget it, white space before the name; an unquoted value runs to the next parameter, since
# some write spaces and encoded words there.
_PARAMETER = re.compile(
    r"[;\s]\s{0,50}([^\s=;\"]{1,100})\s{0,50}=\s*(?:\"([^\"\\]*(?:\\.[^\"\\]*)*)\""
    r"|((?:=\?[^?;\s]{1,60}\?[bBqQ]\?[^?]{0,1000}\?=\s*)*[^;\"]{0,1000}?)(?=\s{0,50}(?:[;\"]|\Z)|\s{1,50}[^\s;=\"]{1,40}=))",
    re.S,
)
_ESCAPED = re.compile(r"\\([\"\\])")
_COMMENT = re.compile(r"\([^()]*\)")
_TYPE = re.compile(r"\s*([A-Za-z0-9!#$&^_.+-]{1,100})\s*/\s*([A-Za-z0-9!#$&^_.+-]{1,100})")
_SINGLE_ID = re.compile(rb"[ \t\r\n]*<([!-;=?-~]+)>[ \t\r\n]*")
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,990})>")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

Fields = Mapping[bytes, Sequence[bytes]]


def header_end(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return (end of the header block, start of the body) of the entity in data[start:end].

    A line that is no field ends the block (the body starts with it), unless known fields follow before the first blank
    line: then it is a badly folded continuation.
    """
    if start >= end:
        return end, end
    blank = _BLANK.match(data, start, end) if data[start] in b"\r\n" else None
    if blank:
        return start, blank.end()
    # Which kind of line end comes first says which blank line to look for first: the other one is then looked for in the
    # header alone, and not through all of the body.
    likely, other = (b"\n\r\n", b"\n\n") if _ends_in_crlf(data, start, end) else (b"\n\n", b"\n\r\n")
    found, mark = data.find(likely, start, end), likely
    earlier = data.find(other, start, found + 1 if found >= 0 else end)
    if earlier >= 0:
        found, mark = earlier, other
    return (found + 1, found + len(mark)) if found >= 0 else (end, end)


def _ends_in_crlf(data: bytes, start: int, end: int) -> bool:
    line_end = data.find(b"\n", start, end)
    return data[max(start, line_end - 1) : line_end] == b"\r"


def read_fields(data: bytes, start: int, end: int) -> tuple[Fields, int]:
    """Return (fields by lower-case name, where reading stopped) of a header block.

    Reading stops before `end` where a line is no field and no known field follows: the body begins there.
    """
    fields: dict[bytes, list[bytes]] = {}
    position = start
    count = 0
    last: list[bytes] | None = None
    while position < end and count < MAX_FIELDS:
        for match in islice(_FIELD.finditer(data, position, end), MAX_FIELDS - count):
            name, value = match.groups()
            if name is None:
                break
            last = fields.setdefault(name.lower(), [])
            last.append(value)
            position = match.end()
            count += 1
        if position >= end or count >= MAX_FIELDS:
            break
        junk = _FROM_LINE.match(data, position, end) if not count else None
        if junk:
            position = junk.end()
            continue
        line_end = data.find(b"\n", position, end)
        line_end = end if line_end < 0 else line_end + 1
        if not data[position:line_end].strip():
            position = line_end
            continue
        if data.startswith(b"--", position) or not _KNOWN_FIELD.search(data, line_end, min(end, line_end + 20_000)):
            return fields, position
        if last:
            last[-1] += b"\n " + data[position:line_end].rstrip(b"\n")
        position = line_end
        count += 1
    return fields, end


def raw_text(value: bytes, limit: int = MAX_VALUE) -> str:
    """Return a raw value unfolded as text (8-bit bytes as UTF-8, else Windows-1252), encoded words untouched."""
    value = _FOLD.sub(b" ", value[:limit]) if b"\n" in value else value[:limit]
    if value.isascii():
        return value.decode("ascii").strip()
    return decode_charset(value.strip())[0]


def decode_value(value: bytes, limit: int = 4000) -> str:
    """Return an unstructured value decoded (RFC 2047) as one clean line of at most `limit` characters."""
    if not value:
        return ""
    return clean_line(decode_words(raw_text(value)), limit)


def first(fields: Fields, name: bytes) -> bytes:
    """Return the first value of a field that is not blank, b"" if there is none."""
    for value in fields.get(name, ()):
        if value and not value.isspace():
            return value
    return b""


def addresses(fields: Fields, name: bytes) -> tuple[Address, ...]:
    """Return the mailboxes of all fields of that name, names decoded after the list was split (RFC 2047 5)."""
    values = fields.get(name)
    if not values:
        return ()
    found: tuple[Address, ...] = ()
    for value in values[:20]:
        found += _remembered_mailboxes(value) if len(value) <= MAX_REMEMBERED else _mailboxes(value)
    return found


def _mailboxes(value: bytes) -> tuple[Address, ...]:
    found: list[Address] = []
    for label, address in parse_address_list(raw_text(value, MAX_HEADER)):
        if label:
            label = clean_line(decode_words(label), MAX_NAME)
            if len(label) > 1 and label[0] == label[-1] and label[0] in "\"'":
                label = label[1:-1].strip()
        found.append(Address(label, address))
    return tuple(found)


# The same few people write to the same few people.
_remembered_mailboxes = lru_cache(maxsize=4096)(_mailboxes)


def parse_parameters(value: bytes) -> dict[str, str]:
    """Return the parameters of a Content-Type or Content-Disposition value, names in lower case.

    Undoes RFC 2231 (charset, continuations, out of order), RFC 2047 where senders wrongly used it, and 8-bit bytes.
    """
    if b"=" not in value:
        return {}
    text = raw_text(value, 16 * 1024)
    if "(" in text and '"' not in text and "name" not in text.lower():
        text = without_comments(text)
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for match in _PARAMETER.finditer(text):
        name = match[1].lower()
        quoted = match[2]
        content = _unquoted(quoted) if quoted is not None else match[3].strip()
        if "*" in name:
            base, _, rest = name.partition("*")
            number = rest.rstrip("*")
            index = int(number) if number.isdigit() and len(number) < 5 else 0
            pieces.setdefault(base, []).append((index, name.endswith("*"), content))
        elif name not in plain:
            plain[name] = content
    for base, found in pieces.items():
        plain[base] = _join_extended(found)
    return {
        name: clean_line(decode_words(content) if "=?" in content else content, 1000) for name, content in plain.items()
    }


def _unquoted(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _join_extended(found: list[tuple[int, bool, str]]) -> str:
    found.sort(key=lambda piece: piece[0])
    label = ""
    data = b""
    for position, (_, is_extended, content) in enumerate(found):
        if is_extended:
            if position == 0 and content.count("'") >= 2:
                label, _, rest = content.partition("'")
                content = rest.partition("'")[2]
            data += unquote_to_bytes(content)
        else:
            data += content.encode("utf-8", "replace")
    return decode_charset(data, label)[0]


def content_type(value: bytes) -> str:
    """Return "type/subtype" in lower case, "" where the value names none."""
    text = value[:300].decode("latin-1")
    match = _TYPE.match(without_comments(text) if "(" in text else text)
    return f"{match[1]}/{match[2]}".lower() if match else ""


def token(value: bytes) -> str:
    """Return the first token of a value in lower case (disposition, transfer encoding), comments and spaces off."""
    if not value:
        return ""
    text = value[:300].decode("latin-1")
    if "(" in text:
        text = _COMMENT.sub(" ", text)
    words = text.partition(";")[0].split(None, 1)
    return words[0].strip("\"'").lower() if words else ""


def clean_file_name(name: str) -> str:
    """Return the name a person is shown and a download gets: no path, no controls, no text direction tricks, <= 200."""
    if not name:
        return ""
    name = _BIDI.sub("", clean_line(name, 1000)).replace("\\", "/").rpartition("/")[2].strip()
    if len(name) <= 200:
        return "" if name in (".", "..") else name
    stem, dot, ending = name.rpartition(".")
    return stem[: 199 - len(ending)] + dot + ending if stem and len(ending) < 20 else name[:200]


def message_ids(value: bytes) -> tuple[str, ...]:
    """Return the message ids of a References or In-Reply-To value without brackets, in order, each once."""
    if not value:
        return ()
    single = _SINGLE_ID.fullmatch(value) if len(value) <= 990 else None
    if single and b"=?" not in value:
        return (single[1].decode("ascii"),)
    text = clean_line(raw_text(value), MAX_VALUE)
    if "=?" in text:
        text = clean_line(decode_words(text), MAX_VALUE)
    found = _MESSAGE_ID.findall(text)
    if not found:
        bare = text.strip("<> ")
        found = [bare] if bare and "@" in bare and " " not in bare and len(bare) <= 990 else []
    return tuple(dict.fromkeys(found))


def message_id(value: bytes) -> str:
    """Return a Message-ID without brackets; what is no id by the letter is kept as it stands, as one line."""
    found = message_ids(value)
    if found:
        return found[0]
    return clean_line(re.sub(r"[<>\s]+", "", raw_text(value)), 990)


def without_comments(text: str) -> str:
    """Return a structured value without its comments, nested ones included (RFC 5322 3.2.2); not for quoted strings."""
    out, depth = [], 0
    for piece in re.split(r"([()])", text):
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(0, depth - 1)
        elif not depth:
            out.append(piece)
    return " ".join(out).strip()


def header_text(data: bytes) -> str:
    """Return a raw header block as text with LF line ends."""
    data = unix_lines(data)
    text = data.decode("ascii") if data.isascii() else decode_charset(data)[0]
    return clean_text(text.replace("\r\n", "\n").replace("\r", "\n"))
