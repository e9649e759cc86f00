"""The demo's written mail: believable in number and order, and every letter a mail that parses."""

import csv
import email
from collections import Counter
from datetime import UTC, datetime, timedelta
from email import policy
from pathlib import Path

import pytest

from demo import scripts
from demo.arrivals import Arrivals
from demo.attachments import make_file
from demo.compose import compose
from demo.generate import all_letters
from demo.letters import placements, write_arrival
from demo.users import DEMO_USERS, FOLDERS

NOW = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def letters():
    return all_letters(NOW)


@pytest.fixture(scope="module")
def mails(letters):
    return [(letter, email.message_from_bytes(compose(letter), policy=policy.default)) for letter in letters]


def test_every_letter_parses_without_defects_and_keeps_its_words(mails):
    for letter, mail in mails:
        assert [part.defects for part in mail.walk() if part.defects] == []
        assert mail["Subject"] == letter.subject
        assert mail["From"].addresses[0].display_name == letter.sender.name
        assert len(mail["To"].addresses) == len(letter.to)
        text = mail.get_body(("plain",)).get_content()
        assert letter.body.splitlines()[0].strip() in text


def test_main_mailboxes_have_a_full_week_and_ten_weeks_behind_it(letters):
    week, all_time = Counter(), Counter()
    for letter in letters:
        for place in placements(letter, letters, NOW):
            all_time[place.user.key] += 1
            week[place.user.key] += letter.sent_at > NOW - timedelta(days=7)
    assert min(week["maren"], week["sales"]) >= 60
    assert min(all_time["maren"], all_time["sales"]) >= 200 and all_time["ravi"] >= 60
    assert min(letter.sent_at for letter in letters) < NOW - timedelta(days=60)


def test_no_mail_is_from_the_future_and_answers_come_after_what_they_answer(letters):
    assert all(letter.sent_at < NOW for letter in letters)
    for letter in letters:
        if letter.parent is not None:
            assert letter.sent_at > letter.parent.sent_at, (letter.thread_id, letter.subject)


@pytest.mark.parametrize("hour", [0, 3, 6, 9, 12, 15, 18, 21])
def test_the_order_holds_at_any_time_of_day(hour):
    start = NOW.replace(hour=hour)
    assert all(each.parent is None or each.sent_at >= each.parent.sent_at for each in all_letters(start))


def test_threads_are_proper_threads(letters):
    ids = [letter.message_id for letter in letters]
    assert len(ids) == len(set(ids))
    for letter in letters:
        if letter.parent is not None:
            assert letter.references[-1] == letter.parent.message_id
            assert letter.references[:-1] == letter.parent.references


def test_many_alphabets_and_kinds_are_there(mails):
    languages = {letter.sender.language for letter, _ in mails}
    assert languages >= {"pt", "de", "ja", "uk", "ar", "pl", "fr", "no", "en"}
    kinds = Counter(part.get_content_type() for _, mail in mails for part in mail.walk())
    assert min(kinds[kind] for kind in ("application/pdf", "image/png", "text/csv", "text/calendar", "text/html")) >= 2
    assert any(mail["Auto-Submitted"] == "auto-replied" for _, mail in mails)
    assert any(mail["List-Unsubscribe"] for _, mail in mails)
    forged = [mail for _, mail in mails if mail["Reply-To"] and "fastpay" in mail["Reply-To"]]
    assert len(forged) == 1 and "dmarc=fail" in forged[0]["Authentication-Results"]


def test_flags_say_what_was_read_and_answered(letters):
    places = [place for letter in letters for place in placements(letter, letters, NOW) if place.folder != "Sent"]
    for user in ("maren", "sales"):
        unread = [place for place in places if place.user.key == user and "seen" not in place.flags]
        assert 8 <= len(unread) <= 40
    assert any("answered" in place.flags for place in places) and any("flagged" in place.flags for place in places)
    assert {place.folder for place in places} >= {"INBOX", "Tenders", "Projects/Porto 2027"}
    assert {place.folder for place in places} <= {"INBOX", *FOLDERS}
    drafts = [place for place in places if place.folder == "Drafts"]
    assert {place.user.key for place in drafts} == {"maren", "sales"} and all("draft" in each.flags for each in drafts)


@pytest.mark.parametrize("spec", ["a.pdf|Title (x)|Ribeira façade \\ 漢", "b.png|30", "c.csv|a;b|1;2", "d.ics|Visit|3"])
def test_attachments_are_real_files(spec):
    content = make_file(spec, NOW).content
    starts = {"a": b"%PDF-1.4", "b": b"\x89PNG", "c": b"\xef\xbb\xbf", "d": b"BEGIN:VCALENDAR"}
    assert content.startswith(starts[spec[0]]) and len(content) < 60_000


def test_people_csv_is_the_cast_of_contacts():
    path = Path(scripts.__file__).with_name("people.csv")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["first_name", "last_name", "email", "phone", "job_title", "company", "company_domain"]
    contacts = {person.address: person for person in scripts.cast().values() if person.is_contact}
    assert {row["email"] for row in rows} == set(contacts)
    for row in rows:
        assert sorted(contacts[row["email"]].name.split()) == sorted(f"{row['first_name']} {row['last_name']}".split())
        assert row["email"].endswith("@" + row["company_domain"])


def test_every_arrival_can_be_written_and_answers_what_it_continues(letters):
    pool = scripts.threads("arrivals")
    assert len(pool) >= 20
    for thread in pool:
        for letter in write_arrival(thread, NOW, NOW, letters):
            email.message_from_bytes(compose(letter), policy=policy.default)
            assert placements(letter, (), NOW)
            assert bool(letter.references) == bool(thread.continues)
    assert Arrivals is not None


def test_all_addresses_are_invented_ones():
    for person in scripts.cast().values():
        assert person.address.endswith(".example")
    assert all(user.address.endswith("@nordlys.example") for user in DEMO_USERS)
