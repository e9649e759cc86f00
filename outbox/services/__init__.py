"""What a person does with outgoing mail. Every function checks the right to send and raises only `outbox.errors`.

    draft = start_draft(user=…, email_account=None, original=None, kind="new")
    draft = save_draft(user=…, draft=…, version=…, fields=DraftFields(…))     # DraftConflict: saved elsewhere since
    draft = change_sender(user=…, draft=…, email_account=…)                   # swaps the signature too
    file  = attach(user=…, draft=…, file=NewFile(…));  attach_part(user=…, draft=…, part=…);  detach(user=…, attachment=…)
    discard_draft(user=…, draft=…);  import_draft(user=…, message=…)          # "edit as draft" of a stored draft
    queue(user=…, draft=…, confirmed=False)        # leaves in 10 s; CannotSend, NeedsConfirmation, LimitReached, …
    send_later(user=…, draft=…, at=…, confirmed=False);  send_now(user=…, message=…)
    undo_send(user=…, message=…)                   # → draft again; WrongState: too late
    retry(user=…, message=…)                       # failed → queued, or waiting → now
    give_up(user=…, message=…)                     # no more tries; → failed, or sent to those who have it
    edit_again(user=…, message=…)                  # failed and left for nobody → draft
    resolve_uncertain(user=…, message=…, outcome="sent" | "again")
    save_template, delete_template, fill_template; stop_sending, start_sending

After `queue`, `undo_send`, `retry`, … ring `outbox.tasks.advance.delay_on_commit(id)` where a person waits; the tick
does it anyway within seconds.
"""

from outbox.services.drafts import change_sender, discard_draft, import_draft, save_draft, start_draft
from outbox.services.files import attach, attach_part, detach
from outbox.services.sending import (
    UNDO_SECONDS,
    edit_again,
    give_up,
    queue,
    resolve_uncertain,
    retry,
    send_later,
    send_now,
    undo_send,
)
from outbox.services.stopping import start_sending, stop_sending
from outbox.services.templates import delete_template, fill_template, save_template

__all__ = [
    "UNDO_SECONDS",
    "attach",
    "attach_part",
    "change_sender",
    "delete_template",
    "detach",
    "discard_draft",
    "edit_again",
    "fill_template",
    "give_up",
    "import_draft",
    "queue",
    "resolve_uncertain",
    "retry",
    "save_draft",
    "save_template",
    "send_later",
    "send_now",
    "start_draft",
    "start_sending",
    "stop_sending",
    "undo_send",
]
