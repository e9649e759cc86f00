"""Secrets never get into a log line, whatever way they come."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from django.conf import settings

from crm_mail import logs

SECRET = "correct-horse-battery"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Call it once for what was logged."""
    logs.configure({"level": "DEBUG", "is_json": True})
    yield lambda: capsys.readouterr().err
    logs.configure(settings.LOGGING)


@pytest.mark.parametrize(
    "text",
    [
        f"sent: AUTH PLAIN {base64.b64encode(f'x{SECRET}'.encode()).decode()}",
        f'> A1 LOGIN "ida@customer.example" "{SECRET}"',
        f"> A1 LOGIN ida {SECRET}",
        f"> A1 AUTHENTICATE XOAUTH2 {base64.b64encode(SECRET.encode()).decode()}",
        f"Authorization: Bearer {SECRET}",
        f"could not connect to postgres://crm_mail:{SECRET}@db:5432/crm_mail",
        f"GET /part/7?token={SECRET}&x=1",
        f"password={SECRET}, host=imap.example.org",
        "{'password': '" + SECRET + "'}",
    ],
)
def test_a_credential_inside_a_text_is_hidden(text: str, lines: Callable[[], str]) -> None:
    logging.getLogger("imaplib").warning("%s", text)
    structlog.get_logger("sync").warning("said", text=text)
    said = lines()
    assert len(said.splitlines()) == 2
    assert SECRET not in said
    assert base64.b64encode(SECRET.encode()).decode() not in said
    assert base64.b64encode(f"x{SECRET}".encode()).decode() not in said
    assert said.count(logs.HIDDEN) >= 2


@pytest.mark.parametrize("name", ["password", "client_secret", "access_token", "Authorization", "cookie", "otp"])
def test_a_value_under_the_name_of_a_secret_is_hidden(name: str, lines: Callable[[], str]) -> None:
    structlog.get_logger("accounts").info("signed_in", **{name: SECRET}, detail={"deep": {name: [SECRET]}})
    logging.getLogger("other").info("extra", extra={f"the_{name}": SECRET})
    assert SECRET not in lines()


def test_an_exception_in_a_line_holds_no_secret(lines: Callable[[], str]) -> None:
    try:
        raise ValueError(f"postgres://crm_mail:{SECRET}@db/crm_mail is away")
    except ValueError:
        structlog.get_logger("web").exception("failed")
    said = lines()
    event = json.loads(said)
    assert SECRET not in said
    assert "ValueError" in event["exception"]


def test_what_is_no_secret_stays_readable(lines: Callable[[], str]) -> None:
    structlog.get_logger("sync").info("run_ended", email_account=7, fetched=50, server="imap.example.org:993")
    event = json.loads(lines())
    assert (event["event"], event["email_account"], event["fetched"]) == ("run_ended", 7, 50)
    assert event["server"] == "imap.example.org:993"
    assert event["level"] == "info"
