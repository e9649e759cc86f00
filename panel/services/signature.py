"""Signatures: a few tags of rich text, and pictures made new and kept inside.

Invariants: what is stored and what is shown went through this cleaner; a picture is data: that Pillow itself wrote, or
it is not there; together they stay small, because every mail carries them (inline, by content id).
"""

from __future__ import annotations

import base64
import binascii
import re

import nh3
from django.utils.translation import gettext as _

from mail.pictures import safe_picture

MAX_TEXT = 20_000  # characters without pictures
MAX_PICTURES = 5
MAX_PICTURE = 1_000_000  # bytes of one, as it is handed in
MAX_TOGETHER = 300_000  # bytes of all, as they are kept
MAX_SIGNATURE = 8_000_000  # characters of the form's field
_TAGS = {"a", "b", "strong", "i", "em", "u", "br", "p", "div", "ul", "ol", "li", "span", "img"}
_DATA = re.compile(r'src="data:image/(?:png|jpe?g|gif|webp);base64,([A-Za-z0-9+/=\s]*)"')
_NUMBER = re.compile(r"\d{1,4}\Z")


class SignatureRefused(Exception):
    """The signature cannot be kept as it is; the text says why, for the person."""


def clean_signature(html: str) -> str:
    """The signature without anything but plain text formatting, links and pictures that are in it."""
    return nh3.clean(
        html[:MAX_SIGNATURE].replace("\x00", ""),
        tags=_TAGS,
        attributes={"a": {"href"}, "img": {"src", "alt", "width", "height"}},
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "tel", "data"},
        link_rel="noopener noreferrer",
    ).strip()


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "href":
        return value if re.match(r"(?:https?|mailto|tel):", value, re.I) else None
    if name == "src":
        return value if _DATA.fullmatch(f'src="{value}"') else None
    if name in ("width", "height"):
        return value if _NUMBER.match(value) else None
    return value


def made_new(html: str) -> str:
    """The cleaned signature with its pictures decoded and written anew. Raises SignatureRefused."""
    cleaned = re.sub(r"<img(?![^>]*\ssrc=)[^>]*>", "", clean_signature(html))
    if len(_DATA.sub("", cleaned)) > MAX_TEXT:
        raise SignatureRefused(_("The signature is too long. Nothing was changed."))
    if len(_DATA.findall(cleaned)) > MAX_PICTURES:
        raise SignatureRefused(
            _("A signature takes %(count)s pictures at most. Nothing was changed.") % {"count": MAX_PICTURES}
        )
    sizes: list[int] = []

    def picture(match: re.Match[str]) -> str:
        try:
            data = base64.b64decode(re.sub(r"\s", "", match[1]), validate=True)
        except (binascii.Error, ValueError):
            data = b""
        made = safe_picture(data) if len(data) <= MAX_PICTURE else None
        if made is None:
            raise SignatureRefused(
                _("A picture of the signature is no PNG, JPEG, GIF or WebP of at most 1 MB. Nothing was changed.")
            )
        sizes.append(len(made[0]))
        return f'src="data:{made[1]};base64,{base64.b64encode(made[0]).decode()}"'

    written = _DATA.sub(picture, cleaned)
    if sum(sizes) > MAX_TOGETHER:
        raise SignatureRefused(
            _("The pictures of the signature have more than 300 kB together. Make them smaller. Nothing was changed.")
        )
    return written
