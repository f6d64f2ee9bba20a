"""Django's settings: everything that differs from place to place comes from the environment (config.environment)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from config import environment

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = environment.flag("DEBUG")
RELEASE = environment.text("RELEASE", "dev")
SECRET_KEY = environment.secret("SECRET_KEY_FILE", shortest=50)
ALLOWED_HOSTS = environment.hosts("ALLOWED_HOSTS")
SITE_NAME = "Slipway"
SITE_URL = environment.origin("SITE_URL")
SITE_HOST = str(urlsplit(SITE_URL).hostname)
HTTPS = SITE_URL.startswith("https://")

# --- Applications

INSTALLED_APPS = [
    # Django's admin on the site's own AdminSite.
    "moderation.admin_config.OwnersAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sitemaps",
    "django.contrib.staticfiles",
    "django_tasks",
    "django_tasks_db",
    "csp",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "config",
    "accounts",
    "blog",
    "notices",
    "uploads",
    "moderation",
]
MIDDLEWARE = [
    "config.health.HealthMiddleware",
    "config.request_id.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.secret_paths.SecretPathsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.htmx.HtmxErrorsMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "config.circuit.CircuitMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "config.resending.ResendingMiddleware",
    "config.limits.LimitsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOADERS = ["django.template.loaders.filesystem.Loader", "django.template.loaders.app_directories.Loader"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context.site",
                "notices.context.notices",
            ],
            # Django caches in DEBUG too: then an edited template would need a reload to be seen.
            "loaders": LOADERS if DEBUG else [("django.template.loaders.cached.Loader", LOADERS)],
        },
    }
]

# --- Database, cache, sessions, background tasks: PostgreSQL and nothing else

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": environment.text("DATABASE_HOST"),
        "PORT": environment.integer("DATABASE_PORT", 5432, 1, 65535),
        "NAME": environment.text("DATABASE_NAME", "slipway"),
        "USER": environment.text("DATABASE_USER"),
        "PASSWORD": environment.secret("DATABASE_PASSWORD_FILE"),
        # A worker process keeps its connection, and drops it when the database was restarted in between.
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "application_name": f"slipway {RELEASE}"[:63],
            # Of processes that wait in libpq: the worker and the commands (the web server: config.circuit).
            "connect_timeout": 5,
            # A server that is gone without a word is noticed within a minute.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,
        },
    }
}
CACHES = {
    # Shared by all workers, so that what is counted in it is counted once. The table comes from a migration.
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "config_cache"},
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
HEARTBEAT_FILE = environment.text("HEARTBEAT_FILE", "")

# --- Accounts

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"login": "accounts.forms.LoginForm", "signup": "accounts.signup.SignupForm"}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
# Also for an address that nobody has verified: it can be claimed by resetting the password.
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = f"[{SITE_NAME}] "
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
# config.limits counts: allauth would count in the cache, which throws out rows when it is full.
ACCOUNT_RATE_LIMITS = False
MFA_RATE_LIMITS = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {
    "authenticate": "accounts.forms.LimitedAuthenticateForm",
    "reauthenticate": "accounts.forms.LimitedReauthenticateForm",
    "login_webauthn": "accounts.forms.LoginPasskeyForm",
    "authenticate_webauthn": "accounts.forms.AuthenticatePasskeyForm",
    "reauthenticate_webauthn": "accounts.forms.ReauthenticatePasskeyForm",
    "add_webauthn": "accounts.forms.AddPasskeyForm",
    "edit_webauthn": "accounts.forms.EditPasskeyForm",
}
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = SITE_NAME
# A clock may be half a minute off.
MFA_TOTP_TOLERANCE = 1
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEBUG


# --- Mail: into the outbox, which the worker sends (config.mail)

EMAIL_BACKEND = "config.mail.OutboxBackend"
EMAIL_HOST = environment.text("EMAIL_HOST", "")
EMAIL_SECURITY = environment.choice("EMAIL_SECURITY", ("starttls", "tls", "none"), "starttls")
EMAIL_PORT = environment.integer("EMAIL_PORT", {"starttls": 587, "tls": 465, "none": 25}[EMAIL_SECURITY], 1, 65535)
EMAIL_USE_TLS = EMAIL_SECURITY == "starttls"
EMAIL_USE_SSL = EMAIL_SECURITY == "tls"
EMAIL_HOST_USER = environment.text("EMAIL_USER", "")
# Only the worker is given the file: nobody else talks to the mail server.
EMAIL_HOST_PASSWORD = environment.optional_secret("EMAIL_PASSWORD_FILE")
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = environment.text("EMAIL_FROM", f"{SITE_NAME} <noreply@{SITE_HOST}>")

# --- Languages and time

LANGUAGE_CODE = environment.choice("LANGUAGE_CODE", ("en", "zh-hans"), "en")
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = environment.time_zone("TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True

# --- Files

STATIC_URL = "/static/"
STATIC_ROOT = environment.directory("STATIC_BUILD")
STATIC_PUBLISHED = environment.text("STATIC_PUBLISHED", "")
# Releases whose files stay, however many were published since: the one that serves, and those one may go back to.
STATIC_KEPT = frozenset(environment.text("STATIC_KEPT", "").split(","))
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_URL = "/media/"
MEDIA_ROOT = environment.directory("MEDIA_ROOT")
# Bytes of one person's pictures, without their smaller sizes.
PICTURE_QUOTA = environment.integer("PICTURE_QUOTA_MB", 200, 1, 1_000_000) * 1024 * 1024
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    },
}
# nginx serves uploads and static files and runs as another user of the same group.
FILE_UPLOAD_PERMISSIONS = 0o644
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o755

# --- Security

CSRF_TRUSTED_ORIGINS = [SITE_URL]
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SECURE = HTTPS
CSRF_FAILURE_VIEW = "config.errors.csrf_failure"
SESSION_COOKIE_SECURE = HTTPS
LANGUAGE_COOKIE_SECURE = HTTPS
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
X_FRAME_OPTIONS = "DENY"
if HTTPS:
    # The one proxy in front sets this header itself, whatever the client sent.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# nginx owns HSTS (W004) and the redirect to https (W008): it also answers what never reaches Django.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# --- Logging

LOG_LEVEL = environment.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "INFO")
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "config.logs.RequestIdFilter"}},
    "formatters": {
        "json": {"()": "config.logs.JsonFormatter"},
        "text": {"()": "config.logs.TextFormatter"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "filters": ["request_id"],
            "formatter": environment.choice("LOG_FORMAT", ("json", "text"), "json"),
        }
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Django's own configuration mails errors and is silent without DEBUG: the root's handler instead.
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "django.server": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        # At DEBUG it writes every statement with its values, passwords and all.
        "django.db.backends": {"level": "INFO"},
        "django.utils.autoreload": {"level": "INFO"},
        "markdown_it": {"level": "WARNING"},
        "PIL": {"level": "WARNING"},
    },
}

# --- Development only

if DEBUG and importlib.util.find_spec("debug_toolbar"):
    INSTALLED_APPS.append("debug_toolbar")
    # After the middleware whose work it measures has wrapped it, before any that could answer instead of the view.
    MIDDLEWARE.insert(
        MIDDLEWARE.index("csp.middleware.CSPMiddleware") + 1, "debug_toolbar.middleware.DebugToolbarMiddleware"
    )
    DEBUG_TOOLBAR_CONFIG = {
        "SHOW_TOOLBAR_CALLBACK": "config.toolbar.is_shown",
        "SHOW_COLLAPSED": True,
        "UPDATE_ON_FETCH": False,
    }
