"""Django's view of the room."""

from django.apps import AppConfig


class MailConfig(AppConfig):
    name = "mail"
