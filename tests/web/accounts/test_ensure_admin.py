"""The superuser of a new site."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from tests.web.builders import a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """A password file, as a shell writes it."""
    path = tmp_path / "password"
    path.write_text("correct horse\n")
    return path


def ensure(path: Path) -> str:
    """What the command says."""
    out = io.StringIO()
    call_command("ensure_admin", username="admin", password_file=path, stdout=out)
    return out.getvalue()


def test_a_site_without_superuser_gets_one(password: Path) -> None:
    ensure(password)
    user = User.objects.get(username="admin")
    assert user.is_superuser
    assert user.check_password("correct horse")


def test_a_site_with_superuser_is_left_alone(password: Path) -> None:
    User.objects.create_superuser("chief", "", "other")
    ensure(password)
    assert list(User.objects.values_list("username", flat=True)) == ["chief"]


def test_the_password_is_never_printed(password: Path) -> None:
    assert "correct horse" not in ensure(password)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere"):
        ensure(tmp_path / "nowhere")


def test_an_empty_password_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(CommandError, match="longer"):
        ensure(tmp_path / "empty")


def test_a_name_that_somebody_else_has_is_refused(password: Path) -> None:
    a_user("Admin")
    with pytest.raises(CommandError, match="taken"):
        ensure(password)
