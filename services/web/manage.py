#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


def main() -> None:
    """Run the command in sys.argv; a database that does not answer ends it with one line instead of a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, connection

    import config.settings  # noqa: F401  (a bad variable ends here, whatever the command)

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if connection.connection is not None and "--traceback" in sys.argv:
            raise
        reason = " ".join(str(error).split())
        sys.exit(f"manage.py: the database refused or did not answer: {reason}")


if __name__ == "__main__":
    main()
