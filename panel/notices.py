"""Notifications in words: a sentence, what it means, the mend. Their data is hostile and escaped by the templates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.oauth_revoke import PAGES
from accounts.setup_errors import explain
from notifications.models import Kind, Notification
from panel.outgoing import troubles
from panel.services.account_state import OTHERS_MEND
from panel.templatetags.panel import day_label
from providers.deadlines import DEADLINES


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification as shown. `post_url`: a form's address for Yes; `href` + `action`: the mend as a link."""

    row: Notification
    icon: str
    subject: str
    text: str
    detail: str = ""
    tone: str = ""
    href: str = ""
    action: str = ""
    post_url: str = ""


@dataclass(frozen=True, slots=True)
class NoticeDay:
    """News of one day."""

    label: str
    notices: list[Notice]


def notices_of(rows: Iterable[Notification]) -> list[Notice]:
    """Each notification in words; of an unknown kind, its kind's label."""
    return [_SENTENCES.get(row.kind, _other)(row) for row in rows]


def days_of(notices: Iterable[Notice]) -> list[NoticeDay]:
    """The notices under the heads of their days, order kept."""
    days: list[NoticeDay] = []
    for notice in notices:
        label = day_label(notice.row.created_at)
        if not days or days[-1].label != label:
            days.append(NoticeDay(label, []))
        days[-1].notices.append(notice)
    return days


def _url(name: str, *args: Any) -> str:
    try:
        return reverse(f"panel:{name}", args=args)
    except NoReverseMatch:
        return ""


def _address(row: Notification) -> str:
    return row.email_account.address if row.email_account else str(row.data.get("address", ""))


def _download_question(row: Notification) -> Notice:
    return Notice(
        row, "download", _address(row), _("was added."),
        _("Download the emails of the last week?") if not row.closed_at else _("The question is answered."),
        href=_url("email_account", row.email_account_id), action=_("Change settings"),
        post_url=_url("answer_download", row.email_account_id),
    )  # fmt: skip


def _sign_in_again(row: Notification) -> Notice:
    detail = _("Its server no longer accepts the sign-in. Nothing was lost: new mail waits on the server.")
    return Notice(
        row, "key-round", _address(row), _("cannot receive."), detail, "danger",
        href=_url("sign_in_again", row.email_account_id), action=_("Sign in again"),
    )  # fmt: skip


def _sync_trouble(row: Notification) -> Notice:
    detail = str(row.data.get("problem") or _("Its server does not answer. Nothing was lost; we keep trying."))
    if row.data.get("error") in OTHERS_MEND:
        told = explain(str(row.data["error"]), provider=row.email_account.provider if row.email_account else None)
        detail = f"{told.title} {told.mend} {_('Nothing was lost; we keep trying.')}"
    return Notice(
        row, "circle-alert", _address(row), _("has stopped receiving."), detail, "danger",
        href=_url("email_account", row.email_account_id), action=_("Look"),
    )  # fmt: skip


def _download_done(row: Notification) -> Notice:
    count = row.data.get("stored")
    detail = _("%(count)s emails, newest first.") % {"count": count} if count is not None else ""
    url = f"{reverse('panel:inbox')}?account={row.email_account_id}" if row.email_account_id else reverse("panel:inbox")
    return Notice(row, "check", _address(row), _("is downloaded"), detail, href=url)


def _domain_proposal(row: Notification) -> Notice:
    domain, provider = str(row.data.get("domain", "")), str(row.data.get("provider", ""))
    detail = _("Chosen by hand and proven by a sign-in: its mail is run by %(provider)s.") % {"provider": provider}
    url = _url("proposals") or str(row.data.get("url", "")) * str(row.data.get("url", "")).startswith("/admin/")
    return Notice(row, "at-sign", domain, _("waits for your approval."), detail, "warn", href=url, action=_("Look"))


def _shared_with_you(row: Notification) -> Notice:
    by = str(row.data.get("by", ""))
    url = f"{reverse('panel:inbox')}?account={row.email_account_id}" if row.email_account_id else ""
    detail = _("By %(name)s.") % {"name": by} if by else ""
    return Notice(row, "users-round", _address(row), _("was shared with you"), detail, href=url)


def _push_unreliable(row: Notification) -> Notice:
    seconds = row.data.get("poll_seconds", 30)
    detail = _("Its server did not announce new mail. Nothing was lost; we look every %(seconds)s seconds now.") % {
        "seconds": seconds
    }
    url = _url("email_account", row.email_account_id)
    return Notice(row, "clock", _address(row), _("may show new mail a little later."), detail, "warn", href=url)


def _change_refused(row: Notification) -> Notice:
    count, said = row.data.get("count", 1), str(row.data.get("said", ""))
    subject = str(row.data.get("subject") or _("(no subject)"))
    what = {
        "delete": _("Its server refused to delete “%(subject)s”."),
        "move": _("Its server refused to move “%(subject)s”."),
    }.get(str(row.data.get("change")), _("Its server refused to mark “%(subject)s”.")) % {"subject": subject}
    more = _("%(count)s emails are shown as the server has them.") % {"count": count}
    detail = f"{what} {more} {_('It said: %(said)s') % {'said': said}}" if said else f"{what} {more}"
    url = f"{reverse('panel:inbox')}?account={row.email_account_id}" if row.email_account_id else ""
    return Notice(row, "circle-alert", _address(row), _("keeps its mail as it was."), detail, "warn", href=url)


