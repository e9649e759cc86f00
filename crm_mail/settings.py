"""Settings, all from the environment (`.env.example` explains each). A wrong value is a system check (crm_mail.checks).

Two lives, one code: without DATABASE_URL the embedded one (SQLite, filesystem queue, keys made once); with it
production.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
import dj_email_url
from csp.constants import NONE, SELF

from crm_mail import env
from crm_mail.env import Problem

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.read("DATA_DIR", str(BASE_DIR / "data"))).resolve()
DATABASE_URL = env.read("DATABASE_URL")
REDIS_URL = env.read("REDIS_URL")
IS_EMBEDDED = not env.is_given("DATABASE_URL")
DEBUG = False

SECRET_KEY = env.read("SECRET_KEY") or (env.kept_key(DATA_DIR / "keys" / "secret_key") if IS_EMBEDDED else "")
CREDENTIAL_KEYS = env.read_list("CREDENTIAL_KEYS") or (
    [env.kept_key(DATA_DIR / "keys" / "credential_key", "bytes")] if IS_EMBEDDED else []
)

BASE_URL = env.read("BASE_URL", "http://127.0.0.1:8000").rstrip("/")
_base = env.understand(
    Problem("E010", "BASE_URL is no address.", "Write it like https://crm.example.org, without a path."),
    lambda: urlsplit(BASE_URL),
    urlsplit("http://127.0.0.1:8000"),
)
ALLOWED_HOSTS = env.read_list("ALLOWED_HOSTS") or [_base.hostname or "localhost", "localhost", "127.0.0.1", "[::1]"]
TRUSTED_PROXIES = env.read_list("TRUSTED_PROXIES")
PRIVATE_NETWORKS = tuple(env.read_list("PRIVATE_NETWORKS"))
METRICS_TOKEN = env.read("METRICS_TOKEN")
IS_HTTPS = _base.scheme == "https"
CSRF_TRUSTED_ORIGINS = [BASE_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
# Safe because crm_mail.proxies removes the header from every request that no trusted proxy sent.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # its pages are loaded with the URLs: workers need none
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "providers",
    "accounts",
    "mail",
    "contacts",
    "linking",
    "notifications",
    "sync",
    "outbox",
    "panel",
    "crm_mail",
]

MIDDLEWARE = [
    "crm_mail.proxies.TrustedProxiesMiddleware",
    "crm_mail.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.activity.SessionActivityMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "panel.middleware.PreferencesMiddleware",
]

ROOT_URLCONF = "crm_mail.urls"
ASGI_APPLICATION = "crm_mail.asgi.application"
WSGI_APPLICATION = "crm_mail.wsgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "panel.context.rail",
            ],
        },
    },
]

# Databases
if IS_EMBEDDED:
    DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "crm_mail.sqlite3",
            "OPTIONS": {
                # Deferred transactions gave "database is locked" under load; IMMEDIATE with WAL gives none.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;"
                " PRAGMA mmap_size=134217728; PRAGMA temp_store=MEMORY;",
            },
        }
    }
else:
    _database = env.understand(
        Problem(
            "E020",
            "DATABASE_URL cannot be understood.",
            "Write it like postgres://user:password@host:5432/name; escape special characters with %.",
        ),
        lambda: dj_database_url.parse(DATABASE_URL, conn_health_checks=True),
        dj_database_url.parse("postgres://unknown.invalid/unknown"),
    )
    if _database["ENGINE"] == "django.db.backends.postgresql":
        # Under ASGI a request has a thread of its own, so connections live in a pool of the process, not in threads.
        _database.setdefault("OPTIONS", {}).setdefault("pool", {"min_size": 1, "max_size": 24, "timeout": 20})
    DATABASES = {"default": dict(_database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Queue: the doorbell only; the database is the truth.
QUEUE_DIR = DATA_DIR / "queue"
CELERY_BROKER_URL = REDIS_URL or "filesystem://"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"visibility_timeout": 120, "unacked_restore_interval": 5, "socket_timeout": 30, "socket_connect_timeout": 10}
    if REDIS_URL
    else {
        "data_folder_in": str(QUEUE_DIR / "jobs"),
        "data_folder_out": str(QUEUE_DIR / "jobs"),
        "control_folder": str(QUEUE_DIR / "control"),
        "polling_interval": 0.1,
    }
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "crm_mail"
CELERY_TASK_ROUTES = {
    "panel.*": {"queue": "clicks"},
    "accounts.*": {"queue": "clicks"},
    "sync.tasks.check_*": {"queue": "clicks"},
    "outbox.*": {"queue": "clicks"},
}

# Sign-in of the application's own users
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
MFA_ADAPTER = "accounts.adapter.MfaAdapter"
ACCOUNT_LOGIN_METHODS = {"email", "username"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # users join by an invitation sent to the address
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _base.scheme or "http"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "CRM Mail"
USERSESSIONS_TRACK_ACTIVITY = True
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30

# Caches: rate limits must be shared between processes, so the embedded life keeps them in the database folder.
CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": DATA_DIR / "cache"}
    )
}

# The application's own mail (invitations, password reset)
_default_email = "console:" if IS_EMBEDDED else "smtp://localhost:25"
_email_url = env.read("EMAIL_URL") or _default_email
_email = env.understand(
    Problem("E030", "EMAIL_URL cannot be understood.", "Write it like submission://user:password@host:587."),
    # An unknown scheme is no error to the parser: it leaves the backend out.
    lambda: {"EMAIL_BACKEND": dj_email_url.SCHEMES[_email_url.partition(":")[0]], **dj_email_url.parse(_email_url)},
    dj_email_url.parse(_default_email),
)
EMAIL_BACKEND = _email["EMAIL_BACKEND"]
EMAIL_HOST = _email["EMAIL_HOST"]
EMAIL_PORT = _email["EMAIL_PORT"]
EMAIL_HOST_USER = _email["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = _email["EMAIL_USE_TLS"]
EMAIL_USE_SSL = _email["EMAIL_USE_SSL"]
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.read("DEFAULT_FROM_EMAIL", "CRM Mail <crm-mail@localhost>")

# Language and time
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

# Files
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.read("STATIC_ROOT", str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = DATA_DIR / "files"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
    # Attachments and raw sources of mail: never served by URL.
    "mail": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": DATA_DIR / "mail"}},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o600

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    }
}
X_FRAME_OPTIONS = "DENY"

# Mail
MAIL_WHOLE_BELOW = 0  # bytes: larger messages come without attachments; 0: above what costs less by each protocol
MAIL_PART_CACHE_BYTES = 2 * 1024**3  # attachments kept after they were opened
MAIL_TIMEOUT = 30.0  # seconds for each network step
MAIL_CONNECTIONS_PER_ACCOUNT = 4
SEND_RECIPIENTS_MOST = env.read_number("SEND_RECIPIENTS_MOST", 200)  # of one message
SEND_RECIPIENTS_ASK = 20  # recipients of one message above which the person is asked to confirm
SEND_PER_HOUR_USER = env.read_number("SEND_PER_HOUR_USER", 200)  # recipients, not messages
SEND_PER_HOUR_ACCOUNT = env.read_number("SEND_PER_HOUR_ACCOUNT", 500)
SEND_SIZE_MOST = 25 * 1024 * 1024  # bytes of a built message where the server announces no SIZE
MAIL_POLL_SECONDS = env.read_number("MAIL_POLL_SECONDS", 30)  # between two looks at a mailbox
MAIL_LISTENED_POLL_SECONDS = env.read_number("MAIL_LISTENED_POLL_SECONDS", 600)  # where push stands (manage.py listen)

# Logs: to standard error; JSON in production, plain lines in the embedded life
LOG_LEVEL = env.read("LOG_LEVEL", "INFO").upper()
LOGGING_CONFIG = "crm_mail.logs.configure"
LOGGING = {"level": LOG_LEVEL, "is_json": not IS_EMBEDDED}
