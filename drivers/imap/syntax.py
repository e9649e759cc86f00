"""The words of IMAP (RFC 3501 section 9), pure: what we send is made here, what we read is cut into tokens here.

Invariants: no CR, LF or NUL ever leaves inside an argument; whatever is no atom is quoted or sent as a literal;
reading is bounded in depth and never recurses on hostile input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from imapclient import imap_utf7

from drivers.errors import ProtocolError

MAX_DEPTH = 60  # nested parentheses
MAX_TOKENS = 200_000  # of one response
UID_MAX = 4_294_967_295

_ATOM = re.compile(rb"[A-Za-z0-9.$_\-+/=@:,]+")
_QUOTABLE = re.compile(rb"[\x20-\x7e]{0,900}")
_FLAG = re.compile(r"\\?[A-Za-z0-9$_.\-+/:!?#&'^~|<>=@,;]{1,100}")
_UNSAFE = re.compile(rb"[\r\n\0]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.upper().encode(): number for number, name in enumerate(_MONTHS, 1)}

RAW_NAME = "&raw;"  # marks a folder id whose wire name is no valid modified UTF-7


class Literal(bytes):
    """Bytes to be announced as {n} and sent as they are (RFC 3501 4.3)."""


Argument = bytes | Literal
Token = bytes | int | None | list["Token"]


def astring(value: bytes | str) -> Argument:
    """An argument: an atom, a quoted string or a literal. Raises ProtocolError for CR, LF and NUL."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    if _UNSAFE.search(data):
        raise ProtocolError("A line break or NUL in an IMAP argument was refused.")
    if _ATOM.fullmatch(data) and data.upper() != b"NIL":
        return data
    if _QUOTABLE.fullmatch(data):
        return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return Literal(data)


def flag_list(flags: Iterable[str]) -> bytes:
    """`(\\Seen $Forwarded)`. Raises ProtocolError for what is no flag."""
    words = list(flags)
    if not all(_FLAG.fullmatch(word) for word in words):
        raise ProtocolError("Not a flag.")
    return b"(" + " ".join(words).encode("ascii") + b")"


def encode_folder(folder_id: str, *, utf8: bool = False) -> Argument:
    """The wire name of a folder id (modified UTF-7, RFC 3501 5.1.3; UTF-8 after ENABLE UTF8=ACCEPT, RFC 6855)."""
    if _UNSAFE.search(folder_id.encode("utf-8", "replace")):
        # Encoded it would be harmless for us, but Dovecot repeats the decoded name, line break and all, in its answer.
        raise ProtocolError("A folder name with a line break was refused.")
    if folder_id.startswith(RAW_NAME):
        return astring(folder_id[len(RAW_NAME) :].encode("latin-1", "replace"))
    if utf8:
        return astring(folder_id)
    try:
        encoded = imap_utf7.encode(folder_id)
    except (UnicodeError, ValueError):
        raise ProtocolError("A folder name that cannot be written.")
    return astring(bytes(encoded))


def decode_folder(wire: bytes, *, utf8: bool = False) -> str:
    """The folder id of a wire name; it always encodes back to the same bytes."""
    try:
        if utf8:
            return wire.decode("utf-8")
        name = str(imap_utf7.decode(wire))
        if wire.isascii() and bytes(imap_utf7.encode(name)) == wire and not name.startswith(RAW_NAME):
            return name
    except Exception:  # noqa: BLE001, S110 - the decoder raises whatever it likes on hostile names
        pass
    return RAW_NAME + wire.decode("latin-1")


def show_folder(folder_id: str) -> str:
    """A readable name for a folder id: raw wire names are read as UTF-8 where they are."""
    if folder_id.startswith(RAW_NAME):
        return folder_id[len(RAW_NAME) :].encode("latin-1", "replace").decode("utf-8", "replace")
    return folder_id


def format_date(day: date) -> bytes:
    """`1-Feb-2026` (English months whatever the locale)."""
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04d}".encode("ascii")


