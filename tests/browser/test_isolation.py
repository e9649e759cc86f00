"""Mail cannot run scripts here or make the browser ask anybody anything before Show: with the sanitiser and without it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from mail.models import Message, MessageContent
from mail.sanitize import SanitizedHtml
from panel import body_page
from panel.letters import remote_token
from tests.browser.payloads import OWN, payloads
from tests.browser.plugin import ARGUMENTS, CHROMIUM
from tests.factories import MessageFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

BATCH = 40
OPEN = """([urls, sandbox]) => Promise.all(urls.map((url) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", sandbox);
  frame.className = "body-frame tested";
  frame.width = frame.height = 300;
  frame.addEventListener("load", () => done(), { once: true });
  setTimeout(done, 1500);
  frame.src = url;
  document.body.append(frame);
})))"""
CLICK = """() => { for (const frame of document.querySelectorAll("iframe.tested")) {
  const found = [...(frame.contentDocument?.querySelectorAll("a, area, button, summary, input, [onclick], [onfocus]") ?? [])];
  const daring = found.filter((one) => {
    const link = [...one.attributes].filter((a) => /href$/i.test(a.name)).map((a) => a.value.replace(/[\\x00-\\x20]/g, "")).join();
    return !link || /^(javascript|data|vbscript|blob):/i.test(link);
  });
  for (const one of daring.slice(0, 60)) { try { one.focus?.(); one.click?.(); } catch {} }
} }"""


class Sink:
    """Stands in for every host of the world and keeps who was called, but for what the browser itself asks its maker."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.settimeout(1)
            try:
                self.heard.append(connection.recv(4096))
            except OSError:
                self.heard.append(b"")
            connection.close()

    @property
    def calls(self) -> list[bytes]:
        """The first bytes of each connection: a request, or the TLS greeting with the name of the host."""
        return [one for one in self.heard if b"google" not in one and b"gvt1" not in one]


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.socket.close()


@pytest.fixture
def walled(sink: Sink, chromium: Any) -> Iterator[Any]:
    """A browser for which every other host is the sink."""
    rules = f"MAP * 127.0.0.1:{sink.port}, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    browser = chromium.browser_type.launch(
        executable_path=str(CHROMIUM), args=[*ARGUMENTS, f"--host-resolver-rules={rules}"]
    )
    yield browser
    browser.close()


@pytest.fixture
def watched(walled: Any, live_server: Any) -> Any:
    """`watched(user)`: a page of the panel and the list of what ran in it."""

    def open_one(user: Any) -> tuple[Any, list[str]]:
        ran: list[str] = []
        client = Client()
        client.force_login(user)
        context = walled.new_context(base_url=live_server.url)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}])
        page = context.new_page()
        page.on("console", lambda line: ran.append(line.text) if "Ignored call to" in line.text else None)
        page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
        context.on("page", lambda other: other.on("dialog", lambda dialog: (ran.append("popup"), dialog.dismiss())))
        page.expose_function("ran", lambda *what: ran.append(str(what)))
        page.goto("/keys/")
        return page, ran

    return open_one


def _bodies(user: Any, bodies: list[str]) -> list[int]:
    first = MessageFactory(email_account__owner=user, is_read=True)
    ids = []
    for body in bodies:
        row = Message.objects.create(
            email_account=first.email_account, thread=first.thread, received_at=first.received_at, is_read=True
        )
        MessageContent.objects.create(message=row, html=body.replace("\x00", ""))
        ids.append(row.pk)
    return ids


def _get(page: Any, path: str) -> Any:
    """A plain request with the page's session (Django's test client cannot run beside Playwright's loop)."""
    return page.context.request.get(page.url.partition("/keys/")[0] + path)


