"""Addresses of the panel: notifications."""

from django.urls import URLPattern, URLResolver, path

from panel.views import notifications

urlpatterns: list[URLPattern | URLResolver] = [
    path("notifications/", notifications.notifications, name="notifications"),
    path("notifications/read/", notifications.read_all, name="notifications_read"),
    path("notifications/<int:notification_id>/dismiss/", notifications.dismiss, name="notification_dismiss"),
]
