"""Words for search: one function for indexing and for queries, so that SQLite and PostgreSQL find the same.

Invariant: a token is lower-case letters and digits only, without accents, at most MAX_TOKEN characters; scripts without
spaces between words become overlapping pairs of letters.
"""

from __future__ import annotations

import re
import unicodedata

MAX_TOKEN = 64  # characters; longer ones are cut, on both sides alike
MAX_TOKENS = 50_000  # of one text
MAX_TEXT = 1_000_000  # characters read

_ASCII_WORD = re.compile(r"[a-z0-9]+")
# Marks that people leave out when they type. Not those of Japanese (U+3099) or Indic scripts: they make another letter.
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f\u200b-\u200f\u2060\ufeff\u00ad]+"
)
_LETTERS = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ı": "i",
        "ħ": "h",
        "ŧ": "t",
        "ŋ": "n",
        "ĸ": "k",
    }
)
# Letters of scripts written without spaces: Han, kana, hangul, Thai, Lao, Khmer, Burmese.
_TIGHT = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff"
    "\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(f"[{_TIGHT}]+|(?:(?![{_TIGHT}])[^\\W_]|[\u0900-\u0dff\u0f00-\u0fff])+")
_IS_TIGHT = re.compile(f"[{_TIGHT}]")


def fold(text: str) -> str:
    """Return the text without case, accents, width and ligatures ("ÉCOLE ﬁn Łódź" → "ecole fin lodz")."""
    if text.isascii():
        return text.lower()
    text = _MARKS.sub("", unicodedata.normalize("NFKD", text)).casefold()
    return unicodedata.normalize("NFC", _MARKS.sub("", text).translate(_LETTERS))


def search_tokens(text: str, limit: int = MAX_TOKENS) -> list[str]:
    """Return the tokens of a text in order, repeated ones repeated, at most `limit`.

    Addresses and domains fall into their words. Chinese, Japanese, Korean, Thai and the like become bigrams (a single
    letter stays one token): a query for one letter must be a prefix query.
    """
    folded = fold(text[:MAX_TEXT])
    if folded.isascii():
        found = _ASCII_WORD.findall(folded)[:limit]
        is_short = len(folded) <= MAX_TOKEN or max(map(len, found), default=0) <= MAX_TOKEN
        return found if is_short else [word[:MAX_TOKEN] for word in found]
    tokens: list[str] = []
    for word in _WORD.findall(folded):
        if word.isascii() or not _IS_TIGHT.match(word):
            tokens.append(word[:MAX_TOKEN])
        elif len(word) == 1:
            tokens.append(word)
        else:
            tokens.extend(word[i : i + 2] for i in range(len(word) - 1))
        if len(tokens) >= limit:
            break
    return tokens[:limit]
