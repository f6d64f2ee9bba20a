"""The migrations."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command
from django.db import connection

pytestmark = pytest.mark.django_db


def test_the_models_need_no_further_migration() -> None:
    call_command("makemigrations", check=True, dry_run=True, stdout=io.StringIO())


def test_the_composite_foreign_keys_can_be_undone_and_done_again() -> None:
    with connection.cursor() as cursor:
        for target in ("0001", "0002"):
            call_command("migrate", "blog", target, verbosity=0)
            cursor.execute("SELECT count(*) FROM pg_constraint WHERE conname = 'article_category_of_author'")
            assert cursor.fetchone() == ({"0001": 0, "0002": 1}[target],)


def test_the_cache_needs_no_table_made_at_run_time() -> None:
    from django.core.cache import cache

    cache.set("a", "中")
    assert cache.get("a") == "中"
    assert "config_cache" in connection.introspection.table_names()
