"""Reading users, email accounts and their shares for screens."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.utils import timezone

from accounts.models import AccountState, Alias, EmailAccount, EmailAccountShare, Invitation, User
from accounts.shares import accounts_with_right, visible_accounts


def accounts_for_settings(user: User) -> list[EmailAccount]:
    """The email accounts that `user` may see or set up, own ones first, without those being erased."""
    rows = (visible_accounts(user) | accounts_with_right(user, "set_up")).select_related("provider", "owner")
    return sorted(rows, key=lambda row: (row.owner_id != user.pk, row.address_key))


def account_for_settings(user: User, email_account_id: int) -> EmailAccount | None:
    """The email account if `user` may set it up, else None."""
    rows = accounts_with_right(user, "set_up").exclude(state=AccountState.ERASING)
    return rows.select_related("provider", "owner").filter(pk=email_account_id).first()


def own_account(user: User, email_account_id: int) -> EmailAccount | None:
    """The email account if `user` owns it, else None."""
    rows = accounts_with_right(user, "own").exclude(state=AccountState.ERASING)
    return rows.select_related("provider", "owner").filter(pk=email_account_id).first()


def may_share(user: User, email_account: EmailAccount) -> bool:
    """Whether `user` decides who else uses it: its owner, and mail administrators where it is shared already."""
    if email_account.owner_id == user.pk:
        return True
    return user.is_mail_administrator and account_for_settings(user, email_account.pk) is not None


def may_read_through(user: User, *, target: User | Group) -> bool:
    """Whether a share with `target` would let `user` read the mail: nobody gives that to themselves."""
    return target == user if isinstance(target, User) else user.groups.filter(pk=target.pk).exists()


def shares_of(email_account: EmailAccount) -> QuerySet[EmailAccountShare]:
    """Who else may use it, with the size of each group."""
    rows = email_account.shares.select_related("user", "group").annotate(people=Count("group__user"))
    return rows.order_by("group__name", "user__name", "pk")


def may_be_shared_with(email_account: EmailAccount, *, by: User) -> tuple[list[User], list[Group]]:
    """Users and groups that have no share yet and through which `by` would not come to read it; at most 500 of each."""
    taken = email_account.shares.all()
    users = User.objects.filter(is_active=True).exclude(pk__in=(email_account.owner_id, by.pk))
    users = users.exclude(pk__in=taken.filter(user__isnull=False).values("user"))
    groups = Group.objects.exclude(pk__in=taken.filter(group__isnull=False).values("group"))
    if email_account.owner_id != by.pk:
        groups = groups.exclude(pk__in=by.groups.all())
    return list(users.order_by("name", "username")[:500]), list(groups.order_by("name")[:500])


def unanswered_accounts() -> QuerySet[EmailAccount]:
    """Email accounts whose first question has no answer: the tick may ask again (one notification per key)."""
    return EmailAccount.objects.filter(state=AccountState.CONNECTED, answered_at__isnull=True).select_related("owner")


def open_invitations() -> QuerySet[Invitation]:
    """Invitations that can still be accepted."""
    return Invitation.objects.filter(accepted_at__isnull=True, expires_at__gt=timezone.now()).select_related(
        "invited_by"
    )


def people() -> QuerySet[User]:
    """All users, by name."""
    return User.objects.order_by("-is_active", "name", "username")


def addresses_of(email_accounts: QuerySet[EmailAccount]) -> set[str]:
    """The addresses of these mailboxes, aliases too, normalised. Two queries."""
    found = set(email_accounts.values_list("address_key", flat=True))
    return found | set(Alias.objects.filter(email_account__in=email_accounts).values_list("address_key", flat=True))
