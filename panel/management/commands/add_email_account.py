"""`add_email_account`: the wizard's checks without a browser. The email account is active at once.

Invariant: the password comes from standard input only, and is never part of an error.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from accounts import services
from accounts.lookup import identify
from accounts.models import EmailAccount, MailboxSetup, Period, SetupCheck, User
from accounts.servers import exchange_server, parse_server
from accounts.services.finish import connected_already
from accounts.services.users import create_user
from accounts.setup import ChosenServer, Stage, chosen
from accounts.setup_errors import explain
from panel.services.folders import follow_only


class Failed(Exception):
    """Why the email account was not added: `kind` for scripts, the text for people."""

    def __init__(self, kind: str, message: str, *, said: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.kind, self.said, self.code = kind, said, code


class Command(BaseCommand):
    help = "Connect a mailbox for a user: runs the checks of the wizard, then the email account is active."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="LOGIN", help="user name or email address of the owner")
        parser.add_argument("--address", required=True, help="the mailbox's email address")
        parser.add_argument("--imap", metavar="HOST:PORT:SECURITY", help="SECURITY is ssl, starttls or none")
        parser.add_argument("--smtp", metavar="HOST:PORT:SECURITY")
        parser.add_argument("--ews", metavar="URL", help="the service of an Exchange Server: a host or a whole URL")
        parser.add_argument("--impersonate", action="store_true", help="--username is a service account (Exchange)")
        parser.add_argument("--username", default="", help="user name on the server, where it is not the address")
        parser.add_argument("--period", choices=Period.values, default=Period.WEEK)
        parser.add_argument("--folder", action="append", default=[], metavar="NAME", help="follow only these folders")
        parser.add_argument("--ca-file", type=Path, metavar="PEM", help="private authority of the servers")
        parser.add_argument("--create-user", action="store_true", help="make the user when there is none")
        parser.add_argument("--password-stdin", action="store_true", required=True)
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            result = _add(options)
        except Failed as error:
            if options["json"]:
                report = {"error": error.kind, "message": str(error), "server_said": error.said}
                self.stdout.write(json.dumps(report))
                sys.exit(error.code)
            said = f"\nThe server said: {error.said}" if error.said else ""
            raise CommandError(f"{error}{said}", returncode=error.code) from None
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            sending = "" if result["can_send"] else " It only receives."
            self.stdout.write(f"{result['address']} added for {result['user']}.{sending}")


def _add(options: dict[str, Any]) -> dict[str, Any]:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Failed("no_password", "No password came on standard input.", code=2)
    servers = _servers(options)
    user = _user(options["user"], create=options["create_user"])
    try:
        setup = services.start_setup(user=user, address=options["address"])
    except services.WizardError as error:
        raise Failed("address", str(error), code=2) from None
    try:
        _choose(setup, servers)
        email_account = _check(setup, password, options["username"])
    finally:
        MailboxSetup.objects.filter(pk=setup.pk).delete()
    services.change_download(email_account, period=options["period"], auto_download=True)
    if options["folder"]:
        missing = follow_only(email_account, options["folder"])
        if missing:
            email_account.delete()  # nothing was downloaded yet
            raise Failed("folder", f"No folder is named {', '.join(missing)}.", code=2)
    services.answer_download(email_account, yes=True)
    return {
        "id": email_account.pk,
        "address": email_account.address,
        "user": user.email or user.username,
        "state": email_account.state,
        "period": email_account.period,
        "since": email_account.since.isoformat() if email_account.since else None,
        "can_send": email_account.can_send,
        "provider": email_account.provider.name if email_account.provider else None,
    }


def _servers(options: dict[str, Any]) -> tuple[ChosenServer, ...]:
    if options["ews"] and (options["imap"] or options["smtp"]):
        raise Failed("servers", "--ews receives and sends: it goes without --imap and --smtp.", code=2)
    if options["smtp"] and not options["imap"]:
        raise Failed("servers", "--smtp needs --imap as well.", code=2)
    try:
        bundle = options["ca_file"].read_text(encoding="ascii") if options["ca_file"] else ""
        if options["ews"]:
            return (replace(exchange_server(options["ews"], ca_bundle=bundle), impersonates=options["impersonate"]),)
        named = [protocol for protocol in ("imap", "smtp") if options[protocol]]
        return tuple(parse_server(protocol, options[protocol], ca_bundle=bundle) for protocol in named)
    except (OSError, ValueError) as error:
        raise Failed("servers", str(error), code=2) from None


def _user(login: str, *, create: bool) -> User:
    found = User.objects.filter(Q(username__iexact=login) | Q(email__iexact=login)).order_by("pk").first()
    if found is not None:
        return found
    if not create:
        raise Failed("user", f"There is no user {login}; --create-user makes one.", code=2)
    return create_user(login=login)


def _choose(setup: MailboxSetup, servers: tuple[ChosenServer, ...]) -> None:
    if servers:
        services.use_servers(setup, servers)
    elif not identify(setup):
        text = f"Nobody knows who runs the mail of {setup.address}; name the server with --imap."
        raise Failed("lookup", text, code=2)


def _check(setup: MailboxSetup, password: str, user_name: str) -> EmailAccount:
    try:
        ids = services.give_password(setup, password=password, user_name=user_name)
    except (services.WizardError, PermissionDenied) as error:
        raise Failed("setup", str(error)) from None
    for check_id in ids:
        services.run_check(check_id)
    setup.refresh_from_db()
    if setup.stage == Stage.DONE and setup.email_account:
        return setup.email_account
    there = connected_already(setup)
    failed = setup.checks.exclude(error_kind__in=("", "not_reached")).order_by("position").first()
    if there is not None and failed is None:
        owner = there.owner.get_full_name()
        raise Failed("duplicate", f"{there.address} is connected already, by {owner}.")
    raise _failure(setup, failed)


def _failure(setup: MailboxSetup, check: SetupCheck | None) -> Failed:
    if check is None:
        return Failed("unknown", "The check did not end.")
    server = next(
        server for server in chosen(setup.servers) if (server.sends if check.kind == "send" else server.receives)
    )
    provider, detail = setup.provider, check.detail
    told = explain(check.error_kind, provider=provider, host=server.host, direction=check.kind, detail=detail)
    text = " ".join(part for part in (told.title, told.mend, told.link) if part)
    return Failed(check.error_kind, text, said=check.server_said)
