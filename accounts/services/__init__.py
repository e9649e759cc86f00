"""What the room writes: the wizard's rows, email accounts and their sharing, users.

Invariant: a working credential is replaced only after a successful sign-in; nothing here rings a queue.
"""

from accounts.services.aliases import AliasRefused, add_alias, remove_alias
from accounts.services.checks import due_checks, requeue_stuck_checks, run_check
from accounts.services.email_accounts import (
    answer_download,
    change_download,
    change_sending,
    change_signature,
    change_touching,
    pause,
    remove_email_account,
    request_sync,
    resume,
    share,
    unshare,
)
from accounts.services.finish import Duplicate, finish_setup, receive_only
from accounts.services.setups import (
    WizardError,
    add_server,
    begin_checks,
    choose_provider,
    forget_abandoned_setups,
    give_password,
    start_again,
    start_setup,
    use_servers,
)

__all__ = [
    "AliasRefused",
    "Duplicate",
    "WizardError",
    "add_alias",
    "add_server",
    "answer_download",
    "begin_checks",
    "change_download",
    "change_sending",
    "change_signature",
    "change_touching",
    "choose_provider",
    "due_checks",
    "finish_setup",
    "forget_abandoned_setups",
    "give_password",
    "pause",
    "receive_only",
    "remove_alias",
    "remove_email_account",
    "request_sync",
    "requeue_stuck_checks",
    "resume",
    "run_check",
    "share",
    "start_again",
    "start_setup",
    "unshare",
    "use_servers",
]
