"""`manage.py counters`: whether what articles say of votes and comments is what the rows say."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from blog import counters


class Command(BaseCommand):
    """Prints each counter that is wrong, and exits with 1 if there is one; --repair: sets it right instead."""

    help = "Check the counters of votes and comments against the rows."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """--repair."""
        parser.add_argument("--repair", action="store_true", help="set right what is wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check every article; readers may go on voting meanwhile."""
        wrong = 0
        for found in counters.check(repair=options["repair"]):
            wrong += 1
            self.stdout.write(
                f"article {found.article}: {found.counter} is {found.stored}, {found.counted} was counted"
            )
        if wrong and not options["repair"]:
            raise CommandError(f"{wrong} counters are wrong: --repair sets them right", returncode=1)
        self.stdout.write(f"{wrong} counters were wrong and are repaired" if wrong else "all counters are right")
