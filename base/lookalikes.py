"""What a display name or a domain may hide: other alphabets, turned text, an address inside a name. Pure.

Nothing here forbids a name; the screen shows it plainly and says what is odd.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from base.addresses import domain_of, normalise_address

_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile("[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2060-\u2064\u3164\ufeff\uffa0]")
_WORD = re.compile(r"[^\W\d_]+")
_ADDRESS = re.compile(r"[\w.+%'-]{1,64}\s{0,2}[@\uff20\ufe6b]\s{0,2}[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
# Alphabets whose letters pass for those of another; within one word, two of them are no accident.
_CONFUSABLE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "GEORGIAN"})


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def has_mixed_scripts(text: str) -> bool:
    """Return whether one word of the text mixes alphabets that look alike (Latin with Cyrillic, Greek …)."""
    if text.isascii():
        return False
    return any(
        len({script for script in map(_script, word) if script in _CONFUSABLE}) > 1
        for word in _WORD.findall(text[:2000])
    )


def has_bidi(text: str) -> bool:
    """Return whether the text holds controls that turn its direction (text in Arabic or Hebrew itself is fine)."""
    return bool(_BIDI.search(text))


def show_plainly(text: str) -> str:
    """Return the text without direction controls and invisible letters, for a name that stands beside an address."""
    return _INVISIBLE.sub("", _BIDI.sub("", text)).strip()


def address_in_name(name: str, address: str = "") -> str:
    """Return the address that a display name pretends to be, "" if it holds none or only the real `address`."""
    match = _ADDRESS.search(show_plainly(unicodedata.normalize("NFKC", name[:2000])))
    if not match:
        return ""
    found = normalise_address(re.sub(r"\s", "", match[0])) or match[0]
    return "" if found == address else found


def shows_foreign_domain(domain_or_address: str) -> bool:
    """Return whether a domain, once decoded from its A-labels, mixes alphabets."""
    domain = domain_of(domain_or_address) if "@" in domain_or_address else domain_or_address
    try:
        shown = ".".join(label.encode().decode("idna") for label in domain.split("."))
    except (UnicodeError, ValueError):
        return True
    return has_mixed_scripts(shown)
