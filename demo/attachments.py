"""Small real files for the demo mails, made in code: PDF, PNG, CSV and calendar entries. Pure."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

WIDTH, HEIGHT, FRAME = 160, 120, 65


@dataclass(frozen=True, slots=True)
class File:
    """An attachment."""

    name: str
    content_type: str
    content: bytes


def make_file(spec: str, sent_at: datetime) -> File:
    """The file that a script asks for.

    "name.pdf|Title|line|line", "name.png|hue", "name.csv|a;b|1;2" or "name.ics|Title|days ahead".
    """
    name, *rest = spec.split("|")
    kind = name.rpartition(".")[2].lower()
    if kind == "pdf":
        return File(name, "application/pdf", pdf(rest))
    if kind == "png":
        return File(name, "image/png", lantern_png(int(rest[0]) if rest else 40))
    if kind == "csv":
        return File(name, "text/csv", ("\ufeff" + "\r\n".join(rest) + "\r\n").encode())
    if kind == "ics":
        return File(name, "text/calendar", calendar_entry(rest[0], sent_at, int(rest[1])))
    raise ValueError(f"no file can be made from {spec!r}")


def pdf(lines: list[str]) -> bytes:
    """One A4 page with a title and lines in Helvetica (ISO 32000-1 7.5)."""
    text = [b"BT /F1 20 Tf 56 770 Td (%s) Tj ET" % _pdf_text(lines[0] if lines else "")]
    for number, line in enumerate(lines[1:]):
        text.append(b"BT /F1 11 Tf 56 %d Td (%s) Tj ET" % (730 - 18 * number, _pdf_text(line)))
    text.append(b"0.8 0.6 0.2 RG 56 758 m 539 758 l S")
    stream = b"\n".join(text)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out, offsets = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def _pdf_text(text: str) -> bytes:
    escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return escaped.encode("cp1252", "replace")


def lantern_png(hue: int) -> bytes:
    """A lantern that glows in the dusk, in one of 360 colours (a PNG with a palette, ISO/IEC 15948)."""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", _palette(hue)), (b"IDAT", _picture()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


@cache
def _picture() -> bytes:
    """How much light falls on each point (0 to 64, FRAME for the brass), the same for every colour."""
    rows = bytearray()
    for y in range(HEIGHT):
        rows.append(0)
        rows += bytes(_light(x / WIDTH - 0.5, y / HEIGHT - 0.5) for x in range(WIDTH))
    return zlib.compress(bytes(rows), 9)


def _light(x: float, y: float) -> int:
    body = abs(x) < 0.16 - 0.05 * abs(y) and -0.22 < y < 0.3
    if body and (abs(x) > 0.13 or abs(x) < 0.008 or y < -0.18 or y > 0.26):
        return FRAME
    glow = max(0.0, 1 - (x * x * 6 + (y - 0.05) * (y - 0.05) * 4) * 1.4)
    return 64 if body else int(29 * glow)


def _palette(hue: int) -> bytes:
    dusk, tint = (24, 28, 48), _wheel(hue)
    steps = [
        bytes(int(base + (top - base) * step / 64) for base, top in zip(dusk, tint, strict=True)) for step in range(65)
    ]
    return b"".join(steps) + bytes((38, 30, 24))


def _wheel(hue: int) -> tuple[int, ...]:
    angle = hue % 360 / 60
    rising = int(255 * (1 - abs(angle % 2 - 1)))
    pure = ((255, rising, 0), (rising, 255, 0), (0, 255, rising), (0, rising, 255), (rising, 0, 255), (255, 0, rising))
    return tuple(min(255, 120 + channel // 2) for channel in pure[int(angle)])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def calendar_entry(title: str, sent_at: datetime, in_days: int) -> bytes:
    """An invitation for an hour at ten o'clock, so many days after the mail (RFC 5545, RFC 5546)."""
    begin = (sent_at + timedelta(days=in_days)).replace(hour=10, minute=0, second=0)
    stamps = {"DTSTAMP": sent_at, "DTSTART": begin, "DTEND": begin + timedelta(hours=1)}
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Nordlys//Demo//EN", "METHOD:REQUEST", "BEGIN:VEVENT"]
    lines += [f"{name}:{when.strftime('%Y%m%dT%H%M%SZ')}" for name, when in stamps.items()]
    lines += [f"UID:{abs(zlib.crc32(title.encode()))}-{begin:%Y%m%d}@nordlys.example", f"SUMMARY:{title}"]
    lines += ["LOCATION:Meeting room Laterna", "END:VEVENT", "END:VCALENDAR", ""]
    return "\r\n".join(lines).encode()
