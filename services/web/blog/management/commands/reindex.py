"""`manage.py reindex`: brings the search index up to date at once, where `release` leaves it to the worker."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from blog import search
from blog.models import SearchEntry
from blog.tasks import reindex_articles


class Command(BaseCommand):
    """Indexes the articles that are missing in the index or were written by an older version; --all: every one."""

    help = "Bring the search index up to date."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """--all: also what is current, as after a new major version of PostgreSQL, whose stems may differ."""
        parser.add_argument("--all", action="store_true", help="index every article anew")

    def handle(self, *args: Any, **options: Any) -> None:
        """Index batch by batch; an interrupted run goes on where it was."""
        if options["all"]:
            SearchEntry.objects.update(version=0)
        wanted = search.stale().count()
        last: int | None = 0
        while last is not None:
            last = reindex_articles(last)
        left = search.stale().count()
        self.stdout.write(f"{wanted - left} articles indexed" + (f", {left} failed: see the log" if left else ""))
