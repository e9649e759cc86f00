"""Sign-in services against an authorization server that nobody here wrote (npm's oidc-provider)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from base.web import Door
from drivers.errors import AuthenticationFailed, CertificateInvalid, DriverError, ServerBusy, ServerUnreachable
from drivers.imap.driver import ImapDriver
from drivers.oauth.errors import AnswerForged, ApplicationRefused, ConsentRefused, ScopeMissing, SignInRevoked
from drivers.oauth.flow import Tokens
from drivers.oauth.services import sign_in_service
from drivers.smtp.driver import SmtpDriver
from drivers.types import AuthKind, Envelope, Login, Security
from tests.servers.dovecot import Dovecot
from tests.servers.oauth_mail import PASSDB, oauth_dovecot, open_folder, write_oauth
from tests.servers.oidc_person import walk
from tests.servers.oidc_server import OidcServer
from tests.servers.postfix import DOMAIN, Postfix, why_not

pytestmark = pytest.mark.servers
ANNA = "anna@example.com"
NAMES = ("google", "microsoft", "post")


def back(name: str) -> str:
    return f"http://localhost:8000/oauth/{name}/callback/"


@pytest.fixture
def signed_in(oidc: OidcServer, oidc_ca: str) -> Callable[..., Tokens]:
    """Tokens after a person signed in with a service."""

    def sign_in(name: str, address: str = ANNA) -> Tokens:
        service = sign_in_service(oidc.application(name))
        begun = service.begin(back(name), login_hint=address)
        return service.finish(begun.kept, walk(begun.url, address, ca_file=oidc_ca), back(name))

    return sign_in


@pytest.mark.parametrize("name", NAMES)
def test_a_person_signs_in_and_the_refresh_token_rotates(
    name: str, oidc: OidcServer, signed_in: Callable[..., Tokens]
) -> None:
    tokens = signed_in(name)
    assert tokens.identity == ANNA and tokens.refresh_token and 0 < tokens.expires_in <= 3600
    assert tokens.access_token not in repr(tokens) and tokens.refresh_token not in repr(tokens)
    service = sign_in_service(oidc.application(name))
    renewed = service.refresh(tokens.refresh_token)
    assert renewed.access_token != tokens.access_token
    assert renewed.refresh_token and renewed.refresh_token != tokens.refresh_token
    with pytest.raises(SignInRevoked) as told:  # the old one was used: the server ends the grant
        service.refresh(tokens.refresh_token)
    assert tokens.refresh_token not in f"{told.value} {told.value.server_said}"


@pytest.mark.parametrize("name", NAMES)
def test_pkce_is_s256_and_the_hint_is_given(name: str, oidc: OidcServer) -> None:
    begun = sign_in_service(oidc.application(name)).begin(back(name), login_hint=ANNA)
    assert "code_challenge_method=S256" in begun.url and "login_hint=anna%40example.com" in begun.url
    assert "nonce=" in begun.url and begun.state in begun.url and begun.kept not in repr(begun)


@pytest.mark.parametrize("name", NAMES)
def test_a_refused_consent_is_told_from_an_error(name: str, oidc: OidcServer, oidc_ca: str) -> None:
    service = sign_in_service(oidc.application(name))
    begun = service.begin(back(name))
    answer = walk(begun.url, ANNA, ca_file=oidc_ca, agrees=False)
    with pytest.raises(ConsentRefused):
        service.finish(begun.kept, answer, back(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_code_works_once_and_for_its_own_sign_in_only(name: str, oidc: OidcServer, oidc_ca: str) -> None:
    service = sign_in_service(oidc.application(name))
    begun, other = service.begin(back(name)), service.begin(back(name))
    answer = walk(begun.url, ANNA, ca_file=oidc_ca)
    with pytest.raises(AnswerForged):
        service.finish(other.kept, answer, back(name))  # another state
    with pytest.raises((SignInRevoked, AnswerForged)):  # the attacker's code under our state: PKCE refuses
        service.finish(other.kept, answer | {"state": other.state}, back(name))


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_of_another_service_is_refused(name: str, oidc: OidcServer, oidc_ca: str) -> None:
    service = sign_in_service(oidc.application(name))
    begun = service.begin(back(name))
    answer = walk(begun.url, ANNA, ca_file=oidc_ca)
    for mixed in (answer | {"iss": oidc.issuer("other")}, {key: answer[key] for key in ("code", "state")}):
        with pytest.raises(AnswerForged):
            service.finish(begun.kept, mixed, back(name))
    assert service.finish(begun.kept, answer, back(name)).identity == ANNA


def test_a_wrong_secret_is_the_applications_fault(oidc: OidcServer) -> None:
    for name in NAMES:
        service = sign_in_service(oidc.application(name, client_secret="no-longer-valid"))
        with pytest.raises(ApplicationRefused) as told:
            service.check()
        assert "no-longer-valid" not in told.value.server_said
        assert sign_in_service(oidc.application(name)).check().startswith("https://localhost:")


def test_an_application_without_the_right_to_the_mail_is_refused(oidc: OidcServer, oidc_ca: str) -> None:
    service = sign_in_service(oidc.application("google", client_id="google-no-mail"))
    begun = service.begin(back("google"))
    with pytest.raises(ScopeMissing):
        service.finish(begun.kept, walk(begun.url, ANNA, ca_file=oidc_ca), back("google"))


def test_a_revoked_grant_is_over_where_the_service_has_an_endpoint(
    oidc: OidcServer, signed_in: Callable[..., Tokens]
) -> None:
    for name, revokes in (("google", True), ("post", True), ("microsoft", False)):
        service, tokens = sign_in_service(oidc.application(name)), signed_in(name)
        assert service.revoke(tokens.refresh_token) is revokes
        if revokes:
            with pytest.raises(SignInRevoked):
                service.refresh(tokens.refresh_token)


def test_the_application_signs_in_for_itself(oidc: OidcServer) -> None:
    tokens = sign_in_service(oidc.application("microsoft", mail_scopes=("https://outlook.office.com/SMTP.Send",)))
    given = tokens.for_application()
    assert given.access_token and not given.refresh_token and not given.identity


def test_a_service_that_is_down_is_no_refusal(oidc: OidcServer, signed_in: Callable[..., Tokens]) -> None:
    tokens = {name: signed_in(name) for name in NAMES}
    oidc.control(down=1)
    try:
        for name in NAMES:
            with pytest.raises((ServerUnreachable, ServerBusy)) as told:
                sign_in_service(oidc.application(name)).refresh(tokens[name].refresh_token)
            assert not isinstance(told.value, AuthenticationFailed)
    finally:
        oidc.control(down=0)


def test_the_guard_stands_before_every_service(oidc: OidcServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = {"issuer": oidc.issuer("google").replace("localhost", "127.0.0.1")}
    for name in NAMES:
        locked_in = oidc.application(name, door=Door((), oidc.authority.pem, 5.0)) if name != "google" else None
        application = locked_in or replace(oidc.application(name, **fresh), door=Door((), oidc.authority.pem, 5.0))
        with pytest.raises(DriverError) as told:
            sign_in_service(replace(application, issuer=application.issuer + "/x")).begin(back(name))
        assert getattr(told.value, "kind", "") == "blocked"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert sign_in_service(oidc.application("microsoft")).begin(back("microsoft")).url
    distrusting = oidc.application("post", door=Door(("127.0.0.0/8", "::1/128"), "", 5.0))
    with pytest.raises(CertificateInvalid):
        sign_in_service(distrusting).begin(back("post"))


@pytest.fixture(scope="module", params=["", "IMAP4rev1 SASL-IR AUTH=OAUTHBEARER UIDPLUS", "IMAP4rev1 AUTH=XOAUTH2"])
def token_dovecot(request: Any, oidc: OidcServer) -> Iterator[Dovecot]:
    """With all mechanisms, with OAUTHBEARER alone, and with XOAUTH2 without SASL-IR."""
    if not Dovecot.is_installed():
        pytest.skip("Dovecot is not installed")
    with oauth_dovecot(oidc, "post", (ANNA, "bob@example.com"), capability=request.param) as server:
        yield server


def test_a_token_opens_its_own_mailbox_and_no_other(
    token_dovecot: Dovecot, oidc: OidcServer, signed_in: Callable[..., Tokens]
) -> None:
    token = signed_in("post").access_token
    address = token_dovecot.address(Security.SSL, host="localhost")
    assert ImapDriver(address, Login(ANNA, token, AuthKind.OAUTH2)).check().folder_count == 5
    for user, secret in (("bob@example.com", token), (ANNA, "made-up")):
        with pytest.raises(AuthenticationFailed) as told:
            ImapDriver(address, Login(user, secret, AuthKind.OAUTH2)).open()
        assert "status=401" in told.value.server_said  # the challenge was read
        assert secret not in told.value.server_said
    oidc.control(down=1)
    try:
        with pytest.raises(ServerBusy):
            ImapDriver(address, Login(ANNA, "never-seen", AuthKind.OAUTH2)).open()
    finally:
        oidc.control(down=0)


def test_a_token_of_too_narrow_a_scope_opens_nothing(token_dovecot: Dovecot, signed_in: Callable[..., Tokens]) -> None:
    address = token_dovecot.address(Security.SSL, host="localhost")
    with pytest.raises(AuthenticationFailed):
        ImapDriver(address, Login(ANNA, signed_in("google").access_token, AuthKind.OAUTH2)).open()


def test_mail_leaves_through_a_postfix_that_knows_oauthbearer_alone(
    oidc: OidcServer, signed_in: Callable[..., Tokens]
) -> None:
    if why_not():
        pytest.skip(why_not())
    mechanism = "oauthbearer"  # XOAUTH2 goes through Postfix in tests/journeys/test_oauth_mail.py
    sender = f"maren@{DOMAIN}"
    with open_folder() as folder:
        extra = PASSDB.format(file=write_oauth(folder, oidc, "post")) + f"auth_mechanisms = {mechanism}\n"
        _leaves(extra, sender, signed_in, mechanism)


def _leaves(extra: str, sender: str, signed_in: Callable[..., Tokens], mechanism: str) -> None:
    with Postfix(dovecot_extra=extra) as postfix:
        address = postfix.address(Security.SSL)
        with SmtpDriver(address, Login(sender, signed_in("post", sender).access_token, AuthKind.OAUTH2)) as driver:
            raw = f"From: {sender}\r\nTo: sales@{DOMAIN}\r\nSubject: {mechanism}\r\n\r\nHello\r\n".encode()
            driver.send(Envelope(sender, (f"sales@{DOMAIN}",)), raw)
        assert mechanism.encode() in postfix.mails("sales", wait=60)[0]
        with pytest.raises(AuthenticationFailed) as told:
            SmtpDriver(address, Login(sender, "made-up-token", AuthKind.OAUTH2)).open()
        assert "made-up-token" not in told.value.server_said
