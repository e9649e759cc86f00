"""What every page of the panel needs: the rail's counts."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def rail(request: HttpRequest) -> dict[str, Any]:
    """Unread mail and notices that need the person; empty for anonymous."""
    return {}
