"""Where the quoted text and the signature of a reply begin, so that a screen can fold them. Pure, linear, never raises.

Invariant: nothing is cut away, only a place is named; what follows a quote is never folded with it (answers between the
lines stay visible).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import quotequail
from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_LINES = 20_000  # lines looked at
MAX_QUOTE_HTML = 500_000  # characters of HTML that are split

_ADDRESS = r"[^\s<>@]{1,64}@[^\s<>@]{1,200}"
# "On <date>, <name> wrote:" as mail programs of many languages write it, up to four lines.
_WROTE = (
    r"wrote|writes|sent|schrieb|a écrit|escribió|ha scritto|scrisse|scritto|escreveu|skrev|"
    r"napisał\(a\)|napisał|napisała|napsal|"
    r"schreef|geschreven|kirjoitti|написала?|пишет|yazdı|yazmış|írta|a scris|έγραψε|napísal|"
    r"написао|написав|"
    r"写道|寫道|のメール|님이 작성|đã viết|est arrivé"
)
_ATTRIBUTION = re.compile(rf".{{2,400}}?(?:{_WROTE}).{{0,120}}?[:：]\s*$", re.I | re.S)
_DATED = re.compile(r"\d{1,2}[:.h]\d{2}|\b(?:19|20)\d{2}\b|\d{1,2}[./-]\d{1,2}|@|年")
_STARTS_WITH_DATE = re.compile(r"^\s*\d{1,4}[./-]\d{1,2}[./-]\d{1,4}")
_START = re.compile(
    r"^[\s>*_]{0,6}(?:On|Am|Le|El|Il|Em|Op|W dniu|Dnia|Dne|Den|På|Pe|În|Vào|Ti|Le\b|Lørdag|"
    r"\d{1,4}\b|[A-ZÀ-ÖØ-Þ][\w.]{1,15}[,. ]|\"|<|.{2,80}<)",
    re.I,
)
_RULE = re.compile(
    r"^[\s>]*[-_=*–—]{2,}\s*(?:(?:original|forwarded|reply|begin forwarded|message d'origine|"
    r"message original|mensaje original"
    r"|mensagem original|messaggio originale|ursprüngliche|weitergeleitete|oorspronkelijk|"
    r"doorgestuurd|ursprungligt"
    r"|oprindelig|opprinnelig|alkuperäinen|original-?nachricht|исходное|пересылаемое|"
    r"пересланное|původní|wiadomość|переадресоване"
    r"|原始邮件|原始郵件|转发|轉寄|元のメッセージ|원본|transféré|reenviado|encaminhada|inoltrato|videresendt|vidarebefordrat"
    r"|originalmeddelande|orijinal|thread|mail original|message transféré)[^\n]{0,60})[-_=*–—]*\s*:?\s*$",
    re.I,
)
_LINE = re.compile(r"^[_*=-]{10,}\s*$")  # Outlook draws one above its header block
_BEGIN_FORWARD = re.compile(
    r"^\s*(?:Begin forwarded message|Anfang der weitergeleiteten (?:Nachricht|E-Mail)|"
    r"Début du message (?:réexpédié|transféré)|Inizio messaggio inoltrato|"
    r"Inicio del mensaje reenviado)\s*:\s*$",
    re.I,
)
_FROM_FIELD = (
    r"From|Von|De|Da|Van|Från|Fra|Från|Lähettäjä|Od|От|Kimden|Feladó|Gönderen|Desde|"
    r"Expéditeur|发件人|寄件者|差出人|보낸 사람|Από|Від"
)
_OTHER_FIELD = (
    r"Sent|To|Date|Subject|Cc|Reply-To|Gesendet|An|Datum|Betreff|Envoyé|À|A|Objet|"
    r"Date d'envoi|Enviado|Enviada em|Para|Fecha|Asunto|Assunto"
    r"|Inviato|Oggetto|Data|Verzonden|Aan|Onderwerp|Skickat|Till|Ämne|Sendt|Til|Emne|"
    r"Lähetetty|Vastaanottaja|Aihe|Wysłano|Do|Temat"
    r"|Дата|Кому|Тема|Отправлено|Gönderildi|Kime|Konu|Küldve|Címzett|Tárgy|发送时间|收件人|主题|抄送|"
    r"送信日時|宛先|件名|보낸 날짜|받는 사람|제목|Odesláno|Komu|Předmět|Odesílatel"
)
_FROM_LINE = re.compile(rf"^[\s>]*\**(?:{_FROM_FIELD})\**\s*[:：]\**\s*\S", re.I)
_FIELD_LINE = re.compile(rf"^[\s>]*\**(?:{_OTHER_FIELD}|{_FROM_FIELD})\**\s*[:：]", re.I)
_QUOTED = re.compile(r"^\s{0,3}(?:>|\|>)")
_SIGNATURE = re.compile(r"^(?:--|—|––|-- |__|\u2013\u2013)\s?$")
_SENT_FROM = re.compile(
    r"^\s*(?:Sent from (?:my|Mail|Outlook|Yahoo|Proton|Samsung|AOL|the)\b.{0,60}|Sent (?:via|"
    r"with) .{2,50}|Get Outlook for (?:iOS|Android).{0,60}|Von meinem .{2,40} gesendet.{0,5}"
    r"|Gesendet (?:von|mit) .{2,50}|Envoyé (?:de|depuis|à partir de) (?:mon|ma|mes|l'|Outlook|"
    r"Yahoo)\b.{0,50}|Enviado desde .{2,50}|Enviado do meu .{2,50}|Inviato da(?:l|"
    r"lla)? .{2,50}"
    r"|Verzonden vanaf .{2,50}|Skickat från min .{2,50}|Sendt fra min .{2,50}|Отправлено (?:с|"
    r"из) .{2,50}|Wysłane z .{2,50}|发自我的.{1,40}|iPhoneから送信)\s*$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class QuoteSplit:
    """Offsets into the text: `[:signature_at]` is what was written, `[signature_at:quote_at]` the signature,
    `[quote_at:]` quoted. Both are len(text) where there is none."""

    signature_at: int
    quote_at: int

    def visible(self, text: str) -> str:
        """Return the part of `text` that its sender wrote, signature left out."""
        return text[: self.signature_at].rstrip()


@dataclass(frozen=True, slots=True)
class HtmlSplit:
    """A body in two pieces; `quoted` is "" where nothing is folded. Both are HTML of their own."""

    visible: str
    quoted: str


def split_quote(text: str) -> QuoteSplit:
    """Return where the quoted text and the signature of a plain text begin (after sanitising nothing; any text)."""
    lines = text.split("\n", MAX_LINES)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    end = _quote_line(lines)
    quote_at = min(offsets[end], len(text))
    return QuoteSplit(_signature_at(lines[:end], offsets, quote_at), quote_at)


def _quote_line(lines: list[str]) -> int:
    """Return the index of the first line of the quote that runs to the end, len(lines) if there is none."""
    last_written = _last_written(lines)
    index = 0
    while index < len(lines):
        length = _opening(lines, index)
        if length and (length > 100 or last_written <= index + length - 1):
            return index - 1 if index and _LINE.match(lines[index - 1]) else index
        index += 1
    tail = len(lines)
    while tail and (not lines[tail - 1].strip() or _QUOTED.match(lines[tail - 1])):
        tail -= 1
    quoted_tail = any(_QUOTED.match(line) for line in lines[tail:])
    return tail if quoted_tail else len(lines)


def _last_written(lines: list[str]) -> int:
    """Return the index of the last line that is neither empty nor quoted nor part of a signature below the quote."""
    index = len(lines) - 1
    for position in range(len(lines) - 1, max(-1, len(lines) - 12), -1):
        if _SIGNATURE.match(lines[position]) or _SENT_FROM.match(lines[position]):
            index = position - 1
    while index >= 0 and (not lines[index].strip() or _QUOTED.match(lines[index])):
        index -= 1
    return index


def _opening(lines: list[str], index: int) -> int:
    """Return 0 if no quote opens at this line; else how many lines open it, +1000 where all that follows is quoted
    whether it is marked with ">" or not."""
    line = lines[index]
    if not line.strip() or len(line) > 600:
        return 0
    if _RULE.match(line) or _BEGIN_FORWARD.match(line):
        return 1001
    if _FROM_LINE.match(line) and _is_header_block(lines, index):
        return 1001
    for count in range(1, 5):
        if index + count > len(lines):
            break
        last = lines[index + count - 1].rstrip()
        if not last:
            break
        if _is_attribution(lines[index : index + count]):
            if any(_is_attribution(lines[later : index + count]) for later in range(index + 1, index + count)):
                return 0  # the sentence before it is no part of it
            return count if _followed_by_quote(lines, index + count) else 1000 + count
        if last.endswith(":") and count > 1:
            break
    return 0


def _is_attribution(lines: list[str]) -> bool:
    """Return whether these lines are one "On <date>, <name> wrote:"."""
    last = lines[-1].rstrip()
    piece = "\n".join(line.strip() for line in lines)
    if len(piece) > 600 or not _START.match(lines[0]) or not _DATED.search(piece):
        return False
    if last.endswith((">:", "):")) and "@" in piece and _STARTS_WITH_DATE.match(lines[0]):
        return True
    if last.endswith((":", "：")):
        return bool(_ATTRIBUTION.match(piece))
    return "@" in piece and last.lower().endswith((" wrote", " schrieb", " a écrit", " escribió"))


def _followed_by_quote(lines: list[str], index: int) -> bool:
    for line in lines[index : index + 4]:
        if line.strip():
            return bool(_QUOTED.match(line))
    return False


def _is_header_block(lines: list[str], index: int) -> bool:
    """Two more header lines within the next six: a block that Outlook puts above what it quotes."""
    return sum(1 for line in lines[index + 1 : index + 7] if _FIELD_LINE.match(line)) >= 2


def _signature_at(lines: list[str], offsets: list[int], quote_at: int) -> int:
    """Return where the signature begins: after "-- " (RFC 3676 4.3) or a phone's line near the end."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    for index in range(max(0, end - 25), end):
        if _SIGNATURE.match(lines[index]) and index + 1 < end:
            return min(offsets[index], quote_at)
    for index in range(max(0, end - 3), end):
        if _SENT_FROM.match(lines[index]):
            return min(offsets[index], quote_at)
    return quote_at


