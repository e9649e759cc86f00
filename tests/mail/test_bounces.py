"""Reports of machines: delivery failures of many servers, delays, automatic replies; and mail that is none of these."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.bounces import Failure, ReportKind, is_auto_reply, may_be_report, read_report

DSN = (
    b"From: Mail Delivery System <MAILER-DAEMON@mx.nordlys.example>\r\nTo: anna@example.com\r\nSubject: Undelivered Mail\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="d"\r\n\r\n--d\r\nContent-Type: text/plain\r\n\r\n'
    b"Sorry.\r\n\r\n--d\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.nordlys.example\r\n\r\n"
    b"Final-Recipient: rfc822; Ida@Customer.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n"
    b" User unknown\r\n\r\nFinal-Recipient: rfc822; bo@customer.example\r\nAction: delivered\r\nStatus: 2.0.0\r\n\r\n"
    b"--d\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: Lanterns\r\nMessage-ID:\r\n <0f1e@example.com>\r\n\r\n--d--\r\n"
)


def test_a_standard_report_names_who_why_and_which_mail() -> None:
    report = read_report(DSN)
    assert report is not None and report.kind is ReportKind.FAILED
    assert report.failures == (Failure("ida@customer.example", "5.1.1", "smtp; 550 5.1.1 User unknown"),)
    assert report.failures[0].is_permanent
    assert report.original_ids[0] == "0f1e@example.com"


def test_a_delay_is_no_failure() -> None:
    report = read_report(DSN.replace(b"Action: failed", b"Action: delayed").replace(b"5.1.1\r\nDiag", b"4.4.1\r\nDiag"))
    assert report is not None and report.kind is ReportKind.DELAYED


@pytest.mark.parametrize(
    "status, permanent",
    [("5.1.1", True), ("5.0.0", True), ("5.2.2", False), ("4.4.7", False), ("5.7.1", False), ("", False)],
)
def test_only_an_address_that_does_not_exist_is_invalid_for_good(status: str, permanent: bool) -> None:
    assert Failure("a@b.example", status).is_permanent is permanent


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied (vacation)", "X-Autoreply: yes", "Precedence: auto_reply", "X-Autorespond: on",
    ],
)  # fmt: skip
def test_automatic_replies_are_recognised(header: str) -> None:
    assert is_auto_reply(f"From: a@b.example\n{header}\nSubject: Re: Lanterns")
    report = read_report(f"From: a@b.example\r\n{header}\r\nIn-Reply-To: <1@x.example>\r\n\r\nI am away.\r\n".encode())
    assert report is not None and report.kind is ReportKind.AUTO_REPLY and report.original_ids == ("1@x.example",)


@pytest.mark.parametrize(
    "mail",
    [
        b"From: Ida <ida@customer.example>\r\nSubject: Re: delivery of the lanterns\r\n\r\nWhen? ida2@customer.example\r\n",
        b"From: news@shop.example\r\nList-Id: <news>\r\nPrecedence: bulk\r\nSubject: Spring\r\n\r\nBuy at help@shop.example\r\n",
        b"From: Ida <ida@customer.example>\r\nSubject: hello\r\n\r\nuser unknown 550 5.1.1 <bo@x.example>\r\n",
    ],
)
def test_mail_of_people_and_lists_is_no_report(mail: bytes) -> None:
    assert read_report(mail) is None


def test_the_corpus_of_odd_bounces_is_recognised(corpus: Path) -> None:
    files = sorted(path for path in (corpus / "bounce").rglob("*.txt"))
    reports = {path.name: read_report(path.read_bytes()) for path in files}
    missed = {name for name, report in reports.items() if report is None or not report.failures}
    # Left: an answer of a person in a bounce's folder, an automatic reply and a rejection notice without a recipient.
    assert len(files) - len(missed) >= 55, missed
    assert all(reports[name] is not None for name in missed - {"groupwise_03.txt"})


def test_each_file_of_the_corpus_passes_the_cheap_look(corpus: Path) -> None:
    from_daemon = [path.read_bytes() for path in sorted((corpus / "bounce").rglob("yahoo*.txt"))]
    assert from_daemon and may_be_report("mailer-daemon@yahoo.com", "", is_automatic=False)
    assert not may_be_report("ida@customer.example", "Lanterns", is_automatic=False)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([DSN[n : n + 60] for n in range(0, len(DSN), 60)]), max_size=40), st.binary(max_size=60)
)
def test_shuffled_reports_never_raise(pieces: list[bytes], more: bytes) -> None:
    read_report(b"".join(pieces) + more)


@pytest.mark.timeout(20)
def test_a_huge_report_takes_no_long() -> None:
    raw = b"From: MAILER-DAEMON@x.example\r\nSubject: failure notice\r\n\r\n" + b"a@b.example> " * 100_000
    report = read_report(raw)
    assert report is not None and len(report.failures) <= 100


def test_the_envelope_id_that_we_gave_names_the_mail_where_no_header_comes_back() -> None:
    report = read_report(
        b"From: MAILER-DAEMON@mx.example\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\n\r\nSorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        b"Reporting-MTA: dns; mx.example\r\nOriginal-Envelope-Id: a+2Bb@nordlys.example\r\n\r\n"
        b"Final-Recipient: rfc822; ida@customer.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    assert report is not None and report.original_ids == ("a+b@nordlys.example",)
