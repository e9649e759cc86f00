"""What the wizard's pages show and what follows a finished run: receipts, steps, the question that stays.

Invariant: nothing of a password is in any of it; whether an address is connected already is said only after the
sign-in to it succeeded.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import AccountState, EmailAccount, MailboxSetup, SetupCheck
from accounts.services.finish import connected_already
from accounts.setup import CheckKind, CheckState, ChosenServer, Stage, chosen, may_receive_only
from accounts.setup_errors import Explanation, explain
from notifications.models import Kind
from notifications.services import close, notify
from sync.outcome import trouble_key

STUCK_AFTER = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Receipt:
    """An answered step: what was answered, why, and where to change it."""

    label: str
    value: str
    url: str = ""
    change: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the live check. `state` as CheckState; `note` the time or a count; `told` what went wrong."""

    kind: str
    state: str
    title: str
    note: str = ""
    told: Explanation | None = None
    said: str = ""
    is_repeat: bool = False  # an earlier step gave the same advice


@dataclass(frozen=True, slots=True)
class Result:
    """Where the check stands: its steps, whether it can be tried again, gone on without sending, or is a duplicate."""

    stage: str
    steps: list[Step] = field(default_factory=list)
    is_stuck: bool = False
    may_receive_only: bool = False
    duplicate: EmailAccount | None = None
    failed: Step | None = None

    @property
    def headline(self) -> str:
        """The page's heading."""
        if self.stage == Stage.CHECKING:
            return _("Trying it out")
        if self.duplicate:
            return _("This email account is connected already")
        if self.may_receive_only:
            return _("Receiving works, sending does not yet")
        return self.failed.told.title if self.failed and self.failed.told else _("The check did not end")


def page_url(name: str, setup: MailboxSetup) -> str:
    """The address of a page of this run."""
    return reverse(f"panel:wizard_{name}", args=[setup.pk])


def next_url(setup: MailboxSetup) -> str:
    """The page that a run stands at."""
    names = {Stage.CHECKING: "check", Stage.FAILED: "check", Stage.SERVER: "server", Stage.SERVICE: "service"}
    if setup.stage == Stage.DONE:
        return page_url("done", setup)
    return page_url(names.get(Stage(setup.stage), "password"), setup)


def provider_name(setup: MailboxSetup) -> str:
    """The provider's name, the name given to typed servers, else the receiving host."""
    if setup.provider:
        return setup.provider.name
    servers = chosen(setup.servers)
    return setup.provider_name or (servers[0].host if servers else "")


def receipts(setup: MailboxSetup, page: str) -> list[Receipt]:
    """The answered steps above `page`."""
    change = "" if setup.is_again or page == "done" else _("Change")
    found = [Receipt(_("Address"), setup.address, f"{reverse('panel:new_email_account')}?from={setup.pk}", change)]
    if page in ("password", "check", "done"):
        another = "" if not change else (_("Choose another") if setup.provider else _("Change"))
        url = page_url("service" if setup.provider else "server", setup)
        why = setup.evidence or (_("You chose it") if setup.is_chosen_by_hand else "")
        found.append(Receipt(_("Provider"), provider_name(setup), url, another, why))
    if page in ("check", "done"):
        kind = _("App password") if wants_app_password(setup) else _("Password")
        if getattr(getattr(setup, "candidate", None), "kind", "") == "oauth2":
            kind = _("Without a password")
        found.append(Receipt(_("Sign-in"), kind, page_url("password", setup), "" if page == "done" else _("Change")))
    return found


def wants_app_password(setup: MailboxSetup) -> bool:
    """Whether this provider takes nothing but app passwords."""
    return bool(setup.provider and setup.provider.app_password == "required")  # noqa: S105 - the name of a kind


def hosts(setup: MailboxSetup) -> list[str]:
    """The hosts that the password goes to, each once."""
    return list(dict.fromkeys(server.host for server in chosen(setup.servers)))


def result_of(setup: MailboxSetup) -> Result:
    """The live check as it stands now."""
    checks = list(setup.checks.all())
    servers = chosen(setup.servers)
    steps = [_step(setup, check, servers) for check in checks]
    first = next((step for step in steps if step.told), None)
    if first and first.told:
        mend = first.told.mend
        steps = [replace(s, is_repeat=s is not first and s.told is not None and s.told.mend == mend) for s in steps]
    late = timezone.now() - STUCK_AFTER
    open_checks = [check for check in checks if check.state in (CheckState.WAITING, CheckState.RUNNING)]
    duplicate = connected_already(setup) if setup.stage == Stage.FAILED else None
    failed = next((step for step in steps if step.told), None)
    return Result(
        stage=setup.stage,
        steps=steps,
        is_stuck=any(check.started_at and check.started_at < late for check in open_checks),
        may_receive_only=setup.stage == Stage.FAILED and may_receive_only({c.kind: c.state for c in checks}),
        duplicate=duplicate if duplicate and failed is None else None,
        failed=failed,
    )


def _step(setup: MailboxSetup, check: SetupCheck, servers: tuple[ChosenServer, ...]) -> Step:
    receives = check.kind != CheckKind.SEND
    host = next((server.host for server in servers if (server.receives if receives else server.sends)), "")
    titles = {
        CheckKind.RECEIVE: _("Sign in to receive from %(host)s"),
        CheckKind.SEND: _("Sign in to send through %(host)s"),
        CheckKind.FOLDERS: _("Read the list of folders"),
    }
    told = None
    if check.state == CheckState.FAILED and check.error_kind != "not_reached":
        direction = "receive" if receives else "send"
        told = explain(check.error_kind, provider=setup.provider, host=host, direction=direction, detail=check.detail)
    note = _("%(seconds).1f s") % {"seconds": check.seconds} if check.seconds is not None else ""
    count = check.detail.get("count") if check.kind == CheckKind.FOLDERS else None
    if count is not None:
        note = ngettext("%(count)d found", "%(count)d found", count) % {"count": count}
    title = titles[CheckKind(check.kind)] % {"host": host}
    return Step(check.kind, check.state, title, note, told, check.server_said if told else "")


def download_key(email_account: EmailAccount) -> str:
    """The notification's key of the first question."""
    return f"download:{email_account.pk}"


def ask_download(email_account: EmailAccount) -> None:
    """The question that stays until it is answered, once."""
    if email_account.state == AccountState.CONNECTED and email_account.answered_at is None:
        notify(
            user=email_account.owner,
            kind=Kind.DOWNLOAD_QUESTION,
            key=download_key(email_account),
            email_account=email_account,
            data={"address": email_account.address},
        )


def announce(check_id: int) -> EmailAccount | None:
    """After a check: if its run has finished, ask the question or close *Sign in again*; returns the email account."""
    check = SetupCheck.objects.filter(pk=check_id).select_related("setup__email_account__owner").first()
    if check is None or check.setup.stage != Stage.DONE or check.setup.email_account is None:
        return None
    email_account = check.setup.email_account
    if check.setup.is_again:
        signed_in_again(email_account)
    ask_download(email_account)
    return email_account


def signed_in_again(email_account: EmailAccount) -> None:
    """The trouble is mended: its notices go."""
    close(key=trouble_key(email_account))


def answered(email_account: EmailAccount) -> None:
    """The question was answered."""
    close(key=download_key(email_account))
