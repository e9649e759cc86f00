"""The compose file and the Dockerfile, as far as they can be checked without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from crm_mail.settings import CELERY_TASK_DEFAULT_QUEUE, CELERY_TASK_ROUTES

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OWN = ("migrate", "web", "worker", "tick", "listener")
COMMANDS = {path.stem for path in ROOT.glob("*/management/commands/*.py")}


def test_there_is_a_service_for_each_kind_of_process() -> None:
    assert set(SERVICES) == {*OWN, "postgres", "redis"}
    queues = {CELERY_TASK_DEFAULT_QUEUE, *(route["queue"] for route in CELERY_TASK_ROUTES.values())}
    command = SERVICES["worker"]["command"]
    assert set(command[command.index("-Q") + 1].split(",")) == queues


def test_every_command_exists() -> None:
    commands = [service["command"] for name, service in SERVICES.items() if name in OWN and "command" in service]
    commands.append(SERVICES["tick"]["healthcheck"]["test"][1:])
    for command in commands:
        assert command[0] in ("python", "celery", "uvicorn")
        if command[:2] == ["python", "manage.py"]:
            assert command[2] in COMMANDS


def test_nothing_starts_before_its_database_is_migrated() -> None:
    for name in ("web", "worker", "tick"):
        assert SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert SERVICES["migrate"]["restart"] == "no"


def test_secrets_come_from_files_and_never_stand_in_the_compose_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("DATABASE_URL", "SECRET_KEY", "CREDENTIAL_KEYS", "POSTGRES_PASSWORD"):
        assert f"{name}_FILE: /run/secrets/" in text
        assert not re.search(rf"^\s+{name}:", text, re.M)
    for name in OWN:
        assert set(SERVICES[name]["secrets"]) <= set(COMPOSE["secrets"])


def test_the_services_have_no_more_rights_than_they_need() -> None:
    for name in OWN:
        assert SERVICES[name]["read_only"] and SERVICES[name]["cap_drop"] == ["ALL"]
    assert "ports" not in SERVICES["postgres"] and "ports" not in SERVICES["redis"]
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert SERVICES["web"]["ports"] == ["${LISTEN:-127.0.0.1:8000}:8000"]


def test_what_is_stored_and_what_listens_has_a_health_check() -> None:
    assert all("healthcheck" in SERVICES[name] for name in ("postgres", "redis", "tick"))
    assert "HEALTHCHECK" in DOCKERFILE and "/healthz" in DOCKERFILE


def test_the_image_runs_as_a_user_without_rights_from_locked_packages() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.M)
    assert users == ["crm"]
    assert DOCKERFILE.index("USER crm") < DOCKERFILE.index("\nCMD")
    assert DOCKERFILE.count("--require-hashes") == 2
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.M) == ["python:3.11-slim-bookworm"] * 2
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", ".env", "secrets", "data"} <= set(ignored)


def test_compose_itself_accepts_the_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not here")
    done = subprocess.run(
        [docker, "compose", "config", "--quiet"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "BASE_URL": "https://crm.example.org", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
