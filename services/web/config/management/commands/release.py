"""`manage.py release`: the one-shot step of a new release, before any of its processes gets traffic."""

from __future__ import annotations

import argparse
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from blog.tasks import queue_reindexing, queue_rerendering
from config.releasing import ReleaseError, migrate, only_one, unknown_migrations


class Command(BaseCommand):
    """Refuses a database newer than the code, migrates, publishes static files, queues re-rendering and indexing."""

    help = "Prepare the database and the static files for this release."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """--rollback: go back to an older release although a newer one has migrated."""
        parser.add_argument(
            "--rollback",
            action="store_true",
            help="accept and keep the schema of a newer release, which still carries this one",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the steps in order; the first that fails ends the release with one line."""
        try:
            with only_one():
                unknown = unknown_migrations()
                if unknown and not options["rollback"]:
                    raise ReleaseError(
                        f"the database is newer than this code (it has {', '.join(unknown)}): "
                        "release that newer code, or use --rollback"
                    )
                if unknown:
                    self.stdout.write(f"rollback: the schema stays as {', '.join(unknown)} left it")
                else:
                    migrate(verbosity=options["verbosity"])
        except ReleaseError as error:
            raise CommandError(str(error)) from error
        if not settings.DEBUG:
            call_command("publish_static", stdout=self.stdout)
        if not unknown:
            if stale := queue_rerendering():
                self.stdout.write(f"rendering: {stale} texts of an older renderer queued")
            if stale := queue_reindexing():
                self.stdout.write(f"search: {stale} articles of an older index queued")
