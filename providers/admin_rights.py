"""Who gets into the administration of this room."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class ServerManagersOnly:
    """Every right is the one right: to manage mail servers."""

    def _may(self, request: HttpRequest) -> bool:
        return bool(getattr(request.user, "may_manage_servers", False) and request.user.is_active)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the room is shown at all."""
        return self._may(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether rows may be seen."""
        return self._may(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether rows may be added."""
        return self._may(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether rows may be changed."""
        return self._may(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether rows may be deleted."""
        return self._may(request)
