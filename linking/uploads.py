"""Keeps an uploaded table between its preview and the import.

Invariants: a file is named by a signed token bound to its user and dies with the import or after a day; its name on the
disk is ours.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone

from accounts.models import User

FOLDER = "imports"
LIFE = timedelta(days=1)
_SALT = "linking.uploads"


def keep(data: bytes, *, user: User) -> str:
    """Keep a file and return its token; files older than a day are forgotten meanwhile."""
    _forget_old()
    name = storages["mail"].save(f"{FOLDER}/{uuid.uuid4().hex}.csv", ContentFile(data))
    return signing.dumps([user.pk, name], salt=_SALT)


def read(token: str, *, user: User) -> bytes | None:
    """Return a kept file, None if the token is not of this user or the file is gone."""
    name = _name(token, user)
    if name is None or not storages["mail"].exists(name):
        return None
    with storages["mail"].open(name) as file:
        data: bytes = file.read()
    return data


def forget(token: str, *, user: User) -> None:
    """Delete a kept file; nothing happens if it is gone."""
    name = _name(token, user)
    if name is not None:
        storages["mail"].delete(name)


def _name(token: str, user: User) -> str | None:
    try:
        owner, name = signing.loads(token, salt=_SALT, max_age=LIFE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return name if owner == user.pk else None


def _forget_old() -> None:
    storage = storages["mail"]
    try:
        names = storage.listdir(FOLDER)[1]
    except FileNotFoundError:
        return
    for name in names:
        path = f"{FOLDER}/{name}"
        if storage.get_modified_time(path) < timezone.now() - LIFE:
            storage.delete(path)
