"""What a folder is for, told by its name, for servers without SPECIAL-USE (pure; names of common clients and hosts).

Invariant: only a whole name counts, and only near the top (Sent, INBOX.Sent, [Gmail]/Sent), never a project folder
that merely contains the word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from drivers.types import FolderRole

_NAMES: dict[FolderRole, str] = {
    FolderRole.SENT: (
        "sent|sent items|sent mail|sent messages|sent-mail|sentmail|outbox sent|gesendet|gesendete|gesendete elemente|"
        "gesendete objekte|gesendete nachrichten|gesendete mails|envoyés|éléments envoyés|messages envoyés|courrier envoyé|"
        "enviados|elementos enviados|mensajes enviados|correo enviado|enviadas|itens enviados|mensagens enviadas|"
        "inviata|inviati|posta inviata|elementi inviati|verzonden|verzonden items|verzonden berichten|wysłane|"
        "elementy wysłane|отправленные|исходящие|надіслані|odeslané|odeslaná pošta|odoslané|elküldött|elküldött elemek|"
        "skickat|skickade|skickade objekt|sendt|sendte elementer|sendt post|lähetetyt|gönderilmiş öğeler|gönderilmiş|"
        "gönderilenler|trimise|elemente trimise|απεσταλμένα|изпратени|poslano|poslane|已发送|已发送邮件|寄件備份|"
        "送信済み|送信済みアイテム|送信済みメール|보낸편지함|보낸 편지함|ส่งแล้ว|đã gửi|terkirim|נשלח|المرسلة|العناصر المرسلة"
    ),
    FolderRole.DRAFTS: (
        "draft|drafts|entwurf|entwürfe|brouillon|brouillons|borrador|borradores|rascunho|rascunhos|bozza|bozze|concept|"
        "concepten|kopie robocze|szkice|wersje robocze|черновики|чернетки|koncepty|rozepsané|piszkozatok|vázlatok|utkast|"
        "kladder|luonnokset|taslaklar|ciorne|schițe|πρόχειρα|чернови|skice|nacrti|osnutki|草稿|草稿箱|草稿匣|下書き|"
        "임시보관함|임시 보관함|แบบร่าง|thư nháp|bản nháp|draf|konsep|טיוטות|المسودات|مسودات"
    ),
    FolderRole.TRASH: (
        "trash|bin|deleted|deleted items|deleted messages|deleted mail|wastebasket|papierkorb|gelöscht|gelöschte elemente|"
        "gelöschte objekte|gelöschte nachrichten|corbeille|éléments supprimés|messages supprimés|papelera|"
        "elementos eliminados|eliminados|lixeira|lixo|itens excluídos|itens eliminados|cestino|posta eliminata|"
        "elementi eliminati|prullenbak|prullenmand|verwijderde items|kosz|elementy usunięte|удаленные|удалённые|корзина|"
        "кошик|видалені|koš|odstraněná pošta|odstránené|kuka|törölt elemek|törölt|papperskorg|papperskorgen|borttaget|"
        "borttagna objekt|slettet post|slettede elementer|papirkurv|roskakori|poistetut|çöp kutusu|silinmiş öğeler|"
        "coș de gunoi|elemente șterse|κάδος|διαγραμμένα|кошче|изтрити|smeće|otpad|已删除|已删除邮件|垃圾桶|刪除的郵件|"
        "ごみ箱|ゴミ箱|削除済みアイテム|휴지통|지운편지함|지운 편지함|ถังขยะ|thùng rác|sampah|אשפה|"
        "סל המיחזור|المهملات|العناصر المحذوفة"
    ),
    FolderRole.JUNK: (
        "junk|junk mail|junk e-mail|junk email|spam|bulk|bulk mail|spamverdacht|unerwünscht|werbung|indésirables|"
        "courrier indésirable|pourriel|correo no deseado|no deseado|lixo eletrônico|lixo electrónico|posta indesiderata|"
        "indesiderata|ongewenste e-mail|ongewenst|wiadomości-śmieci|niechciane|спам|нежелательная почта|nevyžádaná pošta|"
        "nevyžiadaná pošta|levélszemét|skräppost|søppelpost|uønsket e-mail|uønsket mail|roskaposti|istenmeyen|"
        "önemsiz e-posta|gereksiz|ανεπιθύμητα|нежелана поща|垃圾邮件|垃圾郵件|垃圾箱|迷惑メール|스팸|스팸메일함|정크 메일|"
        "จดหมายขยะ|thư rác|spam verdacht|דואר זבל|البريد العشوائي|البريد غير الهام"
    ),
    FolderRole.ARCHIVE: (
        "archive|archives|archived|archiv|archivio|archivo|arquivo|arquivos|archief|archiwum|архив|архів|archív|arkiv|"
        "arkisto|arşiv|arhivă|arhiva|αρχείο|αρχειοθήκη|归档|封存|アーカイブ|보관함|ที่เก็บถาวร|lưu trữ|arsip|ארכיון|الأرشيف|أرشيف"
    ),
    FolderRole.ALL: "all mail|alle nachrichten|tous les messages|todos|todos los correos|tutti i messaggi|вся почта",
    FolderRole.FLAGGED: "starred|markiert|suivis|destacados|speciali|помеченные",
    FolderRole.IMPORTANT: "important|wichtig|importants|importantes|importanti|важное",
}


def _plain(name: str) -> str:
    """Letters without accents, lower case, so that Entwuerfe typed in any normal form is found."""
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


_ROLES = {_plain(name): role for role, names in _NAMES.items() for name in names.split("|")}
_GMAIL_ONLY = frozenset({FolderRole.ALL, FolderRole.FLAGGED, FolderRole.IMPORTANT})


def role_by_name(path: Sequence[str]) -> FolderRole:
    """The role that the last segment of `path` tells, NONE where it tells nothing."""
    parents = [segment.casefold() for segment in path[:-1]]
    in_gmail = parents in (["[gmail]"], ["[google mail]"])
    if not path or not (parents in ([], ["inbox"]) or in_gmail):
        return FolderRole.NONE
    if len(path[-1]) > 60:
        return FolderRole.NONE
    role = _ROLES.get(_plain(path[-1]), FolderRole.NONE)
    return FolderRole.NONE if role in _GMAIL_ONLY and not in_gmail else role
