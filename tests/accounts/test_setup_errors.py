"""Each kind of trouble says what happened, what it means and how to mend it."""

from __future__ import annotations

import pytest

from accounts.setup_errors import detail_of, explain, kind_of
from drivers import errors
from providers.models import Provider

KINDS = [
    (errors.AuthenticationFailed(), "password"),
    (errors.ProtocolDisabled(), "imap_off"),
    (errors.PermissionMissing(), "permission"),
    (errors.ServerBusy(), "busy"),
    (errors.ServerUnreachable(kind="unknown_host"), "unknown_host"),
    (errors.ServerUnreachable(kind="refused"), "refused"),
    (errors.ServerUnreachable(kind="timeout"), "timeout"),
    (errors.ServerUnreachable(kind="blocked"), "blocked"),
    (errors.ServerUnreachable(), "dropped"),
    (errors.CertificateInvalid(host="mail.example", problem="name"), "certificate"),
    (errors.TlsUnavailable(), "no_starttls"),
    (errors.ProtocolError(), "protocol"),
]


@pytest.mark.parametrize(("error", "kind"), KINDS)
def test_every_error_has_its_sentences(error: errors.DriverError, kind: str) -> None:
    assert kind_of(error) == kind
    told = explain(kind, host="mail.example", detail=detail_of(error))
    assert told.title and told.meaning and told.mend
    assert "%(" not in told.title + told.mend


@pytest.mark.parametrize("problem", ["name", "expired", "self_signed", "untrusted", "protocol"])
def test_a_certificate_names_its_host_and_problem(problem: str) -> None:
    told = explain("certificate", host="mail.example", detail={"host": "imap.other.example", "problem": problem})
    assert "imap.other.example" in told.title
    assert told.is_server
    assert len({explain("certificate", detail={"problem": p}).title for p in ("name", "expired", "self_signed")}) == 3


def test_a_refused_password_leads_to_the_app_passwords_of_this_provider() -> None:
    provider = Provider(name="Fastmail", app_password="required", app_password_help="https://fastmail.example/apps")
    told = explain("password", provider=provider, host="imap.fastmail.example")
    assert "Fastmail" in told.title
    assert told.link == "https://fastmail.example/apps"
    assert told.is_password


def test_imap_switched_off_leads_to_the_page_that_switches_it_on() -> None:
    provider = Provider(name="Gmail", enable_imap_url="https://mail.example/settings")
    assert explain("imap_off", provider=provider).link == "https://mail.example/settings"


def test_a_host_refused_by_the_guard_is_no_oracle() -> None:
    told = explain("blocked", host="10.0.0.7")
    assert "private" not in (told.title + told.meaning + told.mend).lower()
    assert "refus" not in told.title.lower()
