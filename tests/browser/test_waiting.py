"""What a person sees while something is slow or arrives: the shape of a letter, a line about new mail, eight tabs, paper."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mail.models import Thread
from mail.threads import refresh
from tests.factories import MessageFactory
from tests.panel.demo import believable

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
TABS = 8
ANSWER = 15_000  # milliseconds: a click that waits for another tab's connection gets no answer at all
# The handlers of routes hold the test up while they sleep, so the page itself notes that it showed the shape.
WATCH = """() => { new MutationObserver(() => { if (document.querySelector('.letter-shape')) document.body.dataset.shaped = "" })
    .observe(document.body, {subtree: true, childList: true}) }"""


def test_a_slow_letter_shows_its_shape_and_a_quick_one_does_not(open_page: Any) -> None:
    user, _account = believable()
    page = open_page(user)
    page.evaluate(WATCH)
    page.route("**/threads/*/", lambda route: (time.sleep(0.9), route.continue_()))
    page.locator("#rows a.row").nth(1).click()
    page.wait_for_selector("#letter[data-thread]:not([aria-busy])")
    assert page.locator(".letter-shape").count() == 0 and page.locator("body[data-shaped]").count() == 1


def test_a_letter_that_never_comes_gives_back_what_was_there(open_page: Any) -> None:
    user, _account = believable()
    page = open_page(user)
    page.locator("#rows a.row").nth(1).click()
    page.wait_for_selector("#letter[data-thread]")
    before = page.locator("#letter").get_attribute("data-thread")
    page.evaluate(WATCH)
    page.route("**/threads/*/", lambda route: (time.sleep(0.9), route.abort()))
    page.locator("#rows a.row").nth(2).click()
    page.wait_for_selector("body[data-shaped]")
    page.wait_for_selector("#letter:not([aria-busy])")
    assert page.locator(".letter-shape").count() == 0
    assert page.locator("#letter").get_attribute("data-thread") == before


def test_mail_that_arrives_in_the_open_thread_is_said_and_shown_when_asked_for(open_page: Any) -> None:
    user, account = believable()
    thread = Thread.objects.order_by("-message_count")[0]
    page = open_page(user, f"/threads/{thread.pk}/")
    page.wait_for_timeout(3500)
    message = MessageFactory(
        email_account=account, thread=thread, from_name="Piet Vandenbroucke", text="The crates are here."
    )
    refresh([thread.pk])
    page.wait_for_selector("#arrived a:text-is('1 new message')", timeout=15_000)
    page.locator("#arrived a").click()
    page.wait_for_selector(f"#message-{message.pk}")
    assert not page.locator("#arrived a").is_visible()


def test_eight_tabs_share_one_poll_and_every_click_answers(open_page: Any) -> None:
    user, _account = believable()
    page = open_page(user)
    tabs = [page, *(page.context.new_page() for _ in range(TABS - 1))]
    polls: list[str] = []
    page.context.on("request", lambda request: polls.append(request.url) if "/news/" in request.url else None)
    for tab in tabs[1:]:
        tab.goto("/")
    for number, tab in enumerate(tabs):
        tab.bring_to_front()
        tab.locator("#rows a.row").nth(number % 5).click(timeout=ANSWER)
        tab.wait_for_selector("#letter[data-thread]", timeout=ANSWER)
    seen = len(polls)
    page.wait_for_timeout(7000)
    assert 1 <= len(polls) - seen <= 3, "eight tabs, one poll"


def test_a_printed_thread_is_the_letter_alone(open_page: Any) -> None:
    user, _account = believable()
    thread = Thread.objects.order_by("-message_count")[0]
    page = open_page(user, f"/threads/{thread.pk}/")
    page.wait_for_selector("iframe.body-frame[data-fitted]")
    page.emulate_media(media="print")
    for gone in (".rail", "section.list", ".letter-bar", "#about", "#arrived", "a.skip"):
        assert not page.locator(gone).first.is_visible(), gone
    assert page.locator("#subject").is_visible() and page.locator("iframe.body-frame").last.is_visible()
    left, wide = page.evaluate(
        "(() => { const r = document.getElementById('letter').getBoundingClientRect(); return [r.left, r.width] })()"
    )
    assert left < 2 and wide > 1300, "the letter takes the width of the paper"
