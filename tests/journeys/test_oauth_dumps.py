"""No token in a backup: the database as pg_dump writes it, Redis, logs, after a worker has renewed tokens by itself."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from drivers.oauth.services import sign_in_service
from tests.journeys.conftest import Installation
from tests.journeys.site import Site
from tests.servers.dovecot import Dovecot
from tests.servers.oauth_mail import oauth_dovecot
from tests.servers.oidc_person import walk
from tests.servers.oidc_server import CLIENTS, OidcServer
from tests.servers.postgres import PostgresServer, program
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.servers, pytest.mark.long]  # the short one: test_oauth_mail.py's search, on PostgreSQL
ANNA = "anna@example.com"
BACK = "http://127.0.0.1/oauth/post/callback/"
CLIENT_SECRET = f"{CLIENTS['post']}-secret-6c1f"

CONNECT = """
import json, sys
from django.utils import timezone
from datetime import timedelta
from accounts.models import *
from accounts.oauth import begin_sign_in
from accounts.oauth_revoke import plan_revocation
from accounts.services import answer_download, remove_email_account
from accounts.tokens import keep_tokens
from accounts.vault import move_candidate
from drivers.oauth.flow import Tokens
from providers.applications import set_secret
from providers.models import OAuthApplication, Provider
given = json.load(sys.stdin)
user = User.objects.create_user(username="maren", email="maren@example.com", password="x")
ours = OAuthApplication(key="post", name="Ours", kind="oidc", client_id=given["client"], mail_scopes="mail",
                        issuer=given["issuer"], ca_bundle=given["oidc_ca"])
set_secret(ours, given["client_secret"])
ours.save()
def connect(address, access, refresh):
    account = EmailAccount.objects.create(owner=user, address=address, address_key=address, state="connected")
    EmailAccountServer.objects.create(email_account=account, protocol="imap", host="localhost", port=given["port"],
        security="ssl", ca_bundle=given["ca"], user_name=given["address"])
    setup = MailboxSetup.objects.create(user=user, address=address, expires_at=timezone.now() + timedelta(days=1))
    keep_tokens(Tokens(access, refresh, 4.0, identity=address), application=ours, setup=setup)
    move_candidate(setup, account)
    return account
gone = connect("gone@example.com", "seeded-access-of-one-that-goes", "seeded-refresh-of-one-that-goes")
remove_email_account(gone, erase=False)
GrantToRevoke.objects.update(next_try_at=timezone.now() + timedelta(days=1))
answer_download(connect(given["address"], given["access"], given["refresh"]), yes=True)
provider = Provider.objects.create(key="p", name="P", allows_oauth=True, oauth_kind="oidc")
waiting = MailboxSetup.objects.create(user=user, address="next@example.com", provider=provider,
                                      expires_at=timezone.now() + timedelta(days=1))
begin_sign_in(waiting, session_key="seeded-session-key")
"""
READ = """
import json
from accounts.models import *
from accounts.vault import read_secret, unseal
found = [json.loads(read_secret(row)) for row in Credential.objects.all()]
words = [word for one in found for word in one.values()]
for attempt in SignInAttempt.objects.all():
    words += json.loads(unseal(attempt.kept_ciphertext, bound_to=f"accounts.SignInAttempt:{attempt.pk}")).values()
