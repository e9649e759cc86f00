"""Addresses of the panel: settings of the person, of email accounts, people of this installation."""

from django.urls import URLPattern, URLResolver, path

from panel.views import aliases, email_accounts, invitations, profile, sharing, why

_ACCOUNT = "settings/email-accounts/<int:email_account_id>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("settings/", profile.settings, name="settings"),
    path("settings/look/", profile.look, name="settings_look"),
    path("settings/people/", invitations.people, name="settings_people"),
    path("settings/people/<int:invitation_id>/withdraw/", invitations.withdraw, name="invitation_withdraw"),
    path("invitation/<str:token>/", invitations.accept, name="invitation"),
    path(_ACCOUNT, email_accounts.email_account, name="email_account"),
    path(_ACCOUNT + "download/", email_accounts.answer_download, name="answer_download"),
    path(_ACCOUNT + "sync/", email_accounts.sync_now, name="email_account_sync"),
    path(_ACCOUNT + "folders/", email_accounts.read_folders, name="email_account_folders"),
    path(_ACCOUNT + "pause/", email_accounts.pause, name="email_account_pause"),
    path(_ACCOUNT + "resume/", email_accounts.resume, name="email_account_resume"),
    path(_ACCOUNT + "remove/", email_accounts.remove, name="email_account_remove"),
    path(_ACCOUNT + "why/", why.why, name="why"),
    path(_ACCOUNT + "why/import/", why.import_anyway, name="why_import"),
    path(_ACCOUNT + "why/try-again/", why.try_again, name="why_try_again"),
    path(_ACCOUNT + "aliases/", aliases.add, name="alias_add"),
    path(_ACCOUNT + "aliases/<int:alias_id>/remove/", aliases.remove, name="alias_remove"),
    path(_ACCOUNT + "shares/", sharing.share, name="sharing"),
    path(_ACCOUNT + "shares/<int:share_id>/remove/", sharing.unshare, name="sharing_remove"),
]
