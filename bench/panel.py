"""`script/bench panel`: server time and queries of the pages that people open most, on PostgreSQL."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from bench.instance import Instance
from bench.panel_rows import ACCOUNTS, fill
from bench.table import median, share, table

TIMES = 15
OPTIONAL = 2  # queries for parts that one page has and another has not; more would grow with what is shown


def run(count: int) -> bool:
    """Prints the tables; False when a page's number of queries depends on what it shows."""
    with Instance() as instance:
        began = time.monotonic()
        fill(instance, count)
        print(f"{count:,} messages in {ACCOUNTS} mailboxes: rows in {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
        instance.manage("collectstatic", "--noinput", "--verbosity", "0")
        instance.enter_django()
        importlib.import_module("django").setup()
        began = time.monotonic()
        search: Any = importlib.import_module("mail.search")
        while search.index_pending(5000):
            pass
        instance.server.execute("VACUUM ANALYZE", database="crm_mail")
        print(f"search index in {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
        return _measure(instance)


def _measure(instance: Instance) -> bool:
    rows, is_constant = [], True
    for who, login in (("sees all mailboxes", "all"), ("sees one of them", "one")):
        client = _client(login)
        for name, paths in _pages(instance, login).items():
            spent, queries = _page(client, paths)
            is_constant &= max(queries) - min(queries) <= OPTIONAL
            said = str(queries[0]) if len(set(queries)) == 1 else f"{min(queries)}–{max(queries)}"
            rows.append((f"{name}, {who}", median(spent) * 1000, share(spent, 0.95) * 1000, said))
    print(table("Server time of a page", ("", "median ms", "p95 ms", "queries"), rows))  # noqa: T201
    print("\nQueries are constant." if is_constant else "\nQUERIES DEPEND ON WHAT IS SHOWN.")  # noqa: T201
    return is_constant


def _client(login: str) -> Any:
    client = importlib.import_module("django.test").Client()
    users = importlib.import_module("accounts.models").User.objects
    client.force_login(users.get(username=login), backend="django.contrib.auth.backends.ModelBackend")
    return client


def _pages(instance: Instance, login: str) -> dict[str, list[str]]:
    mine = "" if login == "all" else "AND email_account_id = (SELECT min(id) FROM accounts_emailaccount)"
    threads = f"SELECT id FROM mail_thread WHERE message_count = %d {mine} ORDER BY id LIMIT 3"
    short = [f"/threads/{row[0]}/" for row in instance.rows(threads % 1)]
    long = [f"/threads/{row[0]}/" for row in instance.rows(threads % 4)]
    contact = instance.rows("SELECT min(id) FROM contacts_contact")[0][0]
    return {
        "list": ["/"],
        "list, unread": ["/?view=unread"],
        "thread": [*short, *long],
        "contact": [f"/contacts/{contact}/"],
        "search, a word in 30 %": ["/search/?q=common"],
        "search, a rare word": ["/search/?q=rare17"],
        "search, a word in none": ["/search/?q=absentword"],
    }


def _page(client: Any, paths: list[str]) -> tuple[list[float], list[int]]:
    """Seconds of each request and numbers of queries, after one to warm up."""
    spent, queries = [], []
    capture: Callable[[Any], Any] = importlib.import_module("django.test.utils").CaptureQueriesContext
    connection = importlib.import_module("django.db").connection
    for path in paths:
        client.get(path)
        with capture(connection) as seen:
            answer = client.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        queries.append(len(seen))
        for _ in range(TIMES):
            began = time.monotonic()
            client.get(path)
            spent.append(time.monotonic() - began)
    return spent, queries