def parse_internal_date(text: bytes) -> datetime | None:
    """INTERNALDATE ` 1-Feb-2026 10:00:00 +0100` to UTC, None where it is none."""
    try:
        day, month, year = int(text[0:2]), _MONTH_NUMBERS[text[3:6].upper()], int(text[7:11])
        offset = int(text[22:24]) * 60 + int(text[24:26])
        if text[21:22] == b"-":
            offset = -offset
        moment = datetime(year, month, day, int(text[12:14]), int(text[15:17]), min(int(text[18:20]), 59), tzinfo=UTC)
        return moment - timedelta(minutes=offset) if abs(offset) < 1440 else moment
    except (KeyError, ValueError, IndexError, OverflowError):
        return None


def format_internal_date(moment: datetime) -> bytes:
    """A quoted date-time for APPEND, in UTC."""
    at = moment.astimezone(UTC)
    return f'"{at.day:2d}-{_MONTHS[at.month - 1]}-{at.year:04d} {at:%H:%M:%S} +0000"'.encode("ascii")


def uid_sets(uids: Iterable[int], *, longest: int) -> Iterator[tuple[bytes, list[int]]]:
    """Sequence sets (`1:5,9`) in ascending order, each at most `longest` bytes, with the UIDs in it."""
    words: list[bytes] = []
    members: list[int] = []
    length = 0
    for first, last in _runs(sorted(set(uids))):
        word = b"%d" % first if first == last else b"%d:%d" % (first, last)
        if words and length + len(word) + 1 > longest:
            yield b",".join(words), members
            words, members, length = [], [], 0
        words.append(word)
        members.extend(range(first, last + 1))
        length += len(word) + 1
    if words:
        yield b",".join(words), members


def _runs(uids: list[int]) -> Iterator[tuple[int, int]]:
    start = previous = -1
    for uid in uids:
        if start < 0:
            start = previous = uid
        elif uid == previous + 1:
            previous = uid
        else:
            yield start, previous
            start = previous = uid
    if start >= 0:
        yield start, previous


def expand_set(text: bytes, *, low: int = 1, high: int = UID_MAX, most: int = 10_000_000) -> list[int]:
    """UIDs of a sequence set within low..high as written. Raises ProtocolError above `most` or for rubbish."""
    found: list[int] = []
    for word in text.split(b","):
        first_text, _, last_text = word.partition(b":")
        try:
            first = int(first_text)
            last = int(last_text) if last_text else first
        except ValueError:
            raise ProtocolError("Not a sequence set.", server_said=show(text))
        first, last = max(min(first, last), low), min(max(first, last), high)
        if last - first + len(found) >= most:
            raise ProtocolError("A sequence set above the cap.")
        found.extend(range(first, last + 1))
    return found


def show(data: bytes) -> str:
    """Server text for an error: bounded, control characters replaced."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", data[:600].decode("utf-8", "replace")).strip()


_TOKEN = re.compile(
    rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|(\{\d+\+?\}\r?\n?$)|([^\s()"{]+(?:\[[^\]]*\])?[^\s()"{]*)|(["{]))', re.S
)


def parse_tokens(parts: list[bytes]) -> list[Token]:
    """Nested lists out of a response's parts (line, literal, line, ...): atoms and strings as bytes, NIL as None.

    Tolerant: unbalanced parentheses are closed at the end. Raises ProtocolError above the caps.
    """
    root: list[Token] = []
    stack: list[list[Token]] = [root]
    count = 0
    for index in range(0, len(parts), 2):
        line, position = parts[index], 0
        while (match := _TOKEN.match(line, position)) is not None and match.end() > position:
            position = match.end()
            count += 1
            kind = match.lastindex
            if kind == 1:
                child: list[Token] = []
                stack[-1].append(child)
                stack.append(child)
                if len(stack) > MAX_DEPTH:
                    raise ProtocolError("A server's answer nested too deeply.")
            elif kind == 2:
                if len(stack) > 1:
                    stack.pop()
            elif kind == 3:
                stack[-1].append(_unquote(match.group(3)))
            elif kind == 4:
                stack[-1].append(parts[index + 1] if index + 1 < len(parts) else b"")
            else:
                word = match.group(kind or 5)
                stack[-1].append(None if word.upper() == b"NIL" else word)
            if count > MAX_TOKENS:
                raise ProtocolError("A server's answer with too many words.")
    return root


def _unquote(data: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", data, flags=re.S) if b"\\" in data else data
