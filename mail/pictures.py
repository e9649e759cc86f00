"""Pictures of a mail made new: decoded and encoded again, without metadata, bounded. Pure; runs in `base.jail`.

Invariant: what comes out is a PNG, JPEG or WebP that Pillow itself wrote; the sender's bytes never reach a browser as a
picture of our origin.
"""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from base import jail

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
MAX_BYTES = 20 * 1024 * 1024  # bytes of a picture that is looked at
MAX_PIXELS = 50_000_000
MAX_SIDE = 2400  # pixels
JAIL_SECONDS = 12
JAIL_MEGABYTES = 768

_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


def safe_picture(data: bytes) -> tuple[bytes, str] | None:
    """Return (bytes, content type) of the picture made new in a helper process, None where it is no safe picture."""
    if not data or len(data) > MAX_BYTES:
        return None
    try:
        made = jail.run("mail.pictures:encode_again", data, seconds=JAIL_SECONDS, megabytes=JAIL_MEGABYTES)
    except jail.JailError:
        return None
    for magic, content_type in _TYPES.items():
        if made.startswith(magic):
            return made, content_type
    return None


def encode_again(data: bytes) -> bytes:
    """The helper's side: the first frame, turned upright, at most MAX_SIDE wide or high. Raises on anything odd."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    with Image.open(io.BytesIO(data), formats=FORMATS) as source:
        if source.width * source.height > MAX_PIXELS:
            raise ValueError("too many pixels")
        kind = source.format
        picture = ImageOps.exif_transpose(source)
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        out = io.BytesIO()
        if kind == "JPEG":
            picture.convert("RGB").save(out, "JPEG", quality=88)
        else:
            picture.convert("RGBA").save(out, "PNG")
    return out.getvalue()
