"""Probes need no host name; numbers are for the token or for loopback; forwarded headers only from trusted proxies."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from crm_mail.health import may_read_metrics
from crm_mail.proxies import TrustedProxiesMiddleware, client_address, networks
from mail.models import CopyState
from sync.models import Heartbeat
from tests.factories import CopyFactory, EmailAccountFactory, FolderFactory

TOKEN = "a-long-token-for-numbers"


def through(settings: Any, trusted: list[str], **meta: str) -> HttpRequest:
    """The request as views see it, sent by `REMOTE_ADDR`."""
    settings.TRUSTED_PROXIES = trusted
    seen: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    TrustedProxiesMiddleware(view)(RequestFactory().get("/", **meta))
    return seen[0]


def test_healthz_answers_without_database_and_under_any_host_name(client: Client) -> None:
    answer = client.get("/healthz", HTTP_HOST="10.1.2.3:8000")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_readyz_names_what_is_missing(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["tick"] == "never seen"
    Heartbeat.objects.create(name="tick", at=timezone.now() - datetime.timedelta(minutes=2))
    assert client.get("/readyz").json()["tick"].startswith("last seen 120")
    Heartbeat.objects.update(at=timezone.now())
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)


@pytest.mark.django_db
def test_numbers_count_mailboxes_and_copies_and_name_nobody(client: Client) -> None:
    folder = FolderFactory(email_account=EmailAccountFactory(state="needs_sign_in", failures=3, last_error_kind="tls"))
    CopyFactory(folder=folder, state=CopyState.FAILED)
    text = client.get("/metrics").content.decode()
    assert 'crm_mail_mailboxes{state="needs_sign_in"} 1.0' in text
    assert 'crm_mail_mailboxes{state="active"} 0.0' in text
    assert 'crm_mail_mailboxes_failing{kind="tls"} 1.0' in text
    assert 'crm_mail_copies{state="failed"} 1.0' in text
    assert folder.email_account.address not in text


@pytest.mark.django_db
def test_numbers_take_few_queries_and_are_kept_a_moment(client: Client, django_assert_max_num_queries: Any) -> None:
    cache.clear()
    with django_assert_max_num_queries(13):
        client.get("/metrics")
    with django_assert_max_num_queries(0):
        client.get("/metrics")


@pytest.mark.django_db
def test_a_stranger_gets_no_numbers(client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 403
    # A proxy on the same machine that nobody named: its visitors are not loopback.
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="192.0.2.7").status_code == 403


@pytest.mark.django_db
def test_with_a_token_only_the_token_counts(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer wrong").status_code == 403
    answer = client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}", REMOTE_ADDR="192.0.2.7")
    assert answer.status_code == 200


def test_nobody_but_a_trusted_proxy_names_the_client(settings: Any) -> None:
    forged = {"HTTP_X_FORWARDED_FOR": "127.0.0.1", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_REAL_IP": "127.0.0.1"}
    request = through(settings, ["10.0.0.5"], REMOTE_ADDR="192.0.2.7", **forged)
    assert request.META["REMOTE_ADDR"] == "192.0.2.7"
    assert not any(name.startswith("HTTP_X_") for name in request.META)
    assert not may_read_metrics(request)


def test_a_trusted_proxy_tells_the_client_and_its_scheme(settings: Any) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    said = {"HTTP_X_FORWARDED_FOR": "198.51.100.9", "HTTP_X_FORWARDED_PROTO": "https"}
    request = through(settings, ["10.0.0.5"], REMOTE_ADDR="10.0.0.5", **said)
    assert request.META["REMOTE_ADDR"] == "198.51.100.9"
    assert request.is_secure()


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("127.0.0.1, 198.51.100.9", "198.51.100.9"),  # what stands left is the client's own claim
        ("203.0.113.1, 198.51.100.9, 10.0.0.6", "198.51.100.9"),  # two proxies
        ("nonsense", "10.0.0.5"),
        ("", "10.0.0.5"),
        ("198.51.100.9, nonsense, 10.0.0.6", "10.0.0.6"),
        ("::ffff:10.0.0.7, 2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_proxy(forwarded: str, expected: str) -> None:
    assert client_address("10.0.0.5", forwarded, networks(["10.0.0.0/24"])) == expected
