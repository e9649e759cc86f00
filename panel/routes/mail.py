"""Addresses of the panel: mail."""

from django.urls import URLPattern, URLResolver, path

from panel.views import actions, bodies, keys, messages, news, parts, search, threads

urlpatterns: list[URLPattern | URLResolver] = [
    path("", threads.inbox, name="inbox"),
    path("threads/<int:thread_id>/", threads.thread, name="thread"),
    path("threads/<int:thread_id>/mark/", threads.mark, name="mark"),
    path("threads/<int:thread_id>/act/", actions.act, name="act"),
    path("moves/undo/", actions.undo_moves, name="undo_moves"),
    path("synchronize/", threads.synchronize, name="synchronize"),
    path("messages/<int:message_id>/", messages.message, name="message"),
    path("messages/<int:message_id>/body/", bodies.message_body, name="message_body"),
    path("messages/<int:message_id>/source/", messages.source, name="message_source"),
    path("parts/<int:part_id>/", parts.part, name="part"),
    path("parts/<int:part_id>/preview/", bodies.part_preview, name="part_preview"),
    path("inline/<str:token>/", bodies.inline_part, name="inline_part"),
    path("search/", search.search, name="search"),
    path("news/", news.news, name="news"),
    path("keys/", keys.keys, name="keys"),
]
