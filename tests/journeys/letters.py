"""Generated mail for journeys: believable sizes and shapes, replayable by seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

WORDS = (
    "lantern",
    "delivery",
    "façade",
    "quote",
    "invoice",
    "sample",
    "patina",
    "bracket",
    "meeting",
    "order",
    "drawing",
)


def letters(count: int, *, seed: int, paragraph: int = 12) -> Iterator[bytes]:
    """`count` messages: plain, HTML with text, with an attachment; a third answers an earlier one."""
    dice = random.Random(seed)
    for number in range(count):
        body = " ".join(dice.choice(WORDS) for _ in range(paragraph * dice.randint(1, 12)))
        lines = [
            f"From: Person {number % 97} <person{number % 97}@firm{number % 31}.example>",
            "To: Anna <anna@example.com>",
            f"Subject: {dice.choice(WORDS)} {number}",
            f"Message-ID: <{seed}.{number}@firm.example>",
            "Date: Mon, 23 Nov 2026 10:00:00 +0000",
            "MIME-Version: 1.0",
        ]
        if number % 3 == 2:
            lines.append(f"In-Reply-To: <{seed}.{number - 1}@firm.example>")
        yield "\r\n".join([*lines, *_body(body, number)]).encode()


def _body(body: str, number: int) -> list[str]:
    if number % 5 == 0:
        return [
            'Content-Type: multipart/mixed; boundary="b"', "", "--b", "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit", "", body, "--b", 'Content-Type: application/pdf; name="offer.pdf"',
            'Content-Disposition: attachment; filename="offer.pdf"', "Content-Transfer-Encoding: base64", "",
            "JVBERi0xLjQKJcOkw7zDtsOfCg==", "--b--", "",
        ]  # fmt: skip
    if number % 5 == 1:
        return [
            'Content-Type: multipart/alternative; boundary="a"', "", "--a", "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit", "", body, "--a", "Content-Type: text/html; charset=utf-8",
            "Content-Transfer-Encoding: 8bit", "", f"<p>{body}</p>", "--a--", "",
        ]  # fmt: skip
    return ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", body, ""]
