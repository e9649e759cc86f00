"""Django's view of the room."""

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
