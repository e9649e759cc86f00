"""Addresses of the panel: the wizard *New email account*, each page at its own."""

from django.urls import URLPattern, URLResolver, path

from panel.views import wizard, wizard_check, wizard_oauth

_RUN = "email-accounts/new/<uuid:setup_id>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("email-accounts/new/", wizard.address, name="new_email_account"),
    path(_RUN + "service/", wizard.service, name="wizard_service"),
    path(_RUN + "server/", wizard.server, name="wizard_server"),
    path(_RUN + "password/", wizard.password, name="wizard_password"),
    path(_RUN + "sign-in/", wizard_oauth.leave, name="wizard_sign_in"),
    path(_RUN + "sign-in/other/", wizard_oauth.as_other, name="wizard_as_other"),
    path(_RUN + "sign-in/application/", wizard_oauth.as_application, name="wizard_as_application"),
    path("oauth/<slug:key>/callback/", wizard_oauth.callback, name="oauth_callback"),
    path(_RUN + "check/", wizard_check.check, name="wizard_check"),
    path(_RUN + "check/steps/", wizard_check.steps, name="wizard_steps"),
    path(_RUN + "retry/", wizard_check.retry, name="wizard_retry"),
    path(_RUN + "receive-only/", wizard_check.without_sending, name="wizard_receive_only"),
    path(_RUN + "done/", wizard_check.done, name="wizard_done"),
    path("email-accounts/<int:email_account_id>/sign-in/", wizard.sign_in_again, name="sign_in_again"),
]
