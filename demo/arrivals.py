"""Mail that arrives while somebody looks: the scripts under `arrivals/`, one every few minutes, each once.

How far they have come is kept (`FirstStart.arrived`), so a restart goes on where it stopped. When all have arrived it
is quiet.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email import message_from_bytes

from demo.compose import compose
from demo.generate import FirstStart, all_letters
from demo.letters import Letter, placements, write_arrival
from demo.mailstore import MailStore
from demo.scripts import Line, Thread, cast, threads
from demo.users import DemoUser

FIRST_SECONDS = 40.0
ANSWER_SECONDS = 20.0
ANSWERS = {
    "pt": "Obrigado pela mensagem! Já recebi tudo e respondo com calma até amanhã.",
    "de": "Vielen Dank, angekommen! Ich melde mich bis morgen Mittag mit einer Antwort.",
    "pl": "Dziękuję, dotarło. Odpowiem najpóźniej jutro.",
    "fr": "Bien reçu, merci ! Je vous réponds demain au plus tard.",
    "uk": "Дякую, отримала! Відповім до завтра.",
    "ja": "ご連絡ありがとうございます。確かに拝受いたしました。明日までにお返事いたします。",
    "ar": "شكراً على رسالتكم، وصلت. سأرد عليكم غداً إن شاء الله.",
    "no": "Takk, den har kommet frem! Du hører fra meg i morgen.",
    "en": "Thank you, this has arrived safely. I will come back to you by tomorrow.",
}


class Arrivals:
    """Brings mail into the mailboxes, by the clock and in answer to what demo users send."""

    def __init__(self, store: MailStore, begun: FirstStart, every: float) -> None:
        self._store = store
        self._begun = begun
        self._every = every
        self._answered: set[tuple[str, str]] = set()
        self._answers: set[asyncio.Task[None]] = set()
        self._by_address = {person.address: person for person in cast().values()}

    async def run(self) -> None:
        """Until all have arrived, or cancelled. The first comes soon, then one every `every` seconds."""
        pool = threads("arrivals")
        earlier = await asyncio.to_thread(all_letters, self._begun.started_at)
        await asyncio.sleep(min(FIRST_SECONDS, self._every))
        while self._begun.arrived < len(pool):
            thread = pool[self._begun.arrived]
            now = datetime.now(UTC).replace(microsecond=0)
            for letter in write_arrival(thread, self._begun.started_at, now, earlier):
                await self._put(letter)
            self._begun.arrived += 1
            self._begun.save()
            await asyncio.sleep(self._every)

    async def _put(self, letter: Letter) -> None:
        for place in placements(letter, (), self._begun.started_at):
            await self._store.deliver(place.user, place.folder, compose(letter), when=letter.sent_at, flags=place.flags)

    async def hear(self, sender: DemoUser, recipient: str, raw: bytes) -> None:
        """People of the cast answer a demo user's mail after a while, once per subject; machines do not."""
        person = self._by_address.get(recipient)
        message = message_from_bytes(raw)
        subject = " ".join(str(message.get("Subject", "")).split())
        if person is None or not person.first_name or (recipient, subject) in self._answered:
            return
        if str(message.get("Auto-Submitted", "no")).lower() != "no":
            return
        self._answered.add((recipient, subject))
        task = asyncio.create_task(self._answer(sender, recipient, str(message.get("Message-ID", "")).strip(), subject))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _answer(self, sender: DemoUser, recipient: str, message_id: str, subject: str) -> None:
        await asyncio.sleep(min(ANSWER_SECONDS, self._every))
        person, now = self._by_address[recipient], datetime.now(UTC).replace(microsecond=0)
        line = Line("", person.key, (sender.key,), ANSWERS.get(person.language, ANSWERS["en"]))
        bare = subject.removeprefix("Re: ")
        thread = Thread(f"answer {recipient} {message_id} {now}", f"Re: {bare}", (line,))
        for letter in write_arrival(thread, self._begun.started_at, now, ()):
            await self._put(_answering(letter, message_id))


def _answering(letter: Letter, message_id: str) -> Letter:
    return letter if not message_id else letter.with_references((message_id,))
