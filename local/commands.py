"""Runs several management commands in one process, which spares Django's start for each: a list of lists in JSON."""

from __future__ import annotations

import json
import sys

import django
from django.core.management import CommandError, call_command


def main() -> int:
    """Run the commands given in JSON as the one argument; returns the exit status."""
    sys.path.insert(0, ".")
    django.setup()
    for name, *arguments in json.loads(sys.argv[1]):
        try:
            call_command(name, *arguments)
        except CommandError as error:
            print(f"`manage.py {name}` failed: {error}", file=sys.stderr)
            return error.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
