"""Django's view of the room."""

from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    name = "providers"
