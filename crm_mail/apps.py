"""Django's view of the room."""

from django.apps import AppConfig

from crm_mail import checks

__all__ = ["CrmMailConfig", "checks"]


class CrmMailConfig(AppConfig):
    """Importing it registers the system checks."""

    name = "crm_mail"
