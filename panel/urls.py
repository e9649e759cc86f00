"""The panel's addresses, one file per group of screens."""

from panel.routes import mail, notifications, people, settings, wizard

app_name = "panel"
urlpatterns = [
    *mail.urlpatterns,
    *wizard.urlpatterns,
    *settings.urlpatterns,
    *people.urlpatterns,
    *notifications.urlpatterns,
]
