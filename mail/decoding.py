"""Bytes of a mail to text: charsets, encoded words, transfer encodings. Nothing is lost and nothing raises.

Invariant: text that leaves here can be stored anywhere (no NUL, no lone surrogate).
"""

from __future__ import annotations

import binascii
import codecs
import re
from functools import lru_cache

# What mail says against what it means: a superset is always right for text that fits the subset.
_MEANT = {
    "ascii": "utf-8",
    "us-ascii": "utf-8",
    "ansi_x3.4-1968": "utf-8",
    "utf8": "utf-8",
    "utf-8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "utf8mb4": "utf-8",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "windows-1252": "cp1252",
    "ansi": "cp1252",
    "x-ansi": "cp1252",
    "iso-8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "euc-cn": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "cp950",
    "big5_tw": "cp950",
    "big5-tw": "cp950",
    "x-big5": "cp950",
    "cn-big5": "cp950",
    "big5-hkscs": "big5hkscs",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "ksc5601": "cp949",
    "ks_c_5601": "cp949",
    "korean": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "koi8-ru": "koi8-u",
    "x-user-defined": "cp1252",
    "unicode-1-1-utf-7": "utf-7",
}
_REFUSED = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "utf-8-sig"}
_LABEL = re.compile(r"[A-Za-z0-9._:+-]{1,40}")
_NUL = re.compile("\x00")
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]{0,8000}(?:\?(?!=)[^?]{0,200}){0,3})\?=")
_NOT_BASE64 = bytes(
    c for c in range(256) if chr(c) not in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
)
_JAPANESE = ("iso2022_jp_ext", "iso2022_jp_3", "iso2022_jp_2")


@lru_cache(maxsize=1024)
def codec_for(label: str) -> str:
    """Return the Python codec for a charset label, "" if nobody knows it (or it is no charset of text)."""
    label = label.strip().strip("\"'").lower().partition("*")[0]
    if label in _MEANT:
        return _MEANT[label]
    if not _LABEL.fullmatch(label):
        return ""
    for name in (label, label.removeprefix("x-"), label.replace("windows", "cp").replace("-", "")):
        try:
            found = codecs.lookup(name)
        except (LookupError, ValueError, UnicodeError):
            continue
        if getattr(found, "_is_text_encoding", True) and found.name.replace("-", "_") not in _REFUSED:
            return _MEANT.get(found.name, found.name)
    return ""


def unix_lines(data: bytes) -> bytes:
    """Return the bytes with LF for CRLF, unchanged where a CR stands alone. For text of ASCII's supersets only.

    Three times faster than the replacement of two letters by one.
    """
    return data if _LONE_RETURN.search(data) else data.replace(b"\r", b"")


def clean_text(text: str) -> str:
    """Return the text without NUL (dropped) and lone surrogates (U+FFFD)."""
    if "\x00" in text:
        text = _NUL.sub("", text)
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            text = _SURROGATE.sub("\ufffd", text)
    return text


def decode_charset(data: bytes, label: str = "") -> tuple[str, bool]:
    """Return (text, exact): `data` decoded by the named charset; what does not fit is tried as UTF-8, then cp1252.

    `exact` is False where the label was unknown or did not fit.
    """
    codec = codec_for(label) if label else "utf-8"
    if codec == "iso2022_jp":
        return _decode_japanese(data)
    if codec.startswith("utf-16") and codec == "utf-16" and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        codec = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    if codec:
        try:
            text = data.decode(codec)
            return clean_text(text.removeprefix("\ufeff")), True
        except (UnicodeError, ValueError):
            pass
    return clean_text(_guess(data, codec).removeprefix("\ufeff")), False


def _guess(data: bytes, codec: str) -> str:
    if codec != "utf-8":
        try:
            return data.decode("utf-8")
        except UnicodeError:
            pass
    if codec and codec != "utf-8":
        try:
            return data.decode(codec, "replace")
        except (UnicodeError, ValueError):
            pass
    loose = data.decode("utf-8", "replace")
    # A damaged UTF-8 text keeps most of its letters; anything else is more readable as Windows-1252.
    bad = loose.count("\ufffd")
    high = sum(1 for c in loose if c > "\x7f")
    return loose if high > 2 * bad else data.decode("cp1252", "replace")


