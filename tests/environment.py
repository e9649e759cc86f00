"""The environment of a test run, set before the settings are read: a data folder, keys, the database.

Invariant: nothing of the caller's environment reaches the tests (no real database, keys or mail server).
One folder and at most one PostgreSQL per run; pytest-xdist's workers share the server and have a database each.
"""

from __future__ import annotations

import atexit
import base64
import os
import shutil
import tempfile
from pathlib import Path

from tests.servers.postgres import PostgresServer

IS_POSTGRES = os.environ.get("TEST_DATABASE") == "postgres"

OWN = [
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "CREDENTIAL_KEYS",
    "DATA_DIR",
    "BASE_URL",
    "ALLOWED_HOSTS",
    "TRUSTED_PROXIES",
    "EMAIL_URL",
    "DEFAULT_FROM_EMAIL",
    "PRIVATE_NETWORKS",
    "METRICS_TOKEN",
    "LOG_LEVEL",
]


def prepare() -> None:
    """Sets the environment; the first process of a run also makes what the others share."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    if worker == "main":
        _begin_run()
    run = Path(os.environ["CRM_MAIL_TEST_RUN"])
    os.environ["DATA_DIR"] = str(run / worker)
    os.environ["DJANGO_SETTINGS_MODULE"] = "crm_mail.settings"


def _begin_run() -> None:
    for name in OWN:
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    run = tempfile.mkdtemp(prefix="crm-test-")
    owner = os.getpid()

    def forget() -> None:
        if os.getpid() == owner:  # not in a forked child
            shutil.rmtree(run, ignore_errors=True)

    atexit.register(forget)
    os.environ["CRM_MAIL_TEST_RUN"] = run
    os.environ["SECRET_KEY"] = "only-for-tests-" + "s" * 40
    os.environ["CREDENTIAL_KEYS"] = base64.urlsafe_b64encode(b"k" * 32).decode()
    os.environ["BASE_URL"] = "http://testserver"
    os.environ["ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"
    os.environ["PRIVATE_NETWORKS"] = "127.0.0.0/8"
    os.environ["EMAIL_URL"] = "memory:"
    if IS_POSTGRES:
        server = PostgresServer().start()
        atexit.register(server.stop)
        os.environ["DATABASE_URL"] = server.url()
