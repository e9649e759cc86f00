"""The panel's addresses, one file per group of screens."""

from panel.routes import compose, mail, notifications, pace, people, settings, wizard

app_name = "panel"
urlpatterns = [
    *mail.urlpatterns,
    *compose.urlpatterns,
    *wizard.urlpatterns,
    *settings.urlpatterns,
    *pace.urlpatterns,
    *people.urlpatterns,
    *notifications.urlpatterns,
]
