"""What a list shows, read from its address. Invariant: any query string gives a valid filter; ids are checked at the door."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mail.queries import VIEWS, ThreadFilter, View

LABELS: dict[View, Any] = {
    "all": _("All"),
    "unread": _("Unread"),
    "open": _("Not processed"),
    "sent": _("Sent"),
    "drafts": _("Drafts"),
}


@dataclass(frozen=True, slots=True)
class ListAddress:
    """The address of a list: its filter and, for results, what was searched."""

    filters: ThreadFilter
    query: str = ""

    @property
    def suffix(self) -> str:
        """The query string with its "?", "" for the plain list."""
        pairs: dict[str, Any] = {}
        if self.query:
            pairs["q"] = self.query
        if self.filters.view != "all":
            pairs["view"] = self.filters.view
        if self.filters.email_account_id is not None:
            pairs["account"] = self.filters.email_account_id
        if self.filters.folder_id is not None:
            pairs["folder"] = self.filters.folder_id
        return f"?{urlencode(pairs)}" if pairs else ""

    @property
    def url(self) -> str:
        """The list itself."""
        return reverse("panel:search" if self.query else "panel:inbox") + self.suffix

    def thread_url(self, thread_id: int) -> str:
        """A thread opened from this list."""
        return reverse("panel:thread", args=[thread_id]) + self.suffix

    def with_view(self, view: View) -> ListAddress:
        """The same mailbox or folder with another filter."""
        return replace(self, query="", filters=replace(self.filters, view=view))

    def with_account(self, account_id: int | None) -> ListAddress:
        """The same filter of one mailbox, or of all."""
        return replace(self, query="", filters=replace(self.filters, email_account_id=account_id, folder_id=None))

    def with_folder(self, account_id: int, folder_id: int) -> ListAddress:
        """The same filter of one folder."""
        return replace(self, query="", filters=replace(self.filters, email_account_id=account_id, folder_id=folder_id))


def read_address(query: QueryDict) -> ListAddress:
    """The list that a request asks for."""
    view = query.get("view", "all")
    filters = ThreadFilter(
        view=view if view in VIEWS else "all",  # type: ignore[arg-type]
        email_account_id=_number(query.get("account")),
        folder_id=_number(query.get("folder")),
    )
    return ListAddress(filters, query.get("q", "").strip()[:300])


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 18 else None
