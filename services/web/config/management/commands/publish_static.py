"""`manage.py publish_static`: this release's static files into the directory that nginx serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.publishing import PublishingError, publish


class Command(BaseCommand):
    """Adds the collected, hashed files of STATIC_BUILD to STATIC_PUBLISHED."""

    help = "Add this release's hashed static files to STATIC_PUBLISHED; prune what the last three releases do not name."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Publish, and say how many files were added, kept and removed."""
        if not settings.STATIC_PUBLISHED:
            raise CommandError("STATIC_PUBLISHED is not set: name the directory that the proxy serves /static/ from")
        try:
            result = publish(
                Path(settings.STATIC_ROOT), Path(settings.STATIC_PUBLISHED), settings.RELEASE, settings.STATIC_KEPT
            )
        except PublishingError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"STATIC_PUBLISHED={settings.STATIC_PUBLISHED} cannot be written: {error}") from error
        self.stdout.write(f"static: {result.added} added, {result.present} there already, {result.pruned} pruned")
