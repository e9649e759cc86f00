"""Logs: one line an event on standard error, JSON in production, readable lines in the embedded life.

Invariant: what looks like a secret never gets into a line: values under a secret's name, and credentials inside text
(an AUTH or LOGIN command with its base64, a bearer token, a password in a URL).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

HIDDEN = "[hidden]"
MAX_TEXT = 20_000  # characters of one value that are kept
SECRET_NAME = re.compile(
    r"passw|secret|token|credential|authori[sz]ation|cookie|ciphertext|api_?key|private_?key|recovery_?code|otp", re.I
)
SECRET_TEXT = (
    # IMAP and SMTP sign-ins: everything after the mechanism or the user name
    re.compile(r"(?i)\b(AUTH(?:ENTICATE)?\s+(?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2|OAUTHBEARER)\s+)\S+"),
    re.compile(r'(?i)(\bLOGIN\s+(?:"(?:[^"\\]|\\.)*"|\S+)\s+)(?:"(?:[^"\\]|\\.)*"|\S+)'),
    re.compile(r"(?i)\b((?:Bearer|Basic)\s+)[A-Za-z0-9+/=._~-]{8,}"),
    re.compile(r"(?i)([?&](?:code|token|access_token|refresh_token|password|key|s)=)[^&\s\"']+"),
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^:/\s@]*:)[^@/\s]+(?=@)"),
    re.compile(r"(?i)(\b(?:password|passwd|secret|token)['\"]?\s*[=:]\s*['\"]?)[^'\"\s,;}]+"),
)


def hide_in_text(text: str) -> str:
    """`text` without credentials, cut to MAX_TEXT characters."""
    text = text[:MAX_TEXT]
    for pattern in SECRET_TEXT:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def _hide(value: Any, depth: int = 0) -> Any:
    if depth > 4:
        return "…"
    if isinstance(value, str):
        return hide_in_text(value)
    if isinstance(value, bytes):
        return hide_in_text(value[:MAX_TEXT].decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {
            str(key): HIDDEN if SECRET_NAME.search(str(key)) else _hide(each, depth + 1) for key, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_hide(each, depth + 1) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return hide_in_text(str(value))


def redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that keeps the invariant; the last one before the line is made."""
    for key in list(event):
        event[key] = HIDDEN if SECRET_NAME.search(key) else _hide(event[key])
    return event


def _drop_bookkeeping(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    event.pop("color_message", None)  # uvicorn says everything twice
    return event


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Looks standard error up at each line, so that a redirected one (a command, a test) is honoured."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        pass


def _formatter(*, is_json: bool) -> logging.Formatter:
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if not is_json:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *SHARED],
        processors=[_drop_bookkeeping, redact, renderer],
    )


SHARED: tuple[Any, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
)
OTHERS = ("django", "django.server", "celery", "uvicorn", "uvicorn.error")  # their handlers go, ours is at the root
QUIET = (
    "kombu",
    "amqp",
    "asyncio",
    "imapclient",
    "urllib3",
    "requests_oauthlib",
    "oauthlib",
    "msal",
    "google",
    "PIL",
    "celery",
    "uvicorn",
    "django.request",
)


def configure(wanted: Mapping[str, Any]) -> None:
    """Django's LOGGING_CONFIG: `wanted` is settings.LOGGING with "level" and "is_json". May be called again."""
    handler = _Handler()
    handler.setFormatter(_formatter(is_json=bool(wanted.get("is_json"))))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    level = str(wanted.get("level", "INFO"))
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Handler)]
    root.addHandler(handler)
    root.setLevel(level if level in logging.getLevelNamesMapping() else "INFO")
    for name in OTHERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    for name in QUIET:  # what they say below a warning is about themselves
        logging.getLogger(name).setLevel("WARNING")
    logging.getLogger("kombu.connection").setLevel("ERROR")  # warns that a folder has no host name