# What mail programs wrap a quote in. Ids and classes survive sanitising.
_MARKS = (
    "div.gmail_quote_container", "div.gmail_quote", "blockquote.gmail_quote", "div.gmail_extra", ("div.moz-cite-prefix"),
    "div.yahoo_quoted", "div#divRplyFwdMsg", "div#appendonsend", "hr#stopSpelling", "#OLK_SRC_BODY_SECTION",
    "div.protonmail_quote", "div.zmail_extra", "div#mail-editor-reference-message-container",
    "blockquote[type=cite]", "div.WordSection1 div[style*='border-top']", "#isReplyContent", ("div.tutanota_quote"),
)  # fmt: skip


def split_quote_html(html: str) -> HtmlSplit:
    """Return a sanitised HTML body as (visible, quoted). Knows the wrappers of common programs, else asks quotequail.

    Too long or strange bodies are not split. Runs at about 300 a second: for opening a message, not for a download.
    """
    if not html or len(html) > MAX_QUOTE_HTML or html.count("<") > 4000:
        return HtmlSplit(html, "")
    try:
        return _split_by_mark(html) or _split_by_quotequail(html)
    except Exception:  # a split is a convenience: whatever a library made of this body, show it whole
        return HtmlSplit(html, "")


def _split_by_mark(html: str) -> HtmlSplit | None:
    """Cut at a known wrapper if nothing readable follows it."""
    tree = LexborHTMLParser(html)
    if tree.body is None:
        return None
    for selector in _MARKS:
        node = tree.css_first(selector)
        if node is None:
            continue
        takes_rest = node.id in ("appendonsend", "divRplyFwdMsg", "stopSpelling") or "moz-cite-prefix" in selector
        following = _following(node)
        if not takes_rest and any(_has_words(other) for other in following if not _is_quote(other)):
            continue
        quoted = "".join([node.html or "", *(other.html or "" for other in following)])
        for other in [node, *following]:
            other.decompose()
        visible = tree.body.inner_html or ""
        styles = "".join(style.html or "" for style in tree.css("head style"))
        if _has_words(tree.body):
            return HtmlSplit(styles + visible, styles + quoted)
        return None
    return None


