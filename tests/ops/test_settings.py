"""Wrong settings are named with their mend, and no process starts with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "DATABASE_URL": "postgres://crm_mail@127.0.0.1:1/crm_mail",
    "SECRET_KEY": "s" * 50,
    "CREDENTIAL_KEYS": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "BASE_URL": "https://crm.example.org",
}


def start(module: str, tmp_path: Path, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Imports an entry point in a process of its own, with the settings of a production."""
    given = {**GOOD, **changes}
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    environment |= {name: value for name, value in given.items() if value is not None}
    command = [sys.executable, "-c", f"import {module}"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_web_process_starts_with_whole_settings(tmp_path: Path) -> None:
    done = start("crm_mail.asgi", tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "number", "word"),
    [
        ({"SECRET_KEY": None}, "E001", "SECRET_KEY"),
        ({"SECRET_KEY": None, "SECRET_KEY_FILE": "/nowhere/secret"}, "E002", "SECRET_KEY_FILE"),
        ({"DATABASE_URL": None, "DATABASE_URL_FILE": "/nowhere/url"}, "E002", "DATABASE_URL_FILE"),
        ({"MAIL_POLL_SECONDS": "soon"}, "E003", "MAIL_POLL_SECONDS"),
        ({"CREDENTIAL_KEYS": None}, "E005", "make_key"),
        ({"SECRET_KEY": "short"}, "E006", "SECRET_KEY"),
        ({"CREDENTIAL_KEYS": "c2hvcnQ="}, "E007", "5 bytes instead of 32"),
        ({"BASE_URL": "crm.example.org"}, "E010", "BASE_URL"),
        ({"BASE_URL": "https://[crm"}, "E010", "BASE_URL"),
        ({"PRIVATE_NETWORKS": "10.0.0.0/8,10.0.0.300"}, "E011", "10.0.0.300"),
        ({"TRUSTED_PROXIES": "proxy"}, "E012", "proxy"),
        ({"METRICS_TOKEN": "short"}, "E013", "METRICS_TOKEN"),
        ({"DATABASE_URL": "nonsense://user:hunter2-secret@host/x"}, "E020", "DATABASE_URL"),
        ({"REDIS_URL": "localhost"}, "E021", "REDIS_URL"),
        ({"EMAIL_URL": "carrier-pigeon://x"}, "E030", "EMAIL_URL"),
    ],
)
def test_a_wrong_setting_stops_the_web_process_and_says_the_mend(
    changes: dict[str, str | None], number: str, word: str, tmp_path: Path
) -> None:
    done = start("crm_mail.asgi", tmp_path, **changes)
    assert done.returncode == 78, done.stderr
    assert f"crm_mail.{number}: " in done.stderr
    assert word in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_worker_refuses_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "celery", "-A", "crm_mail", "worker", "-P", "threads"]
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **GOOD, "CREDENTIAL_KEYS": "x"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 78
    assert "crm_mail.E007" in done.stderr


def test_the_embedded_life_makes_its_keys_once_for_its_owner_only(tmp_path: Path) -> None:
    code = "from crm_mail import settings as s; print(s.SECRET_KEY, *s.CREDENTIAL_KEYS)"
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data")}
    made = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert all(made[0].split())
    for name in ("secret_key", "credential_key"):
        assert (tmp_path / "data" / "keys" / name).stat().st_mode & 0o777 == 0o600


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 50 + "\n")
    done = start("crm_mail.asgi", tmp_path, SECRET_KEY=None, SECRET_KEY_FILE=str(tmp_path / "key"))
    assert done.returncode == 0, done.stderr
