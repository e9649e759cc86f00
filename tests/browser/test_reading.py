"""A person at the panel: keys, marks, one scroll bar, Back, news that arrive."""

from __future__ import annotations

from typing import Any

import pytest

from mail.models import Message, Thread
from mail.threads import refresh
from notifications.services import notify
from tests.factories import MessageFactory
from tests.panel.demo import believable

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


def test_keys_move_open_process_and_undo(open_page: Any) -> None:
    user, _account = believable()
    page = open_page(user)
    rows = page.locator("#rows a.row")
    first, second = rows.nth(0).get_attribute("id"), rows.nth(1).get_attribute("id")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == first
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.wait_for_selector("#letter[data-thread]")
    assert page.evaluate("document.querySelector('#rows [aria-current]').id") == second
    assert page.evaluate("document.activeElement.id") == second, "the focus stays on the row"
    assert f"/threads/{second.partition('-')[2]}/" in page.url
    thread = Thread.objects.get(pk=second.partition("-")[2])
    before = thread.open_count
    assert before > 0
    page.keyboard.press("e")
    page.wait_for_selector(".toast")
    thread.refresh_from_db()
    assert thread.open_count == 0
    page.keyboard.press("z")
    page.wait_for_selector("#thread-acts button:has-text('Mark as processed')")
    thread.refresh_from_db()
    assert thread.open_count == before
    page.keyboard.press("?")
    page.wait_for_selector("dialog#keys[open]")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"


def test_opening_marks_read_and_the_counts_follow(open_page: Any) -> None:
    user, _account = believable()
    page = open_page(user)
    assert page.title().startswith("(4)")
    row = page.locator("#rows a.row.is-unread").first
    thread_id = row.get_attribute("id").partition("-")[2]
    row.click()
    page.wait_for_selector(f"#open-{thread_id}:not(.is-unread)")
    assert page.locator("#rail-unread [data-count]").text_content() == "3"
    assert Thread.objects.get(pk=thread_id).unread_count == 0


@pytest.mark.parametrize("width", [1440, 390])
def test_a_letter_has_one_scroll_bar_and_its_whole_height(open_page: Any, width: int) -> None:
    user, _account = believable()
    thread = Thread.objects.order_by("-message_count")[0]
    page = open_page(user, f"/threads/{thread.pk}/", width=width)
    frame = page.locator("iframe.body-frame[data-fitted]").last
    frame.wait_for()
    page.wait_for_timeout(500)
    root = "one.contentDocument.documentElement"
    inside = f"(one) => [{root}.scrollHeight, one.clientHeight, {root}.scrollWidth, one.clientWidth]"
    tall, height, wide, room = frame.evaluate(inside)
    assert tall <= height and wide <= room
    before = height
    frame.content_frame.locator("summary").click()
    page.wait_for_timeout(500)
    tall, height, _wide, _room = frame.evaluate(inside)
    assert height > before and tall <= height, "it grows with the unfolded quotation"
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_one_pane_at_a_time_with_a_real_back(open_page: Any) -> None:
    user, _account = believable()
    page = open_page(user, width=390, height=844)
    assert not page.locator("#letter").is_visible()
    page.locator("#rows a.row").first.click()
    page.wait_for_selector("#letter[data-thread]")
    assert page.locator("#letter").is_visible() and not page.locator("section.list").is_visible()
    page.go_back()
    page.wait_for_selector("section.list", state="visible")
    assert not page.locator("#letter").is_visible()
    page.locator("#rows a.row").first.click()
    page.wait_for_selector("#back", state="visible")
    page.locator("#back").click()
    page.wait_for_selector("section.list", state="visible")


def test_news_arrive_in_every_tab_by_one_poll(open_page: Any) -> None:
    user, account = believable()
    page = open_page(user)
    other = page.context.new_page()
    polls: list[str] = []
    page.context.on("request", lambda request: polls.append(request.url) if "/news/" in request.url else None)
    other.goto("/notifications/")
    page.bring_to_front()
    page.wait_for_timeout(3500)
    page.locator("#rows a.row").nth(2).focus()
    focused = page.evaluate("document.activeElement.id")
    message = MessageFactory(email_account=account, subject="Fresh from the server")
    refresh([message.thread_id])
    page.wait_for_selector(f"#row-{message.thread_id}", timeout=15_000)
    assert page.evaluate("document.activeElement.id") == focused, "the focus stays where it was"
    assert page.title().startswith("(5)")
    other.wait_for_selector("#rail-unread [data-count]:text-is('5')", timeout=15_000)
    notify(user=user, kind="sign_in_again", key="x", email_account=account)
    page.wait_for_selector("#rail-notices [data-count]:text-is('2')", timeout=15_000)
    began = len(polls)
    page.wait_for_timeout(6500)
    assert len(polls) - began <= 3, "two tabs, one poll"


def test_more_rows_come_when_the_end_is_seen(open_page: Any) -> None:
    user, account = believable()
    for number in range(70):
        MessageFactory(email_account=account, subject=f"Row {number}", is_read=True)
    page = open_page(user)
    page.wait_for_selector("#first-rows")
    assert page.locator("#rows li").count() == 50
    page.locator("#rows").evaluate("(one) => one.scrollTo(0, one.scrollHeight)")
    page.wait_for_selector(".page-more")
    assert page.locator("#rows li").count() == Thread.objects.count()


def test_what_is_processed_leaves_the_list_of_what_is_not(open_page: Any) -> None:
    user, _account = believable()
    page = open_page(user, "/?view=open")
    first, second = (page.locator("#rows li").nth(number).get_attribute("id") for number in (0, 1))
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.wait_for_selector(f"#{first}", state="detached")
    assert page.evaluate("document.activeElement.closest('li').id") == second
    assert (
        Message.objects.filter(thread_id=first.partition("-")[2], processed_at__isnull=True, is_outgoing=False).count()
        == 0
    )
