"""The people of this installation: made by a command or by an invitation, and what each says about themselves."""

from __future__ import annotations

import secrets

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from accounts.models import User
from base.addresses import clean_line, is_valid, normalise_address


def free_user_name(wanted: str) -> str:
    """A user name nobody has, from what stands before the @."""
    base = "".join(c for c in wanted.partition("@")[0].lower() if c.isalnum() or c in "._-")[:120] or "user"
    name = base
    while User.objects.filter(username__iexact=name).exists():
        name = f"{base}-{secrets.token_hex(2)}"
    return name


@transaction.atomic
def create_user(*, login: str, name: str = "", password: str | None = None) -> User:
    """A user for an address or a plain user name; without a password nobody can sign in as them yet."""
    email = normalise_address(login) if is_valid(login) else None
    user = User(username=free_user_name(login) if email else login[:150], email=email, name=clean_line(name, 150))
    if password is None:
        user.set_unusable_password()
    else:
        validate_password(password, user)
        user.set_password(password)
    user.full_clean(exclude=["password"])
    user.save(force_insert=True)
    return user


@transaction.atomic
def create_administrator(*, email: str, name: str, password: str) -> User:
    """The first administrator: runs the installation (Django admin too) and reads nobody's mail.

    Raises ValidationError for a bad address or a weak password.
    """
    user = create_user(login=email, name=name, password=password)
    user.is_staff = user.is_superuser = user.is_mail_administrator = True
    user.save(update_fields=["is_staff", "is_superuser", "is_mail_administrator"])
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def change_profile(user: User, *, name: str, time_zone: str) -> User:
    """Name and time zone."""
    user.name = clean_line(name, 150)
    user.time_zone = time_zone
    user.save(update_fields=["name", "time_zone"])
    return user


def change_look(user: User, *, theme: str, density: str) -> User:
    """Theme (system, light, dark) and density (comfortable, compact)."""
    user.theme = theme
    user.density = density
    user.save(update_fields=["theme", "density"])
    return user
