"""Django's view of the room."""

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    name = "outbox"
