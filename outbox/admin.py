"""Django admin: the stop of all sending, and nothing of anybody's mail. Adding one stops, deleting it starts again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from outbox.models import SendingStop
from outbox.services import stop_sending


@admin.register(SendingStop)
class SendingStopAdmin(admin.ModelAdmin):
    """*Sending stops*: while there is one, nothing leaves this installation; what is queued waits."""

    list_display = ("__str__", "stopped_by", "stopped_at")
    fields = ("reason",)

    def has_change_permission(self, request: HttpRequest, obj: SendingStop | None = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not SendingStop.objects.exists()

    def save_model(self, request: HttpRequest, obj: SendingStop, form: Any, change: bool) -> None:
        obj.pk = stop_sending(user=request.user, reason=obj.reason).pk