def _run(watched: Any, bodies: list[str]) -> list[str]:
    user = UserFactory()
    ids = _bodies(
        user, [body.replace("alert(", "top.ran(") if number % 2 else body for number, body in enumerate(bodies)]
    )
    page, ran = watched(user)
    sandbox = _get(page, f"/messages/{ids[0]}/").text().partition('sandbox="')[2].partition('"')[0]
    assert "allow-popups" in sandbox and "allow-scripts" not in sandbox
    for start in range(0, len(ids), BATCH):
        urls = [f"/messages/{one}/body/" for one in ids[start : start + BATCH]]
        page.evaluate(OPEN, [urls, sandbox])
        page.evaluate(CLICK)
        page.wait_for_timeout(150)
        assert page.url.endswith("/keys/"), "a body navigated the page"
        page.evaluate("document.querySelectorAll('iframe.tested').forEach((one) => one.remove())")
    page.wait_for_timeout(500)
    page.context.close()
    return ran


def _without_sanitiser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_page, "sanitize_html", lambda html, **_: SanitizedHtml(html))
    monkeypatch.setattr(body_page, "split_quote_html", lambda html: type("Whole", (), {"visible": html, "quoted": ""}))


def test_no_payload_runs_a_script_or_asks_anybody(watched: Any, sink: Sink, corpus: Path) -> None:
    assert _run(watched, payloads(corpus)) == []
    assert sink.calls == []


def test_frame_and_policy_hold_alone_without_the_sanitiser(
    watched: Any, sink: Sink, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_sanitiser(monkeypatch)
    assert _run(watched, payloads(corpus)) == []


def test_our_own_payloads_ask_nobody_even_without_the_sanitiser(
    watched: Any, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_sanitiser(monkeypatch)
    hinting = ("preconnect", "dns-prefetch")  # hints are no fetches: no policy stops them, so the sanitiser must
    assert _run(watched, [one for one in OWN if not any(word in one for word in hinting)]) == []
    assert sink.calls == []


def test_the_watch_sees_a_script_where_one_runs(watched: Any, sink: Sink) -> None:
    page, ran = watched(UserFactory())
    context = page.context
    context.route("**/open/", lambda route: route.fulfill(body=_UNGUARDED, content_type="text/html"))
    page.goto(page.url.replace("/keys/", "/open/"))
    page.wait_for_timeout(1500)
    assert any("Ignored" in one for one in ran)
    assert any("1" in one for one in ran)
    assert sink.calls


_UNGUARDED = """<img src="http://remote.example/a.png" onerror="ran(1)">
<iframe sandbox="allow-scripts" srcdoc="<script>alert(1)</script>"></iframe>"""


def test_a_body_opened_by_itself_is_sandboxed_and_nothing_leaves(watched: Any, sink: Sink) -> None:
    user = UserFactory()
    [one] = _bodies(user, ['<p>Hi</p><img src="http://remote.example/a.png">' + OWN[0]])
    page, ran = watched(user)
    policy = _get(page, f"/messages/{one}/body/").headers["content-security-policy"]
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "allow-same-origin" not in policy and "allow-scripts" not in policy
    page.goto(f"/messages/{one}/body/")
    page.wait_for_timeout(300)
    assert (ran, sink.calls) == ([], [])


def test_remote_pictures_are_asked_for_after_show_only(watched: Any, sink: Sink) -> None:
    user = UserFactory()
    [one] = _bodies(user, ['<p>Hi</p><img src="http://remote.example/a.png">'])
    thread = Message.objects.get(pk=one).thread_id
    page, _ran = watched(user)
    page.goto(f"/threads/{thread}/?message={one}")
    page.wait_for_timeout(700)
    assert sink.calls == []
    page.locator(f"#message-{one}").get_by_role("button", name="Show").click()
    page.wait_for_timeout(900)
    assert sink.calls


def test_a_show_is_bound_to_the_user_and_the_message(watched: Any) -> None:
    user = UserFactory()
    one, other = _bodies(user, ['<img src="http://remote.example/a.png">', '<img src="http://remote.example/b.png">'])
    page, _ran = watched(user)
    for token in (remote_token(user, other), remote_token(UserFactory(), one), "1", "x:y:z"):
        response = _get(page, f"/messages/{one}/body/?remote={token}")
        assert response.ok and "remote.example" not in response.text()
        assert "https:" not in response.headers["content-security-policy"]