def _decode_japanese(data: bytes) -> tuple[str, bool]:
    for codec in _JAPANESE:
        try:
            return clean_text(data.decode(codec)), True
        except (UnicodeError, ValueError):
            continue
    if any(byte > 127 for byte in data[:100_000]):  # labelled so, sent as Shift_JIS or UTF-8
        for codec in ("utf-8", "cp932", "euc-jp"):
            try:
                return clean_text(data.decode(codec)), False
            except (UnicodeError, ValueError):
                continue
    return clean_text(data.decode("iso2022_jp_ext", "replace")), False


def base64_bytes(data: bytes) -> bytes:
    """Decode base64 as far as it goes: foreign bytes skipped, missing padding added, concatenated pieces joined."""
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except (binascii.Error, ValueError):
        pass
    data = data.translate(None, _NOT_BASE64)
    if b"=" not in data.rstrip(b"=")[:-1]:
        return _base64_piece(data.rstrip(b"="))
    return b"".join(_base64_piece(piece) for piece in re.split(b"=+", data))


def _base64_piece(piece: bytes) -> bytes:
    if len(piece) % 4 == 1:
        piece = piece[:-1]
    return binascii.a2b_base64(piece + b"=" * (-len(piece) % 4))


def base64_size(data: bytes) -> int:
    """Return how many bytes `data` decodes to, without decoding; in lines of one length all bytes are taken for letters."""
    data = data.rstrip(b"=\r\n \t")
    ends = _even_line_ends(data)
    letters = len(data.translate(None, _NOT_BASE64).rstrip(b"=")) if ends is None else len(data) - ends
    return letters * 3 // 4


def _even_line_ends(data: bytes) -> int | None:
    """Return how many bytes are line ends where each line but the last has the same length, None where they have not.

    Forty times faster than to look at each byte.
    """
    end = data.find(b"\n")
    if end < 0:
        return None
    ends = data[end :: end + 1]
    returns = data[end - 1 :: end + 1][: len(ends)] if end else b""
    if ends.count(b"\n") != len(ends) or data.find(b"\n", end + 1) not in (-1, 2 * end + 1):
        return None  # the second line says whether the others are shorter than the first
    with_return = returns.count(b"\r")
    return len(ends) + with_return if with_return in (0, len(ends)) else None


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding (RFC 2045 6); unknown ones are left as they are."""
    if encoding == "base64":
        return base64_bytes(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return uu_bytes(data)
    return data


def uu_bytes(data: bytes) -> bytes:
    """Decode uuencoded lines between "begin" and "end"; broken lines are decoded as far as they go."""
    out = []
    inside = False
    for line in data.splitlines():
        if not inside:
            inside = line.startswith(b"begin ")
        elif line.strip() == b"end":
            break
        else:
            try:
                out.append(binascii.a2b_uu(line))
            except binascii.Error:
                length = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
                try:
                    out.append(binascii.a2b_uu(line[:length]))
                except binascii.Error:
                    continue
    return b"".join(out) if inside else data


def decode_words(value: str) -> str:
    """Decode the encoded words of a header value (RFC 2047), also inside words, quotes and with broken letters.

    Neighbouring words of one charset are joined before decoding, since many senders cut letters in two. The result may
    hold line breaks that were hidden in a word: the caller makes it one line.
    """
    if "=?" not in value:
        return value
    out: list[str] = []
    waiting, label = b"", ""
    position = 0
    for match in _WORD.finditer(value):
        between = value[position : match.start()]
        data = _word_bytes(match[2], match[3], match[1])
        if waiting and not between.strip() and position:
            if label == match[1].lower():
                waiting += data
                position = match.end()
                continue
            between = ""
        if waiting:
            out.append(decode_charset(waiting, label)[0])
        elif position and not between.strip():
            between = ""
        out.append(between)
        waiting, label = data, match[1].lower()
        position = match.end()
    if waiting:
        out.append(decode_charset(waiting, label)[0])
    out.append(value[position:])
    return "".join(out)


def _word_bytes(kind: str, text: str, label: str) -> bytes:
    try:
        raw = text.encode("ascii" if text.isascii() else codec_for(label) or "utf-8")
    except UnicodeError:  # 8-bit bytes inside of a word, of another charset than the word's
        raw = text.encode("utf-8", "replace")
    if kind in "bB":
        return base64_bytes(raw)
    return binascii.a2b_qp(raw.replace(b" ", b"_"), header=True)
