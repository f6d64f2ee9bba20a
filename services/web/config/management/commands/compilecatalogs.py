"""`manage.py compilecatalogs`: the message catalogues, .po to .mo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.catalogs import compile_catalogs


class Command(BaseCommand):
    """Compiles every catalogue of the project that is newer than its compiled form."""

    help = "Compile the message catalogues (.po to .mo) without GNU gettext."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Compile, and say which files were written."""
        for directory in settings.LOCALE_PATHS:
            try:
                written = compile_catalogs(Path(directory))
            except (OSError, ValueError) as error:
                raise CommandError(str(error)) from error
            for path in written:
                self.stdout.write(f"compiled {path.relative_to(settings.BASE_DIR)}")
