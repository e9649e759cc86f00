"""The bundled catalogue and loading it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from providers import loading
from providers.catalogue import CatalogueError, public_domains, read_catalogue
from providers.hints import access_hint, app_password_hint
from providers.models import DomainSource, Provider, ProviderDomain
from providers.services import load_catalogue, remove_domain
from tests.conftest import ROOT

FACTS = ROOT.parent / "shared" / "facts" / "providers.json"


def _write(folder: Path, text: str) -> Path:
    (folder / "some.toml").write_text(text)
    return folder


SOME = """
[some]
name = "Some Mail"
domains = ["some.example"]
imap = ["imap.some.example:993 ssl address"]
smtp = ["smtp.some.example:465 ssl address"]
"""


def test_the_catalogue_holds_every_provider_domain_and_server_of_the_facts() -> None:
    if not FACTS.is_file():
        pytest.skip("the facts are not here")
    facts = json.loads(FACTS.read_text())["providers"]
    ours = {entry.key: entry for entry in read_catalogue()}
    assert {fact["key"] for fact in facts} <= set(ours)
    words = {"SSL/TLS": "ssl", "STARTTLS": "starttls"}
    for fact in facts:
        entry = ours[fact["key"]]
        assert set(fact["domains"]) == {*entry.domains, *entry.suffixes}
        if entry.fields["access"] != "direct":
            continue
        for protocol in ("imap", "smtp"):
            mine = [(s.host, s.port, s.security, s.login_format) for s in entry.servers if s.protocol == protocol]
            theirs = [
                (
                    server["host"].replace("%EMAILDOMAIN%", "{domain}"),
                    server["port"],
                    words[server["security"]],
                    server["login_format"],
                )
                for server in fact[protocol]
            ]
            assert [server for server in theirs if not server[0].startswith("export.")] == mine


def test_what_is_not_proven_is_never_said_as_a_fact() -> None:
    if not FACTS.is_file():
        pytest.skip("the facts are not here")
    ours = {entry.key: entry for entry in read_catalogue()}
    for fact in json.loads(FACTS.read_text())["providers"]:
        if fact["app_password_evidence"] == "general-knowledge-not-verified":
            assert ours[fact["key"]].fields["app_password"] in ("maybe", ""), fact["key"]


def test_microsoft_mailboxes_sign_in_by_oauth_only() -> None:
    ours = {entry.key: entry.fields for entry in read_catalogue()}
    for key in ("microsoft365", "outlook_com"):
        assert ours[key]["allows_password"] is False
        assert ours[key]["oauth_kind"] == "microsoft"


@pytest.mark.parametrize(
    "text",
    [
        SOME.replace("some.example:993 ssl", "some.example:993 plain"),
        SOME.replace("993 ssl address", "993 ssl whatever"),
        SOME.replace('["some.example"]', '["so me.example"]'),
        SOME + 'app_password = "always"',
        SOME + 'colour = "red"',
        SOME + 'access = "none"',
        '[other]\nname = "Other"',
        SOME + SOME.replace("[some]", "[other]"),
    ],
)
def test_a_wrong_line_of_the_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CatalogueError):
        read_catalogue(_write(tmp_path, text))


def test_the_bundled_list_of_public_domains_is_read_whole() -> None:
    assert {"hey.com", "mailinator.com", "privaterelay.appleid.com"} <= public_domains()
    assert len(public_domains()) > 300


@pytest.mark.django_db
def test_loading_twice_changes_nothing() -> None:
    first = load_catalogue()
    assert first.added == Provider.objects.count() >= 70
    assert first.domains_added == ProviderDomain.objects.count() == 613
    before = list(Provider.objects.order_by("pk").values())
    again = load_catalogue()
    assert (again.added, again.changed, again.domains_added) == (0, 0, 0)
    assert list(Provider.objects.order_by("pk").values()) == before


@pytest.mark.django_db
def test_an_edited_field_a_disabled_provider_and_edited_servers_stay_so(tmp_path: Path) -> None:
    folder = _write(tmp_path, SOME)
    loading.load(read_catalogue(folder))
    provider = Provider.objects.get(key="some")
    provider.name, provider.is_enabled, provider.edited_fields = "Our Mail", False, ["name", "servers"]
    provider.save()
    provider.servers.filter(protocol="imap").update(host="imap.ours.example")
    _write(tmp_path, SOME.replace("Some Mail", "New Name").replace("993", "143") + 'help_url = "https://h.example"')
    counts = loading.load(read_catalogue(folder))
    provider.refresh_from_db()
    assert (provider.name, provider.is_enabled, provider.help_url) == ("Our Mail", False, "https://h.example")
    assert provider.servers.get(protocol="imap").host == "imap.ours.example"
    assert (counts.changed, counts.kept) == (1, 1)


@pytest.mark.django_db
def test_servers_that_nobody_edited_follow_the_catalogue(tmp_path: Path) -> None:
    loading.load(read_catalogue(_write(tmp_path, SOME)))
    loading.load(read_catalogue(_write(tmp_path, SOME.replace("993 ssl", "143 starttls"))))
    server = Provider.objects.get(key="some").servers.get(protocol="imap")
    assert (server.port, server.security) == (143, "starttls")


@pytest.mark.django_db
def test_a_removed_domain_and_one_that_was_given_away_stay_so() -> None:
    load_catalogue()
    remove_domain(row=ProviderDomain.objects.get(domain="gmx.de"))
    other = Provider.objects.get(key="fastmail")
    row = ProviderDomain.objects.get(domain="web.de")
    row.provider, row.source = other, DomainSource.ADMINISTRATOR
    row.save()
    counts = load_catalogue()
    assert (counts.domains_added, counts.domains_kept) == (0, 2)
    assert ProviderDomain.objects.get(domain="gmx.de").is_removed
    assert ProviderDomain.objects.get(domain="web.de").provider == other


@pytest.mark.django_db
def test_an_administrators_own_provider_under_a_key_of_the_catalogue_is_left_alone() -> None:
    mine = Provider.objects.create(key="gmail", name="Our gateway")
    load_catalogue()
    mine.refresh_from_db()
    assert (mine.name, mine.is_catalogue, mine.servers.count()) == ("Our gateway", False, 0)


@pytest.mark.django_db
def test_hints_state_facts_as_facts_and_guesses_as_guesses(catalogue: None) -> None:
    by_key = {provider.key: provider for provider in Provider.objects.all()}
    gmail, strato = app_password_hint(by_key["gmail"]), app_password_hint(by_key["strato"])
    assert gmail is not None and "does not accept your usual password" in gmail.headline
    assert gmail.url.startswith("https://support.google.com/")
    assert strato is not None and "may need an app password" in strato.headline
    assert app_password_hint(by_key["posteo"]) is None
    assert access_hint(by_key["gmail"]) is None
    proton, tuta = access_hint(by_key["proton"]), access_hint(by_key["tuta"])
    assert proton is not None and "bridge" in proton.headline
    assert tuta is not None and "cannot be connected" in tuta.headline
