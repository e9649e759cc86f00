"""Names of strangers on screen. Invariant: a name is never shown with letters that turn or hide it, and one that passes
for something else never stands without its address. Templates escape what comes from here.
"""

from __future__ import annotations

from functools import lru_cache

from django.utils.translation import gettext as _

from base.lookalikes import address_in_name, has_bidi, has_mixed_scripts, show_plainly, shows_foreign_domain


@lru_cache(maxsize=8192)
def hides_something(name: str, address: str) -> bool:
    """Whether a name mixes alphabets that look alike, turns its direction or holds another address; or its domain does."""
    return bool(
        has_mixed_scripts(name) or has_bidi(name) or address_in_name(name, address) or shows_foreign_domain(address)
    )


@lru_cache(maxsize=8192)
def plain_name(name: str) -> str:
    """The name as it may stand beside its address."""
    return name if name.isascii() else show_plainly(name)


def shown_name(name: str, address: str) -> str:
    """The name in a list; with its address where it hides something; the address where there is no name."""
    plain = plain_name(name)
    if plain and address and hides_something(name, address):
        return f"{plain} <{address}>"
    return plain or address or _("unknown sender")