def _ledger_differs(row: Notification) -> Notice:
    count = row.data.get("count", 0)
    detail = ngettext(
        "Its server lists %(count)s email that it does not give out. Nothing else is affected; it is tried again daily.",
        "Its server lists %(count)s emails that it does not give out. Nothing else is affected; they are tried again daily.",
        int(count),
    ) % {"count": count}
    return Notice(row, "circle-alert", _address(row), _("does not add up."), detail, "warn")


def _send_failed(row: Notification) -> Notice:
    subject = str(row.data.get("subject") or _("(no subject)"))
    why = troubles().get(str(row.data.get("trouble", "")), "")
    detail = f"{_('To %(names)s.') % {'names': row.data.get('to', '')}} {why} {_('Nothing is lost: it is kept here.')}"
    url = _url("compose", row.data.get("outgoing", 0))
    return Notice(row, "mail-warning", subject, _("was not sent."), detail, "danger", href=url, action=_("Look"))


def _send_uncertain(row: Notification) -> Notice:
    subject = str(row.data.get("subject") or _("(no subject)"))
    detail = _(
        "The connection broke after it was handed over, and it is not in the Sent folder. It is not sent again by itself:"
        " say whether it arrived."
    )
    url = _url("compose", row.data.get("outgoing", 0))
    return Notice(
        row, "circle-question-mark", subject, _("was perhaps sent."), detail, "danger", href=url, action=_("Decide")
    )


def _mail_returned(row: Notification) -> Notice:
    subject = str(row.data.get("subject") or _("(no subject)"))
    addresses = row.data.get("addresses")
    names = ", ".join(str(one) for one in addresses[:5]) if isinstance(addresses, list) else ""
    came_back = _("It came back from %(names)s.") if row.data.get("came_back") else _("The server refused %(names)s.")
    url = _url("compose", row.data.get("outgoing", 0))
    return Notice(
        row, "mail-warning", subject, _("did not reach everybody"), came_back % {"names": names}, "warn", href=url
    )


def _other(row: Notification) -> Notice:
    return Notice(row, "bell", _address(row), row.get_kind_display())


def _application(row: Notification, words: dict[str, str]) -> Notice:
    """A registered application that needs an administrator."""
    title = _("has a client secret that expires.")
    detail = _("Sign-ins with it stop on %(day)s. Make a new secret there and enter it here; no mail is lost.") % words
    if row.data.get("what") == "refused":
        title = _("is refused by its service.")
        detail = _("Mailboxes that use it stop receiving. Test it and enter a new secret; no mail is lost.")
    url = reverse("admin:providers_oauthapplication_change", args=[str(row.data.get("link", ""))])
    return Notice(row, "key-round", words["name"], title, detail, "warn", url, _("Look"))


def _left(row: Notification, words: dict[str, str]) -> Notice:
    """A disconnected mailbox whose sign-in the service never took back."""
    detail = _(
        "Its service did not answer for a week. Remove this program on your account page there, among the applications."
    )
    page = PAGES.get(str(row.data.get("link", "")), "")
    title = _("is disconnected here, but its sign-in may still be listed.")
    return Notice(
        row, "key-round", words["name"] or _address(row), title, detail, "warn", page, _("Look") if page else ""
    )


def _deadline(row: Notification) -> Notice:
    """Something ends on a known day (notifications.radar)."""
    on = date.fromisoformat(str(row.data.get("on", "")) or "1970-01-01")
    words = {"day": date_format(on), "name": str(row.data.get("name", ""))}
    if row.data.get("what") in ("secret", "refused"):
        return _application(row, words)
    if row.data.get("what") == "left":
        return _left(row, words)
    deadline = next((one for one in DEADLINES if one.key == words["name"]), None)
    if deadline is not None:
        detail = f"{deadline.title} {deadline.mend}"
        return Notice(
            row, "calendar-clock", _address(row), _("is affected on %(day)s.") % words, detail, "warn",
            href=_url("sign_in_again", row.email_account_id), action=_("Sign in again"),
        )  # fmt: skip
    return Notice(
        row, "key-round", _address(row), _("needs a new sign-in by %(day)s.") % words,
        _("Its service lets the present one end. Until then everything goes on."), "warn",
        href=_url("sign_in_again", row.email_account_id), action=_("Sign in again"),
    )  # fmt: skip


_SENTENCES = {
    Kind.DOWNLOAD_QUESTION.value: _download_question,
    Kind.SIGN_IN_AGAIN.value: _sign_in_again,
    Kind.SYNC_TROUBLE.value: _sync_trouble,
    Kind.DOWNLOAD_DONE.value: _download_done,
    Kind.DOMAIN_PROPOSAL.value: _domain_proposal,
    Kind.SHARED_WITH_YOU.value: _shared_with_you,
    Kind.PUSH_UNRELIABLE.value: _push_unreliable,
    Kind.CHANGE_REFUSED.value: _change_refused,
    Kind.DEADLINE.value: _deadline,
    Kind.SEND_FAILED.value: _send_failed,
    Kind.SEND_UNCERTAIN.value: _send_uncertain,
    Kind.MAIL_RETURNED.value: _mail_returned,
    Kind.LEDGER_DIFFERS.value: _ledger_differs,
}
