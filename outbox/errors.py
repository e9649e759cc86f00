"""Why the outbox says no to a person. Each has a sentence for the screen; nothing was changed or sent when one is raised."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outbox.models import OutgoingMessage


class OutboxError(Exception):
    """Base of all; `str()` is a plain sentence for the person."""


class NotAllowed(OutboxError):
    """The person has no right to send with this email account, or the draft is somebody else's."""


class DraftConflict(OutboxError):
    """The draft was saved elsewhere since this version was opened; `current` is what is kept. Nothing was overwritten."""

    def __init__(self, message: str, current: OutgoingMessage) -> None:
        super().__init__(message)
        self.current = current


class WrongState(OutboxError):
    """It is no draft any more, or no longer waiting (undo came too late); `current` says where it stands."""

    def __init__(self, message: str, current: OutgoingMessage) -> None:
        super().__init__(message)
        self.current = current


class CannotSend(OutboxError):
    """The draft is not fit to be sent; `problems` maps a field (to, cc, bcc, attachments, from, size) to a sentence."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = problems


class NeedsConfirmation(OutboxError):
    """Send again with `confirmed=True`; `reasons` maps a kind (recipients, attachment, reply_to, subject) to a question."""

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__(" ".join(reasons.values()))
        self.reasons = reasons


class LimitReached(OutboxError):
    """Too many recipients in the last hour for this person or email account; `free_at` is when it is worth trying again."""

    def __init__(self, message: str, free_at: datetime | None = None) -> None:
        super().__init__(message)
        self.free_at = free_at


class SendingIsStopped(OutboxError):
    """An administrator stopped all sending."""


class FileRefused(OutboxError):
    """An attachment is too large or empty of a name."""
