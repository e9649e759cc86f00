"""Keys of a conversation: message ids, the order of references, base subjects. Pure.

Invariant: a subject never joins two messages; its base form serves display and the digest only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_REFERENCES = 100  # kept of one message: the first and the newest ones

# Reply and forward marks as mail programs of many languages write them.
_MARKS = (
    r"re|aw|antw|antwort|sv|vs|vl|rv|rif|res|resp|odp|ynt|vá|vb|ref|réf|bls|atb|ang|enc|ilt|"
    r"doorst|fw|fwd|fwd?\.|wg|tr|i|"
    r"továbbítás|továbbítva|pd|πρθ|απ|σχετ|hа|на|ответ|отв|пересл|rep|rép|reply|tr\.|trs|"
    r"תגובה|הועבר|رد|إعادة توجيه|回复|回覆|答复|答覆|转发|轉寄|转寄|返信|転送|회신|전달|trả lời|chuyển tiếp"
)
_PREFIX = re.compile(
    rf"^(?:\[[^\[\]]{{1,60}}\]\s*)?(?:{_MARKS})\s*(?:\[\d{{1,3}}\]|\(\d{{1,3}}\)|\^\d{{1,3}}|"
    rf"\*\d{{1,3}})?\s*[:：]\s*",
    re.I,
)
_SUFFIX = re.compile(r"\s*\((?:fwd|fw)\)\s*$", re.I)
_TAG = re.compile(r"^\[[^\[\]]{1,60}\]\s*")
_SPACES = re.compile(r"\s+")


def normalise_message_id(text: str) -> str:
    """Return a message id in the form used as a key: no brackets, no spaces, domain in lower case. "" if nothing."""
    text = _SPACES.sub("", text).strip("<>")
    left, at, right = text.rpartition("@")
    return f"{left}@{right.lower()}" if at else text


def reference_chain(references: Iterable[str], in_reply_to: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the ancestors of a message, oldest first, the direct parent last (RFC 5322 3.6.4), each once.

    In-Reply-To counts only where it adds an id that References does not hold. At most MAX_REFERENCES: of longer chains
    the root and the newest are kept.
    """
    chain = [key for key in map(normalise_message_id, references) if key]
    parents = [key for key in map(normalise_message_id, in_reply_to) if key]
    chain.extend(key for key in parents[:1] if key not in chain)
    unique = list(reversed(dict.fromkeys(reversed(chain))))
    if len(unique) > MAX_REFERENCES:
        unique = unique[:1] + unique[1 - MAX_REFERENCES :]
    return tuple(unique)


def base_subject(subject: str) -> str:
    """Return the subject without reply and forward marks ("AW: Re[2]: [list] Offer (fwd)" → "Offer")."""
    text = _SPACES.sub(" ", subject[:1000]).strip()
    for _ in range(20):
        shorter = _SUFFIX.sub("", _PREFIX.sub("", text, count=1)).strip()
        if shorter == text:
            break
        text = shorter
    without_tag = _TAG.sub("", text)
    return without_tag if without_tag and without_tag != text and _PREFIX.match(subject.strip()) else text


def subject_key(subject: str) -> str:
    """Return the base subject folded for comparison (case, width, accents kept)."""
    return unicodedata.normalize("NFKC", base_subject(subject)).casefold()
