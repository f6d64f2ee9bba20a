"""`manage.py worker`: runs the background queue until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError
from django.utils.crypto import get_random_string

from blog.tasks import queue_reindexing
from config.autoreload import SOURCE, snapshot
from config.worker import HeartbeatWorker

logger = logging.getLogger(__name__)


class ReloadingWorker(HeartbeatWorker):
    """In development: starts anew when the source has changed and the changed project still passes its checks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.source = snapshot(SOURCE)

    def beat(self) -> None:
        """Touch the heartbeat file; between two tasks, look at the source."""
        super().beat()
        if self.running_task or (now := snapshot(SOURCE)) == self.source:
            return
        self.source = now
        check = subprocess.run([sys.executable, "manage.py", "check"], check=False, cwd=SOURCE, capture_output=True)
        if check.returncode:
            logger.warning("the source changed but does not start; working on with the old code")
            return
        logger.info("the source changed; starting anew")
        os.execv(sys.executable, [sys.executable, str(SOURCE / "manage.py"), *sys.argv[1:]])  # noqa: S606


class Command(BaseCommand):
    """The queue of django-tasks, kept in PostgreSQL."""

    help = "Run background tasks until SIGTERM, which lets the task in hand finish."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """--interval seconds between looks at an empty queue; --once to stop when it is empty."""
        parser.add_argument("--interval", type=float, default=1.0, help="seconds between looks at an empty queue")
        parser.add_argument("--once", action="store_true", help="stop when the queue is empty")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the worker in this process."""
        heartbeat = Path(settings.HEARTBEAT_FILE) if settings.HEARTBEAT_FILE else None
        # It says "no more tasks" at every look.
        logging.getLogger("django_tasks_db").setLevel(logging.WARNING)
        kind = ReloadingWorker if settings.DEBUG and not options["once"] else HeartbeatWorker
        worker = kind(
            heartbeat=heartbeat,
            interval=options["interval"],
            once=options["once"],
            queue_names=["*"],
            excluded_queue_names=[],
            backend_name="default",
            max_tasks=None,
            worker_id=get_random_string(32),
        )
        worker.configure_signals()
        # A worker of the release before may have taken the task that `release` queued, without knowing it.
        with suppress(DatabaseError, InterfaceError):
            queue_reindexing()
        try:
            worker.run()
        except OSError as error:
            raise CommandError(f"HEARTBEAT_FILE={settings.HEARTBEAT_FILE} cannot be written: {error}") from error
