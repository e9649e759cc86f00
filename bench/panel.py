"""`script/bench panel`: server time and queries of the pages that people open most, on PostgreSQL.

Each page is asked for with forty different addresses, after some to warm up. Wall time is what a person waits for; on a
machine with other work, the fastest of the forty (least) and the processor time of this process say more.
"""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.instance import Instance
from bench.panel_rows import ACCOUNTS, fill
from bench.table import median, share, table

TIMES = 40  # requests of a page, each for another address
WARM = 4
OPTIONAL = 3  # queries for parts that one page has and another has not; more would grow with what is shown
SEARCHED = 12  # search asks the index for the newest mail first, then in up to four wider steps of three statements
PAGE_GOAL, SEARCH_GOAL = 50, 200  # ms
HTMX = {"HX-Request": "true"}
COLUMNS = ("", "least ms", "p50 ms", "p95 ms", "CPU ms", "database ms", "queries", "goal ms", "")


@dataclass(frozen=True, slots=True)
class Page:
    """Addresses of one kind of page, and how many milliseconds it may take."""

    name: str
    paths: list[str]
    goal: int = PAGE_GOAL
    optional: int = OPTIONAL
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Spent:
    """Seconds of each request, and numbers of queries."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)

    def row(self, name: str, goal: int) -> tuple[object, ...]:
        """What the table says of it."""
        few, many = min(self.queries), max(self.queries)
        kept = share(self.wall, 0.95) * 1000 <= goal
        times = (min(self.wall), median(self.wall), share(self.wall, 0.95), median(self.cpu), median(self.database))
        said = str(few) if few == many else f"{few}–{many}"
        return (name, *(one * 1000 for one in times), said, goal, "kept" if kept else "MISSED")


def run(count: int) -> bool:
    """Prints the tables; False when a page's number of queries depends on what it shows, or a goal is missed."""
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
        return measure(instance, count)


def measure(instance: Instance, count: int) -> bool:
    """The same on an installation that is filled and entered."""
    rows, is_constant, is_fast = [], True, True
    importlib.import_module("django.urls").get_resolver().url_patterns  # noqa: B018 - loads the views
    importlib.import_module("base.process").collect_seldom()  # as a web process does when it is set up
    for who, login in (("sees all mailboxes", "all"), ("sees one of them", "one")):
        client = _client(login)
        for page in _pages(instance, login, count):
            spent = _ask(client, page)
            is_constant &= max(spent.queries) - min(spent.queries) <= page.optional
            is_fast &= share(spent.wall, 0.95) * 1000 <= page.goal
            rows.append(spent.row(f"{page.name}, {who}", page.goal))
    print(table(f"Server time of a page at {count:,} messages", COLUMNS, rows))  # noqa: T201
    print("\nQueries are constant." if is_constant else "\nQUERIES DEPEND ON WHAT IS SHOWN.")  # noqa: T201
    print(
        "Every goal is kept." if is_fast else "A GOAL IS MISSED (p95; on a busy machine look at the least and at CPU)."
    )  # noqa: T201
    return is_constant and is_fast


def _client(login: str) -> Any:
    client = importlib.import_module("django.test").Client()
    users = importlib.import_module("accounts.models").User.objects
    client.force_login(users.get(username=login), backend="django.contrib.auth.backends.ModelBackend")
    return client


def _pages(instance: Instance, login: str, count: int) -> list[Page]:
    chance = random.Random(11)  # noqa: S311
    mine = "" if login == "all" else "AND email_account_id = (SELECT min(id) FROM accounts_emailaccount)"
    threads = instance.rows(
        "SELECT id, (extract(epoch FROM last_received_at) * 1000000)::bigint, message_count FROM mail_thread"  # noqa: S608
        f" WHERE message_count > 0 {mine} ORDER BY id"
    )
    chosen = [chance.choice(threads[len(threads) // 10 :]) for _ in range(TIMES)]  # with a page of older ones below
    after = [f"after={at}.{pk}" for pk, at, _count in chosen]
    contacts = [f"/contacts/{row[0]}/" for row in instance.rows(f"SELECT id FROM contacts_contact LIMIT {TIMES}")]  # noqa: S608
    opened = [f"/threads/{pk}/" for pk, _at, _count in chosen]
    return [
        Page("list", ["/", *(f"/?{one}" for one in after[1:])]),
        Page("list, unread", ["/?view=unread", *(f"/?view=unread&{one}" for one in after[1:])]),
        Page("list, more rows", [f"/?{one}" for one in after], headers=HTMX),
        Page("thread and list", opened),
        Page("thread from the list", opened, headers=HTMX),
        Page("contact", contacts),
        Page(
            "search, a word in 30 %",
            ["/search/?q=common", *(f"/search/?q=common&{one}" for one in after[1:])],
            SEARCH_GOAL,
            SEARCHED,
        ),
        Page("search, a word in all", [f"/search/?q=lamp&{one}" for one in after], SEARCH_GOAL, SEARCHED),
        Page("search, a rare word", [f"/search/?q={977 - number}" for number in range(TIMES)], SEARCH_GOAL, SEARCHED),
        Page("search, a word in 1 of 5,000", ["/search/?q=rare17"] * TIMES, SEARCH_GOAL, SEARCHED),
        Page(
            "search, a word in none",
            [f"/search/?q=absentword{number}" for number in range(TIMES)],
            SEARCH_GOAL,
            SEARCHED,
        ),
    ]


def _ask(client: Any, page: Page) -> Spent:
    spent = Spent()
    for path in page.paths[-WARM:]:
        client.get(path, headers=page.headers)
    for path in page.paths:
        with _database() as queries:
            began, worked = time.monotonic(), time.process_time()
            answer = client.get(path, headers=page.headers)
            spent.wall.append(time.monotonic() - began)
            spent.cpu.append(time.process_time() - worked)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        spent.database.append(sum(queries))
        spent.queries.append(len(queries))
    return spent


@contextmanager
def _database() -> Iterator[list[float]]:
    """The seconds of each query while it is open."""
    seconds: list[float] = []

    def timed(execute: Any, *given: Any) -> Any:
        began = time.monotonic()
        try:
            return execute(*given)
        finally:
            seconds.append(time.monotonic() - began)

    connection: Any = importlib.import_module("django.db").connection
    with connection.execute_wrapper(timed):
        yield seconds
