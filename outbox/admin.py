"""What an administrator does with sending: stop it, and keep the shared templates. No message of anybody is shown here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from outbox.letter_html import clean_written
from outbox.models import SendingStop, Template


@admin.register(SendingStop)
class SendingStopAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adding a row stops all sending, deleting it lets mail leave again."""

    list_display = ("reason", "stopped_by", "stopped_at")
    fields = ("reason",)

    def save_model(self, request: HttpRequest, obj: SendingStop, form: Any, change: bool) -> None:
        if not change:
            obj.stopped_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)


@admin.register(Template)
class TemplateAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shared templates; personal ones are their owner's."""

    list_display = ("name", "subject", "updated_at")
    fields = ("name", "subject", "html")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Template]:
        return super().get_queryset(request).filter(owner__isnull=True)

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        obj.html = clean_written(obj.html)
        super().save_model(request, obj, form, change)
