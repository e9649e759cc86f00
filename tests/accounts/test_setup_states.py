"""The wizard's states, pure."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.servers import parse_server
from accounts.setup import (
    ChosenServer,
    Stage,
    back_from,
    checks_for,
    chosen,
    may_receive_only,
    needs_user_name,
    outcome,
    since_for,
    user_name_for,
)

IMAP = ChosenServer("imap", "imap.nordlys.example", 993)
SMTP = ChosenServer("smtp", "smtp.nordlys.example", 465)


def test_a_server_survives_its_row() -> None:
    server = ChosenServer("imap", "mail.example", 143, "starttls", ca_bundle="PEM", login_format="manual_entry")
    assert ChosenServer.from_dict(server.as_dict() | {"unknown": 1}) == server


def test_the_receiving_server_comes_first() -> None:
    assert [one.protocol for one in chosen([SMTP.as_dict(), IMAP.as_dict()])] == ["imap", "smtp"]


@pytest.mark.parametrize(
    ("login_format", "typed", "expected"),
    [
        ("use_email_address", "", "maren@nordlys.example"),
        ("use_email_address", "msolheim", "msolheim"),
        ("use_mailbox_name", "", "maren"),
        ("use_mailbox_name", "msolheim", "maren"),
        ("manual_entry", "NORDLYS\\maren", "NORDLYS\\maren"),
    ],
)
def test_the_user_name_follows_the_login_format(login_format: str, typed: str, expected: str) -> None:
    assert user_name_for(ChosenServer("imap", login_format=login_format), "maren@nordlys.example", typed) == expected


def test_only_manual_servers_ask_for_a_user_name() -> None:
    assert not needs_user_name((IMAP, SMTP))
    assert needs_user_name((IMAP, ChosenServer("smtp", login_format="manual_entry")))


def test_back_leads_to_the_page_before() -> None:
    assert back_from(Stage.ADDRESS) is None
    assert back_from(Stage.PASSWORD) == Stage.ADDRESS
    assert back_from(Stage.PASSWORD, is_chosen_by_hand=True) == Stage.SERVICE
    assert back_from(Stage.PASSWORD, is_again=True) is None
    assert back_from(Stage.FAILED) == Stage.PASSWORD
    assert back_from(Stage.DONE) is None


def test_a_mailbox_that_only_receives_has_no_sending_step() -> None:
    assert checks_for((IMAP, SMTP)) == ("receive", "send", "folders")
    assert checks_for((IMAP,)) == ("receive", "folders")


@pytest.mark.parametrize(
    ("states", "stage"),
    [
        ({}, Stage.CHECKING),
        ({"receive": "ok", "send": "running", "folders": "ok"}, Stage.CHECKING),
        ({"receive": "failed", "send": "waiting", "folders": "failed"}, Stage.CHECKING),
        ({"receive": "ok", "send": "ok", "folders": "ok"}, Stage.DONE),
        ({"receive": "ok", "send": "failed", "folders": "ok"}, Stage.FAILED),
    ],
)
def test_a_run_ends_when_all_its_checks_have_ended(states: dict[str, str], stage: Stage) -> None:
    assert outcome(states) == stage


def test_receive_only_needs_receiving_to_work() -> None:
    assert may_receive_only({"receive": "ok", "send": "failed", "folders": "ok"})
    assert not may_receive_only({"receive": "failed", "send": "failed", "folders": "failed"})
    assert not may_receive_only({"receive": "ok", "send": "ok", "folders": "ok"})


def test_a_period_is_counted_from_the_day_it_was_chosen() -> None:
    today = date(2026, 11, 25)
    assert since_for("week", today) == date(2026, 11, 18)
    assert since_for("day", today) == date(2026, 11, 24)
    assert since_for("everything", today) is None


def test_a_server_is_read_from_the_command_line() -> None:
    assert parse_server("imap", "Mail.Example:143:starttls") == ChosenServer("imap", "mail.example", 143, "starttls")
    assert parse_server("imap", "[::1]:1143:none").host == "::1"
    for wrong in (
        "mail.example",
        "mail.example:143",
        "mail.example:0:ssl",
        "::1:143:ssl",
        "a b:1:ssl",
        "h:1:tls",
        "h:99999:ssl",
    ):
        with pytest.raises(ValueError, match="HOST:PORT:SECURITY"):
            parse_server("imap", wrong)


@given(st.text(max_size=60))
def test_a_server_text_is_read_or_refused_cleanly(text: str) -> None:
    try:
        server = parse_server("imap", text)
    except ValueError:
        return
    assert server.host and 0 < server.port < 65536
