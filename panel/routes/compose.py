"""Addresses of the panel: writing and what becomes of what was written."""

from django.urls import URLPattern, URLResolver, path

from panel.views import compose, compose_outbox, compose_parts

_ONE = "compose/<int:outgoing_id>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("compose/", compose.begin, name="compose_new"),
    path("compose/people/", compose_parts.people, name="compose_people"),
    path("compose/templates/", compose_parts.keep_template, name="compose_templates"),
    path("compose/templates/<int:template_id>/remove/", compose_parts.remove_template, name="compose_template_remove"),
    path(_ONE, compose.compose, name="compose"),
    path(f"{_ONE}send/", compose.send, name="compose_send"),
    path(f"{_ONE}sender/", compose.sender, name="compose_sender"),
    path(f"{_ONE}discard/", compose.discard, name="compose_discard"),
    path(f"{_ONE}copy/", compose.keep_both, name="compose_copy"),
    path(f"{_ONE}quote/", compose_parts.quote, name="compose_quote"),
    path(f"{_ONE}files/", compose_parts.upload, name="compose_files"),
    path(f"{_ONE}files/<int:file_id>/", compose_parts.picture, name="compose_picture"),
    path(f"{_ONE}files/<int:file_id>/remove/", compose_parts.remove, name="compose_file_remove"),
    path(f"{_ONE}templates/<int:template_id>/", compose_parts.template, name="compose_template"),
    path(f"{_ONE}state/", compose_outbox.state, name="compose_state"),
    path(f"{_ONE}undo/", compose_outbox.undo, name="compose_undo"),
    path(f"{_ONE}decide/", compose_outbox.decide, name="compose_decide"),
]
