"""Who may use which mailbox. Invariants: being an administrator, or a mail administrator, gives no right to anybody's
mail; a mailbox that is being erased is seen by nobody.
"""

from __future__ import annotations

from typing import Any, Literal

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from accounts.models import AccountState, EmailAccount, EmailAccountShare, ShareLevel

Right = Literal["see", "send", "set_up", "own"]

_LEVELS = {
    "see": (ShareLevel.SEE, ShareLevel.SEND, ShareLevel.SET_UP),
    "send": (ShareLevel.SEND, ShareLevel.SET_UP),
    "set_up": (ShareLevel.SET_UP,),
}


def _shares_of(user: Any) -> QuerySet[EmailAccountShare]:
    return EmailAccountShare.objects.filter(Q(user=user) | Q(group__in=user.groups.all()))


def _has_right(user: Any, right: Right) -> Q:
    mine = Q(owner=user)
    if right != "own":
        shared = _shares_of(user).filter(level__in=_LEVELS[right]).values("email_account")
        mine |= Q(pk__in=shared)
    if right == "set_up" and user.is_mail_administrator:  # shared mailboxes are theirs to manage, not to read
        mine |= Q(pk__in=EmailAccountShare.objects.values("email_account"))
    return mine


def accounts_with_right(user: Any, right: Right) -> QuerySet[EmailAccount]:
    """Email accounts on which `user` has `right`: the owner has every right, a share those of its level and below."""
    if not user.is_authenticated or not user.is_active:
        return EmailAccount.objects.none()
    return EmailAccount.objects.filter(_has_right(user, right)).exclude(state=AccountState.ERASING)


def visible_accounts(user: Any) -> QuerySet[EmailAccount]:
    """Email accounts whose mail `user` may read."""
    return accounts_with_right(user, "see")


def visible_and_sendable(user: Any) -> QuerySet[EmailAccount]:
    """The same, each with `may_send`: whether `user` may also send from it and change its mail."""
    right = _has_right(user, "send") if user.is_authenticated else Q(pk__in=[])
    return visible_accounts(user).annotate(may_send=ExpressionWrapper(right, output_field=BooleanField()))


def may(user: Any, email_account: EmailAccount, right: Right) -> bool:
    """Whether `user` has `right` on this mailbox."""
    return accounts_with_right(user, right).filter(pk=email_account.pk).exists()
