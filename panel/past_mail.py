"""After a card changed: some of the mail of the past is linked at once, the rest by a task.

Invariant: what is left stands in rows (linking.models.PastMail); the task only rings.
"""

from __future__ import annotations

from linking import past
from linking.queries import moment_before
from linking.tasks import link_past_mail as ring
from panel.templatetags.panel import day_label


def link_past_mail() -> int:
    """Link some mail of the past now and ring for the rest; returns the number of new links."""
    made = past.link_past_mail(limit=past.AT_ONCE)
    if not past.is_past_mail_linked():
        ring.delay_on_commit()  # type: ignore[attr-defined]
    return made


def label_before(before: str) -> str:
    """Return the head under which the timeline's next mails stand already, "" for the first page."""
    moment = moment_before(before)
    return day_label(moment) if moment else ""
