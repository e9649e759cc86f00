"""How users join: a one-time link sent to an address, valid for seven days.

Invariant: only the hash of the token is kept; a link works once; rights are those that the inviter could give.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Invitation, User
from accounts.services.users import create_user

LIFE = timedelta(days=7)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def may_invite(user: User) -> bool:
    """Administrators and mail administrators."""
    return bool(user.is_staff or user.is_mail_administrator)


@transaction.atomic
def invite(
    *, email: str, by: User, is_mail_administrator: bool = False, is_staff: bool = False
) -> tuple[Invitation, str]:
    """A new invitation and its token (earlier open ones to the address die). `email` is normalised.

    Only an administrator may give rights. Raises PermissionDenied, and ValidationError if the address is a user's.
    """
    if not may_invite(by) or ((is_mail_administrator or is_staff) and not by.is_staff):
        raise PermissionDenied
    if User.objects.filter(email__iexact=email).exists():
        raise ValidationError(_("Somebody with this address is here already."))
    Invitation.objects.filter(email=email, accepted_at__isnull=True).delete()
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        email=email,
        is_mail_administrator=is_mail_administrator,
        is_staff=is_staff,
        token_hash=_hash(token),
        invited_by=by,
        expires_at=timezone.now() + LIFE,
    )
    return invitation, token


def link_of(token: str) -> str:
    """The absolute address to open."""
    return settings.BASE_URL + reverse("panel:invitation", args=[token])


def send(invitation: Invitation, token: str) -> bool:
    """Mail the link; returns False when the application's own mail server refused."""
    by = invitation.invited_by.get_full_name() if invitation.invited_by else ""
    context = {"link": link_of(token), "by": by, "expires_at": invitation.expires_at}
    subject = _("Join CRM Mail")
    text = render_to_string("emails/invitation.txt", context)
    try:
        send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, [invitation.email])
    except OSError:  # smtplib's errors are OSErrors; the invitation stays and its link can be given by hand
        return False
    return True


def find(token: str) -> Invitation | None:
    """The open invitation of this token."""
    rows = Invitation.objects.filter(token_hash=_hash(token), accepted_at__isnull=True, expires_at__gt=timezone.now())
    return rows.first()


@transaction.atomic
def accept(*, token: str, name: str, password: str) -> User:
    """Make the user. Raises ValidationError for a used or expired link, or a weak password."""
    used = Invitation.objects.filter(token_hash=_hash(token), accepted_at__isnull=True, expires_at__gt=timezone.now())
    invitation = used.select_for_update().first()
    if invitation is None:
        raise ValidationError(_("This link was used already or has expired."))
    user = create_user(login=invitation.email, name=name, password=password)
    user.is_mail_administrator = invitation.is_mail_administrator
    user.is_staff = user.is_superuser = invitation.is_staff
    user.save(update_fields=["is_mail_administrator", "is_staff", "is_superuser"])
    # The link was sent to the address and opened: it is verified.
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    return user


def withdraw(invitation_id: int) -> None:
    """The link dies."""
    Invitation.objects.filter(pk=invitation_id, accepted_at__isnull=True).delete()
