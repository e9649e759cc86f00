"""Django's view of the room."""

from django.apps import AppConfig


class LinkingConfig(AppConfig):
    name = "linking"
