"""What every test stands on: settings of the test run, recorded tasks, clean caches.

SQLite in a file by default (threads and worker processes see it); PostgreSQL with TEST_DATABASE=postgres.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests import environment  # noqa: E402

environment.prepare()

import django  # noqa: E402
from celery.app.task import Task  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.cache import cache  # noqa: E402

settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
settings.SERVESTATIC_AUTOREFRESH = settings.SERVESTATIC_USE_FINDERS = True
settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
settings.CELERY_BROKER_URL = "memory://"
if settings.IS_EMBEDDED:
    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(settings.DATA_DIR / "test.sqlite3")

django.setup()  # conftests of the rooms import models

if environment.IS_POSTGRES:
    from django.db.backends.postgresql.operations import DatabaseOperations  # noqa: E402, PLC0415, RUF100

    _flush = DatabaseOperations.sql_flush

    def _cascading(
        self: Any, style: Any, tables: Any, *, reset_sequences: bool = False, allow_cascade: bool = False
    ) -> Any:
        """The search table refers to messages and is no model: a flush between tests must reach it, too."""
        return _flush(self, style, tables, reset_sequences=reset_sequences, allow_cascade=True)

    DatabaseOperations.sql_flush = _cascading  # type: ignore[method-assign]

CORPUS = ROOT.parent / "shared" / "corpus"

pytest_plugins = [
    name
    for name in ("tests.servers.plugin", "tests.browser.plugin")
    if (ROOT / f"{name.replace('.', '/')}.py").is_file()
]


@dataclass
class Rung:
    """A task whose doorbell rang: its name and arguments, kept until `Doorbell.answer`."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    task: Any


@dataclass
class Doorbell:
    """Tasks are not run but recorded; `answer()` runs what was recorded, in order, tasks rung meanwhile too."""

    rung: list[Rung] = field(default_factory=list)
    max_runs: int = 1000

    def names(self) -> list[str]:
        """Names of the recorded tasks, in order."""
        return [each.name for each in self.rung]

    def answer(self) -> int:
        """Runs the recorded tasks in this thread; returns how many. An exception of a task is the test's."""
        count = 0
        while self.rung:
            each = self.rung.pop(0)
            each.task.run(*each.args, **each.kwargs)
            count += 1
            assert count < self.max_runs, f"tasks ring each other for ever: {each.name}"
        return count


@pytest.fixture(autouse=True)
def doorbell(monkeypatch: pytest.MonkeyPatch) -> Doorbell:
    """Celery's apply_async records instead of sending: no test talks to a broker by accident."""
    bell = Doorbell()

    def record(self: Any, args: Any = None, kwargs: Any = None, **options: Any) -> None:
        bell.rung.append(Rung(self.name, tuple(args or ()), dict(kwargs or {}), self))

    monkeypatch.setattr(Task, "apply_async", record)
    return bell


@pytest.fixture
def with_tasks(doorbell: Doorbell, django_capture_on_commit_callbacks: Any) -> Callable[[Callable[[], Any]], Any]:
    """`with_tasks(lambda: client.post(…))` does it, then the callbacks of commits and the tasks they ring.

    For tests in a transaction (plain django_db); with `transaction=True` call `doorbell.answer()` instead.
    """

    def run(act: Callable[[], Any]) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            result = act()
        while doorbell.rung:
            with django_capture_on_commit_callbacks(execute=True):
                doorbell.answer()
        return result

    return run


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    """Rate limits of one test must not meet the next."""
    cache.clear()
    yield


@pytest.fixture
def corpus() -> Path:
    """The folder of the mail corpora beside the project; skips where there is none."""
    if not CORPUS.is_dir():
        pytest.skip("the corpora are not here")
    return CORPUS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`long` tests run only when asked for with -m long (or by their own path); browser tests come last.

    The browser's event loop stays in its process, and Django's test client refuses to work beside a running loop.
    """
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    for item in items:
        if item.get_closest_marker("long") and "long" not in (item.config.option.markexpr or ""):
            item.add_marker(pytest.mark.skip(reason="long: run with -m long"))
        if item.get_closest_marker("postgres") and not environment.IS_POSTGRES:
            item.add_marker(pytest.mark.skip(reason="needs TEST_DATABASE=postgres"))
