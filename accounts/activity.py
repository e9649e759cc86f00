"""When and from where a session was last used, written down once a minute rather than with every click.

Invariant: a new address or browser of a session is written at once; otherwise a click costs no row and no commit.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from allauth.usersessions.models import UserSession
from django.http import HttpRequest, HttpResponse

EVERY = 60.0  # seconds
KEPT = 10_000  # sessions that one process remembers


class SessionActivityMiddleware:
    """In the place of allauth's own middleware, which writes at each request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._seen: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._lock = Lock()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.session.session_key
        if key and request.user.is_authenticated and self._is_due(request, key):
            UserSession.objects.create_from_request(request)
        return self.get_response(request)

    def _is_due(self, request: HttpRequest, key: str) -> bool:
        who = (key, request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_USER_AGENT", "")[:300])
        now = time.monotonic()
        with self._lock:
            last = self._seen.pop(who, None)
            is_due = last is None or now - last >= EVERY
            self._seen[who] = now if is_due or last is None else last
            while len(self._seen) > KEPT:
                self._seen.popitem(last=False)
        return is_due
