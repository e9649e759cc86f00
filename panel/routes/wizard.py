"""Addresses of the panel: the wizard *New email account*, each page at its own."""

from django.urls import URLPattern, URLResolver, path

from panel.views import wizard, wizard_check

_RUN = "email-accounts/new/<uuid:setup_id>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("email-accounts/new/", wizard.address, name="new_email_account"),
    path(_RUN + "service/", wizard.service, name="wizard_service"),
    path(_RUN + "server/", wizard.server, name="wizard_server"),
    path(_RUN + "password/", wizard.password, name="wizard_password"),
    path(_RUN + "check/", wizard_check.check, name="wizard_check"),
    path(_RUN + "check/steps/", wizard_check.steps, name="wizard_steps"),
    path(_RUN + "retry/", wizard_check.retry, name="wizard_retry"),
    path(_RUN + "receive-only/", wizard_check.without_sending, name="wizard_receive_only"),
    path(_RUN + "done/", wizard_check.done, name="wizard_done"),
    path("email-accounts/<int:email_account_id>/sign-in/", wizard.sign_in_again, name="sign_in_again"),
]
