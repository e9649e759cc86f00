"""Signatures: a few tags of rich text. Invariant: what is stored and what is shown went through this cleaner."""

from __future__ import annotations

import nh3

MAX_SIGNATURE = 20_000  # characters
_TAGS = {"a", "b", "strong", "i", "em", "u", "br", "p", "div", "ul", "ol", "li", "span"}


def clean_signature(html: str) -> str:
    """The signature without anything but plain text formatting and links."""
    return nh3.clean(
        html[:MAX_SIGNATURE].replace("\x00", ""),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer",
    ).strip()
