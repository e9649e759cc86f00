"""What Exchange makes of a delivery failure: a bounce at the mail that was sent from here, else *filtered: not a mail*."""

from __future__ import annotations

from typing import Any

import pytest

from mail.models import Copy, CopyState
from outbox import bounces
from outbox.models import BounceNote
from sync import explain, pipeline
from tests.journeys.exchange_moves import ANNA, command
from tests.journeys.test_exchange import advanced, connect, write
from tests.mail.test_bounces import DSN
from tests.outbox.conftest import _storage  # noqa: F401 - a fixture
from tests.servers.ews import EwsServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
NDR = "REPORT.IPM.Note.NDR"


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128")


@pytest.mark.parametrize("has_mime", [True, False])
def test_a_report_about_a_mail_of_ours_is_its_bounce(monkeypatch: Any, ews_server: EwsServer, has_mime: bool) -> None:
    account = connect(monkeypatch, ews_server)
    pipeline.run_once(account.pk)
    row = advanced(write(account, "ida@customer.example"))
    pipeline.run_once(account.pk)
    if not has_mime:
        ews_server.no_mime.add(NDR)
    inbox = ews_server.store.by_name("inbox")
    ews_server.store.add(inbox, DSN.replace(b"0f1e@example.com", row.message_id.encode()), item_class=NDR)
    ews_server.store.add(inbox, DSN, item_class=NDR)
    ews_server.store.add(inbox, DSN, item_class="REPORT.IPM.Note.IPNRN")
    pipeline.run_once(account.pk)
    figures = command("mailbox_status", ANNA)
    told = tuple(figures[name] for name in ("on_server", "stored", "filtered", "pending", "unaccounted"))
    assert told == ((4, 2, 2, 0, 0) if has_mime else (4, 1, 3, 0, 0)), "its properties do not say which mail it returns"
    reasons = Copy.objects.filter(state=CopyState.FILTERED).values_list("reason", flat=True)
    assert set(reasons) == {"not a mail"}
    if has_mime:
        assert bounces.note_bounces(bounces.waiting()) == 1
        assert list(row.recipients.values_list("state", flat=True)) == ["bounced"]
        assert BounceNote.objects.get(outgoing=row).kind == "failed"


def test_a_report_that_was_filtered_can_be_taken_in_anyway(monkeypatch: Any, ews_server: EwsServer) -> None:
    account = connect(monkeypatch, ews_server)
    ews_server.store.add(ews_server.store.by_name("inbox"), DSN, item_class=NDR)
    pipeline.run_once(account.pk)
    copy = Copy.objects.get()
    assert (copy.state, copy.reason) == (CopyState.FILTERED, "not a mail")
    assert explain.import_anyway(account, copy.folder, copy.remote_key) is not None