print(json.dumps([word for word in words if word]))
"""


@pytest.fixture
def site(
    install: Callable[[], Installation], oidc: OidcServer, oidc_ca: str
) -> Iterator[tuple[Site, Dovecot, list[str]]]:
    """An installation with one mailbox that was signed in to without a password; its first tokens."""
    if not Dovecot.is_installed():
        pytest.skip("Dovecot is not installed")
    with RedisServer() as queue, oauth_dovecot(oidc, "post", (ANNA,)) as dovecot:
        here = install()
        here.environment |= {"REDIS_URL": queue.url, "LOG_LEVEL": "DEBUG", "MAIL_POLL_SECONDS": "5"}
        oidc.control(ttl=4)
        service = sign_in_service(oidc.application("post"))
        begun = service.begin(BACK)
        tokens = service.finish(begun.kept, walk(begun.url, ANNA, ca_file=oidc_ca), BACK)
        given = {
            "client": CLIENTS["post"], "client_secret": CLIENT_SECRET, "issuer": oidc.issuer("post"), "address": ANNA,
            "oidc_ca": oidc.authority.pem, "port": dovecot.ssl_port, "ca": dovecot.authority.pem,
            "access": tokens.access_token, "refresh": tokens.refresh_token,
        }  # fmt: skip
        here.manage("shell", "-c", CONNECT, given=json.dumps(given))
        made = Site(here, dovecot, None, queue, pool="threads", size=2)  # type: ignore[arg-type]
        yield made, dovecot, [tokens.access_token, tokens.refresh_token]
        made.stop()
        oidc.control(ttl=3600)


def dumps_of(url: str, folder: Path) -> dict[str, bytes]:
    """The database as plain text, and the custom format unpacked again."""
    plain = subprocess.run([program("pg_dump"), url], capture_output=True, check=True, timeout=120).stdout
    packed, unpacked = folder / "packed", folder / "unpacked"
    subprocess.run([program("pg_dump"), "-Fc", "-Z9", "-f", packed, url], check=True, timeout=120)
    subprocess.run([program("pg_restore"), "-f", unpacked, packed], check=True, timeout=120)
    return {"plain": plain, "custom": unpacked.read_bytes()}


def redis_of(queue: RedisServer) -> bytes:
    """Every key with its value, task bodies out of their base64 too, and the dump of each as an RDB holds it."""
    client = redis.Redis(port=queue.port)
    client.config_set("rdbcompression", "no")
    found = []
    for key in client.scan_iter():
        kind = client.type(key).decode()
        read: dict[str, Callable[[], Any]] = {
            "string": lambda key=key: [client.get(key)], "list": lambda key=key: client.lrange(key, 0, -1),
            "set": lambda key=key: client.smembers(key), "hash": lambda key=key: client.hgetall(key).items(),
            "zset": lambda key=key: client.zrange(key, 0, -1), "stream": lambda key=key: client.xrange(key),
        }  # fmt: skip
        found += [key, repr(read[kind]()).encode(), client.dump(key) or b""]
        for value in client.lrange(key, 0, -1) if kind == "list" else []:
            found.append(base64.b64decode(json.loads(value)["body"]))
    return b"\n".join(found)


def spellings(secret: str) -> Iterator[bytes]:
    """As it is, in hexadecimal (how pg_dump writes bytes), and in base64 at any of its three offsets."""
    raw = secret.encode()
    yield raw
    yield raw.hex().encode()
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"x" * offset + raw)[4:-4]


def names_in(place: bytes, secret: str) -> bool:
    return any(one in place for one in spellings(secret))


def test_a_backup_of_the_database_redis_and_the_logs_hold_no_token(
    site: tuple[Site, Dovecot, list[str]], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    made, dovecot, secrets = site
    url = made.here.environment["DATABASE_URL"]
    dovecot.add_messages(ANNA, "INBOX", [b"From: ines@azulejos.example\r\nSubject: Lot-Canary-3\r\n\r\nHello\r\n"])
    made.start("worker")
    made.start("tick")
    made.wait(lambda: made.stored() == 1, 120, "the mail never came")
    made.wait(lambda: generation(made) >= 2, 120, "the worker never renewed the token")
    secrets += json.loads(made.here.manage("shell", "-v0", "-c", READ).splitlines()[-1])
    made.kill("worker")
    client = redis.Redis(port=made.redis.port)
    made.wait(lambda: bool(client.llen("crm_mail")), 120, "nothing waits in the queue")
    secrets += [CLIENT_SECRET, "seeded-refresh-of-one-that-goes", "seeded-access-of-one-that-goes"]
    assert len(set(secrets)) >= 10
    places = dumps_of(url, tmp_path) | {"redis": redis_of(made.redis), "logs": logs_of(made)}
    for name, place in places.items():
        for secret in secrets:
            assert not names_in(place, secret), name
        assert b"Bearer" not in place, name
    _the_search_would_find_it(made, url, tmp_path)


def generation(made: Site) -> int:
    """How often the grant has got a token."""
    return int(made.here.rows("SELECT max(generation) FROM accounts_oauthgrant")[0][0])


def logs_of(made: Site) -> bytes:
    """All that worker and tick wrote."""
    found = b"".join(path.read_bytes() for path in Path(made.here.environment["DATA_DIR"]).glob("*.log"))
    assert b"token_renewed" in found
    return found


def _the_search_would_find_it(made: Site, url: str, folder: Path) -> None:
    """A secret put into each place on purpose, as a SASL exchange spells it, is found."""
    planted = "planted-token-0b7d61"
    sasl = base64.b64encode(f"user={ANNA}\x01auth=Bearer {planted}\x01\x01".encode())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE accounts_emailaccount SET last_error_said = %s", [sasl.decode()])
    redis.Redis(port=made.redis.port).set("planted", sasl)
    for place in (*dumps_of(url, folder).values(), redis_of(made.redis), sasl, planted.encode().hex().encode()):
        assert names_in(place, planted)
