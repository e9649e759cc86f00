"""Django's view of the room."""

from django.apps import AppConfig


class SyncConfig(AppConfig):
    name = "sync"
