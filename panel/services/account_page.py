"""What the settings page of an email account shows, gathered from the rooms below."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.timesince import timesince

from accounts.models import EmailAccount, Period, ShareLevel, User
from accounts.queries import accounts_for_settings, may_be_shared_with, may_share, shares_of
from accounts.setup import SENDING
from accounts.shares import may
from mail.queries import visible_messages
from panel.services.account_state import state_line, state_lines, trouble_of
from panel.services.folder_tree import counts, folder_tree
from panel.services.signature import clean_signature
from sync.models import Attachments, Pace
from sync.pace import attachments_of, history
from sync.status import ledger


def account_page(user: User, account: EmailAccount) -> dict[str, Any]:
    """The template's context: state and ledger, settings, folders, sharing. `user` may set it up."""
    return {
        "lines": state_lines(accounts_for_settings(user)),
        "account": account,
        "periods": Period.choices,
        "signature": clean_signature(account.signature_html),
        **_state(account),
        **_folders(account),
        **_pace(account),
        **_sharing(user, account),
        "may_see": may(user, account, "see"),
    }


def message_count(user: User, account: EmailAccount) -> int:
    """How many emails of it are kept here."""
    return visible_messages(user).filter(email_account=account).count()


def _state(account: EmailAccount) -> dict[str, Any]:
    servers = list(account.servers.all())
    host = next((server.host for server in servers if server.protocol != "smtp"), "")
    figures = ledger(account)
    return {
        "servers": servers,
        "has_sender": any(server.protocol in SENDING for server in servers),
        "trouble": trouble_of(account, host),
        "line": state_line(account, figures.pending),
        "ledger": figures,
        "bar_end": figures.stored + figures.filtered,
    }


def _folders(account: EmailAccount) -> dict[str, Any]:
    tree = folder_tree(account)
    followed, total = counts(tree)
    return {"tree": tree, "followed": followed, "folder_total": total}


def _pace(account: EmailAccount) -> dict[str, Any]:
    past = history(account)
    now = timezone.now()
    return {
        "history": past,
        "time_left": timesince(now, now + timedelta(seconds=past.seconds), depth=1) if past.seconds else "",
        "pace": Pace.objects.filter(pk=account.pk).first(),
        "attachments": attachments_of(account.pk),
        "attachment_choices": Attachments.choices,
    }


def _sharing(user: User, account: EmailAccount) -> dict[str, Any]:
    decides = may_share(user, account)
    users, groups = may_be_shared_with(account, by=user) if decides else ([], [])
    return {
        "is_owner": account.owner_id == user.pk,
        "may_share": decides,
        "shares": shares_of(account),
        "users": users,
        "groups": groups,
        "levels": ShareLevel.choices,
    }
