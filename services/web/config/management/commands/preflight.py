"""`manage.py preflight`: whether this release may be tried at all, asked in its image before anything is touched."""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config.expanding import problems
from config.releasing import unknown_migrations

FREE_MEGABYTES = 300


class Command(BaseCommand):
    """Imports the application, runs the system checks, plans the migrations and judges them; changes nothing."""

    help = "Check this release before it is started beside the one that serves."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """--json: one JSON object on the last line, for a program."""
        parser.add_argument("--json", action="store_true", help="print the plan as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the checks in order. Raises CommandError at the first that fails."""
        importlib.import_module("config.wsgi")
        call_command("check", deploy=True, fail_level="WARNING", stdout=self.stderr)
        free = self.check_room()
        if unknown := unknown_migrations():
            raise CommandError(
                f"the database is newer than this code (it has {', '.join(unknown)}): "
                "deploy that newer code, or use `make rollback`"
            )
        executor = MigrationExecutor(connection)
        plan = [migration for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
        contracts: dict[str, str] = {}
        state = executor.loader.project_state(list(executor.loader.applied_migrations))
        made: set[tuple[str, str]] = set()
        empty = not executor.loader.applied_migrations
        for migration in plan:
            name = f"{migration.app_label}.{migration.name}"
            found = problems(migration, state, made)
            said = str(getattr(migration, "contracts", ""))
            if found and not said and not empty:
                raise CommandError(
                    f"{name} {'; '.join(found)}: the release that serves now would fail on it. Add first, take away in "
                    "a later release; one that takes away what no running code uses says so in its class, "
                    '`contracts = "why"`'
                )
            if said:
                contracts[name] = said
        names = [f"{migration.app_label}.{migration.name}" for migration in plan]
        if options["json"]:
            self.stdout.write(json.dumps({"migrations": names, "contracts": sorted(contracts), "free_megabytes": free}))
            return
        for name in names:
            self.stdout.write(f"{name}{' (contracts: ' + contracts[name] + ')' if name in contracts else ''}")
        self.stdout.write(f"{len(names)} migrations to apply; {free} MB free")

    def check_room(self) -> int:
        """The free megabytes of the fullest disk among those of the image, the static files and the uploads."""
        places = [Path("/"), Path(settings.STATIC_PUBLISHED or "/"), Path(settings.MEDIA_ROOT)]
        free, place = min((shutil.disk_usage(place).free // 2**20, str(place)) for place in places if place.exists())
        if free < FREE_MEGABYTES:
            raise CommandError(f"only {free} MB are free where {place} is, {FREE_MEGABYTES} MB are needed: make room")
        return free
