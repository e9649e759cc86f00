"""Addresses of the panel: the pace of an email account's download."""

from django.urls import URLPattern, URLResolver, path

from panel.views import pace

_ACCOUNT = "settings/email-accounts/<int:email_account_id>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path(_ACCOUNT + "history/", pace.history, name="email_account_history"),
    path(_ACCOUNT + "pace/", pace.change, name="email_account_pace"),
]
