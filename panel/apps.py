"""Django's view of the room."""

from django.apps import AppConfig


class PanelConfig(AppConfig):
    name = "panel"
