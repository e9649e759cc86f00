"""System checks of the settings: each has an id and a sentence that says the mend.

Invariant: web, worker and tick refuse to start while one of these is an error (`refuse_if_wrong`). No check repeats a
value that may be a secret.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register, run_checks
from django.core.exceptions import ImproperlyConfigured

from base.crypto import BadKey, KeyRing
from base.process import SETTINGS_CHECKS
from crm_mail import env

(TAG,) = SETTINGS_CHECKS
MAKE_KEY = "script/manage make_key prints a fresh one."
HOW_TO_READ = "See .env.example."


def _error(number: str, said: str, mend: str) -> Error:
    return Error(said, hint=mend, id=f"crm_mail.{number}")


@register(TAG)
def check_environment(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What env could not read or understand (E002, E003, E004, E010, E020, E030)."""
    return [_error(each.id, each.said, each.mend) for each in env.problems]


@register(TAG)
def check_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The keys: production must be given them, and each must be whole (E001, E005, E006)."""
    found: list[CheckMessage] = []
    try:
        secret = settings.SECRET_KEY
    except ImproperlyConfigured:  # Django refuses to hand out an empty one
        secret = ""
    if not secret:
        mend = (
            "Set SECRET_KEY or SECRET_KEY_FILE to at least 50 random characters; sessions and links are signed with it."
        )
        found.append(
            _error("E001", "SECRET_KEY is missing: with DATABASE_URL the keys come from the environment.", mend)
        )
    elif len(secret) < 32:
        found.append(_error("E006", "SECRET_KEY is shorter than 32 characters.", "Set at least 50 random characters."))
    if not settings.CREDENTIAL_KEYS:
        said = "CREDENTIAL_KEYS is missing: mailbox passwords are encrypted with it."
        found.append(_error("E005", said, f"Set CREDENTIAL_KEYS or CREDENTIAL_KEYS_FILE. {MAKE_KEY}"))
        return found
    try:
        KeyRing(settings.CREDENTIAL_KEYS)
    except BadKey as error:
        found.append(_error("E007", f"CREDENTIAL_KEYS: {error}", f"Each key is 32 bytes in base64. {MAKE_KEY}"))
    return found


@register(TAG)
def check_networks(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """PRIVATE_NETWORKS (E011) and TRUSTED_PROXIES (E012) are networks; a too wide one is a warning (W011)."""
    found: list[CheckMessage] = []
    for number, name in (("E011", "PRIVATE_NETWORKS"), ("E012", "TRUSTED_PROXIES")):
        for text in getattr(settings, name):
            try:
                network = ipaddress.ip_network(text, strict=False)
            except ValueError:
                mend = "Write addresses or networks like 10.20.0.0/16 or ::1, separated by commas."
                found.append(_error(number, f"{name} holds {text!r}, which is no network.", mend))
                continue
            if network.prefixlen == 0:
                said = f"{name} holds {text}, which is every address there is."
                found.append(Warning(said, hint="Name the networks that you mean.", id="crm_mail.W011"))
    return found


@register(TAG)
def check_addresses(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """BASE_URL (E010, W010), ALLOWED_HOSTS (W012), METRICS_TOKEN (E013), REDIS_URL (E021, W021), LOG_LEVEL (E003)."""
    found: list[CheckMessage] = []
    scheme, _, rest = settings.BASE_URL.partition("://")
    if scheme not in ("http", "https") or not rest or "/" in rest:
        mend = "Write it like https://crm.example.org, without a path: links in mails begin with it."
        found.append(_error("E010", "BASE_URL is not http:// or https:// and a host name.", mend))
    elif scheme == "http" and not settings.IS_EMBEDDED:
        mend = "Put a proxy with a certificate in front and write https:// in BASE_URL."
        found.append(
            Warning("BASE_URL is not https: passwords would travel unprotected.", hint=mend, id="crm_mail.W010")
        )
    if "*" in settings.ALLOWED_HOSTS:
        mend = "Name the hosts; left empty it is the host of BASE_URL."
        found.append(Warning("ALLOWED_HOSTS accepts every name.", hint=mend, id="crm_mail.W012"))
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < 16:
        found.append(_error("E013", "METRICS_TOKEN is shorter than 16 characters.", "Set a long random one, or none."))
    if settings.REDIS_URL and not settings.REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
        found.append(_error("E021", "REDIS_URL is no address of a Redis.", "Write it like redis://host:6379/0."))
    if not settings.REDIS_URL and not settings.IS_EMBEDDED:
        mend = "Set REDIS_URL; without it all processes must share one DATA_DIR on one machine."
        found.append(Warning("There is no REDIS_URL: the queue is a folder.", hint=mend, id="crm_mail.W021"))
    if settings.LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        found.append(_error("E003", "LOG_LEVEL is none of DEBUG, INFO, WARNING, ERROR.", "Leave it empty for INFO."))
    return found


def wrong() -> Sequence[CheckMessage]:
    """The errors among the checks of the settings."""
    return [message for message in run_checks(tags=[TAG]) if _is_ours(message)]


def _is_ours(message: CheckMessage) -> bool:
    return message.is_serious() and str(message.id).startswith("crm_mail.")


def refuse_if_wrong() -> None:
    """Ends the process with code 78 (EX_CONFIG) and the mends on standard error when a setting is wrong."""
    errors = wrong()
    for error in errors:
        sys.stderr.write(f"{error.id}: {error.msg}\n    {error.hint}\n")
    if errors:
        sys.stderr.write(f"CRM Mail does not start with these settings. {HOW_TO_READ}\n")
        sys.stderr.flush()
        raise SystemExit(78)
