"""A bad variable ends every entry with one line that names it, and status 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.database import ENVIRONMENT, ROOT

WEB = ROOT / "services" / "web"
REQUIRED = [
    "SECRET_KEY_FILE",
    "ALLOWED_HOSTS",
    "SITE_URL",
    "DATABASE_HOST",
    "DATABASE_USER",
    "DATABASE_PASSWORD_FILE",
    "STATIC_BUILD",
    "MEDIA_ROOT",
]
ENTRIES = {
    "manage.py": ["manage.py", "check"],
    "worker": ["manage.py", "worker"],
    "wsgi": ["-c", "import config.wsgi"],
}


def run(entry: list[str], **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Run Python in services/web with the tests' environment and `changes` (None unsets)."""
    environment = {**os.environ, **ENVIRONMENT, **{name: value for name, value in changes.items() if value is not None}}
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
    return subprocess.run(
        [sys.executable, *entry], cwd=WEB, env=environment, capture_output=True, text=True, timeout=60
    )


def assert_one_line(result: subprocess.CompletedProcess[str], name: str) -> None:
    """The process failed with one line on stderr that names the variable."""
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    assert name in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_required_variable_is_named_in_one_line(name: str) -> None:
    assert_one_line(run(ENTRIES["manage.py"], **{name: None}), name)


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_ends_the_same_way(entry: str) -> None:
    assert_one_line(run(ENTRIES[entry], SITE_URL=None), "SITE_URL")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "maybe"),
        ("ALLOWED_HOSTS", "https://example.org"),
        ("ALLOWED_HOSTS", ","),
        ("SITE_URL", "example.org"),
        ("SITE_URL", "https://example.org/blog"),
        ("SITE_URL", "https://example.org:port"),
        ("DATABASE_PORT", "65536"),
        ("DATABASE_PORT", "five"),
        ("DATABASE_PASSWORD_FILE", "/nonexistent/password"),
        ("SECRET_KEY_FILE", "/"),
        ("SECRET_KEY_FILE", "/dev/null"),
        ("STATIC_BUILD", "static"),
        ("EMAIL_PORT", "many"),
        ("EMAIL_SECURITY", "ssl3"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "LOUD"),
        ("LANGUAGE_CODE", "fr"),
        ("TIME_ZONE", "Mars/Olympus"),
    ],
)
def test_a_malformed_variable_is_named_in_one_line(name: str, value: str) -> None:
    assert_one_line(run(ENTRIES["manage.py"], **{name: value}), name)


def test_an_unreadable_secret_is_named_in_one_line(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_bytes(b"\xff\xfe\x00binary")
    assert_one_line(run(ENTRIES["manage.py"], SECRET_KEY_FILE=str(secret)), "SECRET_KEY_FILE")


def test_a_secret_of_several_lines_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("x" * 60 + "\n" + "y" * 60)
    assert_one_line(run(ENTRIES["manage.py"], SECRET_KEY_FILE=str(secret)), "SECRET_KEY_FILE")


def test_the_message_never_shows_a_secret(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("short-but-secret")
    assert "short-but-secret" not in run(ENTRIES["manage.py"], SECRET_KEY_FILE=str(secret)).stderr


def test_a_database_that_does_not_answer_ends_a_command_with_one_line(tmp_path: Path) -> None:
    result = run(["manage.py", "migrate"], DATABASE_HOST=str(tmp_path))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    assert "database" in result.stderr


def test_importing_the_application_asks_the_database_nothing(tmp_path: Path) -> None:
    code = "import config.wsgi; from django.db import connection; raise SystemExit(connection.connection is not None)"
    assert run(["-c", code], DATABASE_HOST=str(tmp_path)).returncode == 0


def test_the_deployment_check_is_clean_with_production_variables() -> None:
    result = run(["manage.py", "check", "--deploy", "--fail-level", "WARNING"])
    assert result.returncode == 0, result.stderr


def test_the_project_starts_in_debug() -> None:
    result = run(["manage.py", "check"], DEBUG="1", SITE_URL="http://localhost:8000")
    assert result.returncode == 0, result.stderr


def test_debug_is_off_unless_asked_for() -> None:
    code = "from config import settings; print(settings.DEBUG)"
    assert run(["-c", code], DEBUG=None).stdout == "False\n"
    assert run(["-c", code], DEBUG="1").stdout == "True\n"


def test_cookies_are_secure_on_https_and_not_on_http() -> None:
    code = "from config import settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE)"
    assert run(["-c", code]).stdout == "True True\n"
    assert run(["-c", code], SITE_URL="http://localhost:8000").stdout == "False False\n"


def test_templates_are_cached_in_production_and_read_anew_in_debug() -> None:
    code = "from config import settings as s; print('cached' in str(s.TEMPLATES))"
    assert run(["-c", code]).stdout == "True\n"
    assert run(["-c", code], DEBUG="1").stdout == "False\n"
