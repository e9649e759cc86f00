"""Django's view of the room."""

from django.apps import AppConfig


class CrmMailConfig(AppConfig):
    name = "crm_mail"
