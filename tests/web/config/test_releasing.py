"""The release step."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django_tasks_db.models import DBTaskResult

from blog.models import Article
from config import releasing
from tests.web.builders import an_article
from tests.web.config.test_publishing import build


@pytest.fixture
def static(settings: Any, tmp_path: Path) -> Path:
    """Collected files, and a directory to publish them to."""
    settings.STATIC_ROOT = build(tmp_path / "build", site="a")
    settings.STATIC_PUBLISHED = str(tmp_path / "published")
    return tmp_path / "published"


def another_connection() -> Any:
    """A connection of somebody else to the same database."""
    parameters = connection.get_connection_params()
    return psycopg2.connect(**{key: parameters[key] for key in ("host", "port", "user", "password", "dbname")})


@pytest.mark.django_db
def test_a_release_migrates_and_publishes(static: Path) -> None:
    call_command("release", verbosity=0, stdout=io.StringIO())
    assert len(list(static.glob("*.css"))) == 1


@pytest.mark.django_db
def test_a_second_release_changes_nothing(static: Path) -> None:
    call_command("release", verbosity=0, stdout=io.StringIO())
    out = io.StringIO()
    call_command("release", verbosity=0, stdout=out)
    assert out.getvalue() == "static: 0 added, 2 there already, 0 pruned\n"


@pytest.fixture
def newer_database(db: None) -> None:
    """A migration that only the next release knows."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('blog', '9999_future', now())")


@pytest.mark.usefixtures("newer_database")
def test_a_database_newer_than_the_code_is_refused_in_one_line(static: Path) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("release", verbosity=0, stdout=io.StringIO())
    assert "blog.9999_future" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not static.exists()


@pytest.mark.usefixtures("newer_database")
def test_a_rollback_keeps_the_newer_schema_and_publishes(static: Path) -> None:
    call_command("release", rollback=True, verbosity=0, stdout=io.StringIO())
    assert static.exists()


@pytest.mark.django_db
def test_two_releases_never_run_at_once(static: Path) -> None:
    other = another_connection()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [releasing.ADVISORY_KEY])
        with pytest.raises(CommandError, match="another release"):
            call_command("release", verbosity=0, stdout=io.StringIO())
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_gets_no_lock_gives_up_instead_of_blocking_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[str] = []

    def alter(*_arguments: object, **_options: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            limits.append(cursor.fetchone()[0])
            cursor.execute("ALTER TABLE blog_tag ADD COLUMN forgotten integer")

    monkeypatch.setattr(releasing, "call_command", alter)
    monkeypatch.setattr(releasing, "LOCK_TIMEOUT", "50ms")
    other = another_connection()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT * FROM blog_tag")
        with pytest.raises(releasing.ReleaseError, match="lock"):
            releasing.migrate(pause=0)
        assert limits == ["50ms"] * releasing.TRIES
    finally:
        other.close()
        connection.close()


@pytest.mark.django_db
def test_texts_of_an_older_renderer_are_queued_once(static: Path) -> None:
    article = an_article()
    Article.objects.filter(pk=article.pk).update(rendered_with=0)
    call_command("release", verbosity=0, stdout=io.StringIO())
    call_command("release", verbosity=0, stdout=io.StringIO())
    assert DBTaskResult.objects.count() == 1


@pytest.mark.django_db
def test_nothing_is_queued_when_every_text_is_current(static: Path) -> None:
    an_article()
    call_command("release", verbosity=0, stdout=io.StringIO())
    assert not DBTaskResult.objects.exists()
