"""For machines that watch: /healthz (this process), /readyz (database, queue, last tick), /metrics (numbers).

A middleware, so that a probe needs no host name, session or database to be answered. Invariant: /metrics answers to
the token, or, where none is set, to a direct request from loopback; a request that a proxy passed on is never direct.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import tempfile
from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST

from crm_mail import metrics
from sync.models import Heartbeat

TICK_LATE = 30  # seconds without a tick: nothing new is begun


class HealthMiddleware:
    """Answers the three addresses, passes on everything else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = ANSWERS.get(request.path_info)
        if answer is None or request.method not in ("GET", "HEAD"):
            return self.get_response(request)
        response = answer(request)
        response["Cache-Control"] = "no-store"
        return response


def healthz(request: HttpRequest) -> HttpResponse:
    """200: the process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """200 when everything needed is there, else 503; JSON names each part and what is wrong with it."""
    parts = {"database": _database(), "queue": _queue(), "tick": _tick()}
    is_ready = all(said == "ok" for said in parts.values())
    return JsonResponse({"ready": is_ready, **parts}, status=200 if is_ready else 503)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError):
        return "no connection"
    return "ok"


def _queue() -> str:
    if settings.REDIS_URL:
        try:
            redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2).ping()
        except (redis.exceptions.RedisError, ValueError):
            return "no connection"
        return "ok"
    try:
        handle, name = tempfile.mkstemp(dir=settings.QUEUE_DIR / "control", prefix=".probe")
        os.close(handle)
        os.unlink(name)
    except OSError:
        return "its folder cannot be written"
    return "ok"


def _tick() -> str:
    try:
        last = Heartbeat.objects.filter(name="tick").values_list("at", flat=True).first()
    except (DatabaseError, InterfaceError):
        return "unknown"
    if last is None:
        return "never seen"
    seconds = (timezone.now() - last).total_seconds()
    return "ok" if seconds < TICK_LATE else f"last seen {seconds:.0f} s ago"


def may_read_metrics(request: HttpRequest) -> bool:
    """The invariant above."""
    if settings.METRICS_TOKEN:
        given = request.META.get("HTTP_AUTHORIZATION", "")
        return hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    if request.META.get("crm_mail.is_forwarded", True):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def numbers(request: HttpRequest) -> HttpResponse:
    """The Prometheus text, or 403."""
    if not may_read_metrics(request):
        return HttpResponse("Set METRICS_TOKEN and send it as a bearer token.\n", status=403, content_type="text/plain")
    return HttpResponse(metrics.as_text(), content_type=CONTENT_TYPE_LATEST)


ANSWERS: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": numbers,
}
