"""The live check, run by a worker: one server at a time, its result a row.

Invariant: a check may run twice or die anywhere; only the run that holds the row writes its result, and a result of
an earlier attempt lands nowhere because its row is gone.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts.models import Credential, MailboxSetup, SetupCheck
from accounts.services.finish import settle
from accounts.setup import CheckKind, CheckState, ChosenServer, chosen, user_name_for
from accounts.setup_errors import detail_of, kind_of
from accounts.tokens import login_with
from accounts.vault import read_secret
from base.addresses import clean_line
from base.crypto import CryptoError
from drivers.errors import AuthenticationFailed, DriverError
from drivers.registry import mailbox_driver, sending_driver
from drivers.types import AuthKind, CheckReport, Login, Security, ServerAddress

STUCK_AFTER = timedelta(seconds=90)  # a running one: its worker died
LOST_AFTER = timedelta(seconds=5)  # a waiting one: nobody heard the ring
RING_AGAIN = timedelta(seconds=15)
CHECK_TIMEOUT = 15.0  # seconds for each network step: a person is looking


class _NoPassword(AuthenticationFailed):
    """The candidate is gone or no key opens it."""


def due_checks() -> list[SetupCheck]:
    """Waiting checks that nobody has taken, oldest first, at most 50."""
    now = timezone.now()
    rows = SetupCheck.objects.filter(
        state=CheckState.WAITING, started_at__lt=now - LOST_AFTER, setup__expires_at__gt=now
    ).exclude(kind=CheckKind.FOLDERS)
    return list(rows.order_by("pk")[:50])


def requeue_stuck_checks() -> list[int]:
    """Put checks of dead workers back to waiting; returns the ids to ring now (each at most every 15 s)."""
    now = timezone.now()
    SetupCheck.objects.filter(state=CheckState.RUNNING, started_at__lt=now - STUCK_AFTER).update(
        state=CheckState.WAITING, started_at=now - LOST_AFTER * 2
    )
    ids = []
    for check in due_checks():
        rung_at = check.detail.get("rung_at")
        if rung_at and now - datetime.fromisoformat(rung_at) < RING_AGAIN:
            continue
        waiting = SetupCheck.objects.filter(pk=check.pk, state=CheckState.WAITING)
        if waiting.update(detail={"rung_at": now.isoformat()}):
            ids.append(check.pk)
    return ids


def _claim(check_id: int) -> datetime | None:
    """The time that marks this run as the holder, None when somebody else works or the row is gone."""
    now = timezone.now()
    free = Q(state=CheckState.WAITING) | Q(state=CheckState.RUNNING, started_at__lt=now - STUCK_AFTER)
    taken = SetupCheck.objects.filter(free, pk=check_id).update(state=CheckState.RUNNING, started_at=now)
    return now if taken else None


def run_check(check_id: int) -> None:
    """Connect, secure, sign in (and read the folders when receiving), then write the result and settle the run.

    Where one server does both, sending is tried after receiving: a wrong password is one failed sign-in there.
    """
    check = SetupCheck.objects.filter(pk=check_id).select_related("setup__provider").first()
    before = _receiving_beside(check) if check is not None else None
    if check is None or (before is not None and before.state in (CheckState.WAITING, CheckState.RUNNING)):
        return
    started_at = _claim(check_id)
    if started_at is None:
        return
    begun = time.monotonic()
    is_told = before is not None and before.state == CheckState.FAILED and before.error_kind == "password"
    result = _as_before(before) if before is not None and is_told else _result(check)
    result["seconds"] = round(time.monotonic() - begun, 2)
    mine = SetupCheck.objects.filter(pk=check_id, state=CheckState.RUNNING, started_at=started_at)
    if not mine.update(**result):
        return
    if check.kind == CheckKind.RECEIVE:
        _write_folders(check.setup, result)
    settle(check.setup_id)
    if check.kind == CheckKind.RECEIVE and _server_of(check).sends:
        for pk in SetupCheck.objects.filter(setup=check.setup, kind=CheckKind.SEND).values_list("pk", flat=True):
            run_check(pk)


def _receiving_beside(check: SetupCheck) -> SetupCheck | None:
    """The receiving check by the same server, for a sending one."""
    if check.kind != CheckKind.SEND or not _server_of(check).receives:
        return None
    return SetupCheck.objects.filter(setup=check.setup, kind=CheckKind.RECEIVE).first()


def _as_before(check: SetupCheck) -> dict[str, Any]:
    names = ("state", "error_kind", "server_said", "detail")
    return {name: getattr(check, name) for name in names}


def _result(check: SetupCheck) -> dict[str, Any]:
    """Try it; the columns of its row."""
    try:
        report = _report(check)
        return {"state": CheckState.OK, "error_kind": "", "server_said": "", "detail": _facts(report)}
    except DriverError as error:
        kind = "no_password" if isinstance(error, _NoPassword) else kind_of(error)
        if kind == "password" and Credential.objects.filter(setup=check.setup, kind="oauth2").exists():
            kind = "oauth_refused"
        return {
            "state": CheckState.FAILED,
            "error_kind": kind,
            "server_said": clean_line(error.server_said, 500),
            "detail": detail_of(error),
        }


def _server_of(check: SetupCheck) -> ChosenServer:
    is_send = check.kind == CheckKind.SEND
    return next(server for server in chosen(check.setup.servers) if (server.sends if is_send else server.receives))


def _report(check: SetupCheck) -> CheckReport:
    setup = check.setup
    server = _server_of(check)
    try:
        credential = Credential.objects.get(setup=setup)
        secret = "" if credential.kind == AuthKind.OAUTH2 else read_secret(credential)
    except (Credential.DoesNotExist, CryptoError) as error:
        raise _NoPassword from error
    address = ServerAddress(
        host=server.host,
        port=server.port,
        security=Security(server.security),
        ca_bundle=server.ca_bundle,
        private_networks=settings.PRIVATE_NETWORKS,
        timeout=min(CHECK_TIMEOUT, settings.MAIL_TIMEOUT),
        url=server.url,
        mailbox=setup.address,
        impersonate=server.impersonates,
    )
    user_name = user_name_for(server, setup.address, setup.user_name)
    login = login_with(credential, user_name) if not secret else Login(user_name, secret, AuthKind.PASSWORD)
    driver = sending_driver if check.kind == CheckKind.SEND else mailbox_driver
    return driver(server.protocol, address, login).check()


def _facts(report: CheckReport) -> dict[str, object]:
    return {
        "folders": report.folder_count,
        "names": [clean_line(name, 60) for name in report.capabilities.names[:80]],
        "size_limit": report.size_limit,
    }


def _write_folders(setup: MailboxSetup, result: dict[str, Any]) -> None:
    """The folders were read in the same sign-in; if it failed they were not reached."""
    state = result["state"]
    detail = {"count": result["detail"].get("folders")} if state == CheckState.OK else {}
    kind = "" if state == CheckState.OK else "not_reached"
    SetupCheck.objects.filter(setup=setup, kind=CheckKind.FOLDERS).update(state=state, detail=detail, error_kind=kind)