def _following(node: LexborNode) -> list[LexborNode]:
    """Return what comes after a node in the document: the later siblings of it and of its ancestors."""
    found: list[LexborNode] = []
    current: LexborNode | None = node
    while current is not None and current.tag not in ("body", "html") and len(found) < 1000:
        sibling = current.next
        while sibling is not None and len(found) < 1000:
            found.append(sibling)
            sibling = sibling.next
        current = current.parent
    return found


def _has_words(node: LexborNode) -> bool:
    if node.tag in ("style", "script", "-comment"):
        return False
    return bool(re.search(r"\w", node.text(deep=True) or ""))


def _is_quote(node: LexborNode) -> bool:
    return node.tag == "blockquote"


def _split_by_quotequail(html: str) -> HtmlSplit:
    pieces = quotequail.quote_html(html)
    if len(pieces) == 2 and pieces[0][0] and not pieces[1][0] and not _answers_below(pieces[1][1]):
        return HtmlSplit(pieces[0][1], pieces[1][1])
    return HtmlSplit(html, "")


def _answers_below(quoted: str) -> bool:
    """Return whether words follow the last blockquote of a quoted piece: somebody answered under it."""
    blocks = LexborHTMLParser(quoted).css("blockquote")
    return bool(blocks) and any(_has_words(node) for node in _following(blocks[-1]) if not _is_quote(node))
