"""Django's view of the room."""

from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "contacts"
