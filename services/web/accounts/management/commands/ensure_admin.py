"""`manage.py ensure_admin`: a superuser for a site that has none."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.models import User


class Command(BaseCommand):
    """Creates the superuser if no superuser exists; otherwise changes nothing."""

    help = "Create a superuser if there is none."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """--username and --password-file."""
        parser.add_argument("--username", default="admin")
        parser.add_argument("--password-file", required=True, type=Path, help="a file holding the password on one line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create, and say what was done."""
        if User.objects.filter(is_superuser=True).exists():
            self.stdout.write("a superuser exists already")
            return
        path: Path = options["password_file"]
        try:
            password = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"--password-file {path} cannot be read: {error}") from error
        if len(password) < 8:
            raise CommandError(f"--password-file {path} holds fewer than 8 characters: write a longer password into it")
        username = options["username"]
        with transaction.atomic():
            if User.objects.filter(username__lower=username.lower()).exists():
                raise CommandError(f"the username {username} is taken by somebody who is no superuser: choose another")
            # The name may be a reserved one: staff have no page to be shadowed.
            User.objects.create_superuser(username, email="", password=password)
        self.stdout.write(f"created the superuser {username}")
