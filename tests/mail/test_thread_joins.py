"""A late mail that names several threads makes them one: the oldest, with all that was in the others."""

import pytest
from django.db import transaction

from mail.models import Message, Thread, ThreadReference
from mail.threads import ThreadClue, assign
from tests.factories import EmailAccountFactory, MessageFactory, ThreadFactory

pytestmark = pytest.mark.django_db


@transaction.atomic
def thread_of(account: object, message_id: str, *references: str) -> int:
    """The thread of a message that is stored with it."""
    assigned = assign(account.pk, [ThreadClue(message_id, "", references)])  # type: ignore[attr-defined]
    (thread,) = assigned.threads
    if thread in assigned.new:
        ThreadFactory(pk=thread, email_account=account)
    MessageFactory(email_account=account, thread=Thread.objects.get(pk=thread), message_id=message_id)
    return thread


def test_several_groups_are_joined_at_once_and_others_stay_as_they_are() -> None:
    account, other = EmailAccountFactory(), EmailAccountFactory()
    first = [thread_of(account, f"{name}@a") for name in ("one", "two", "three")]
    second = [thread_of(account, f"{name}@b") for name in ("one", "two")]
    apart = [thread_of(account, "apart@c"), thread_of(other, "one@a")]
    with transaction.atomic():
        clues = [ThreadClue("late@a", "", ("three@a", "one@a", "two@a")), ThreadClue("late@b", "two@b", ("one@b",))]
        assigned = assign(account.pk, [*clues, ThreadClue("reply@c", "apart@c", ())])
    assert assigned.threads == [min(first), min(second), apart[0]] and not assigned.new
    assert sorted(Thread.objects.values_list("pk", flat=True)) == sorted([min(first), min(second), *apart])
    where = dict(Message.objects.filter(email_account=account).values_list("message_id", "thread_id"))
    assert where == {
        **dict.fromkeys(("one@a", "two@a", "three@a"), min(first)), **dict.fromkeys(("one@b", "two@b"), min(second)),
        "apart@c": apart[0],
    }  # fmt: skip
    count = ThreadReference.objects.filter(thread=min(first)).count()
    assert count == 4 and ThreadReference.objects.filter(thread=apart[1]).count() == 1
