"""The background worker: django-tasks-db's, with a heartbeat, a clean stop and patience with the database;
between two looks at the queue it sends the mail of the outbox.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult

from accounts import unverified
from config import limits, lost, mail
from config.request_id import request_id
from uploads import cleaning

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 600.0
LOST_SECONDS = 10.0


class HeartbeatWorker(Worker):
    """Runs the queue until it is empty, sleeps `interval` seconds, and so on; touches `heartbeat` at every turn.

    The parent's own loop ends the process inside the signal handler, which can lose a task between taking it and
    starting it. Here the signal only asks: the task in hand is finished, then `run` returns.
    """

    def __init__(self, *, heartbeat: Path | None, interval: float, once: bool = False, **options: Any) -> None:
        super().__init__(interval=interval, batch=True, startup_delay=False, **options)
        self.heartbeat = heartbeat
        self.once = once
        self.stop = threading.Event()
        self.swept_at = -SWEEP_SECONDS
        self.looked_at = -LOST_SECONDS
        self.alive = lost.Alive(self.worker_id)

    def shutdown(self, signum: int, frame: FrameType | None) -> None:
        """Signal handler: stop after the task in hand; a second signal stops at once, by its default action."""
        self.running = False
        self.stop.set()
        self.reset_signals()
        logger.info("%s: stopping after the task in hand", signal.Signals(signum).name)

    def beat(self) -> None:
        """Touch the heartbeat file. Its age tells a health check that the loop is alive."""
        if self.heartbeat is not None:
            self.heartbeat.touch()

    def run_task(self, db_task_result: DBTaskResult) -> None:
        """Run one task, with a heartbeat before and after it; its lines in the log and in PostgreSQL's have its id."""
        self.beat()
        request_id.set(db_task_result.pk.hex)
        try:
            super().run_task(db_task_result)
        finally:
            request_id.set("")
        self.beat()

    def do_chores(self) -> None:
        """Send the mail that is due and take up lost tasks; every ten minutes, remove what nobody needs any more."""
        if self.running:
            mail.send_due()
        if self.running and time.monotonic() - self.looked_at >= LOST_SECONDS:
            self.looked_at = time.monotonic()
            lost.take_up(self.worker_id)
        if time.monotonic() - self.swept_at >= SWEEP_SECONDS:
            self.swept_at = time.monotonic()
            limits.sweep()
            mail.sweep()
            cleaning.clean()
            unverified.sweep()

    def run(self) -> None:
        """Work until a signal asks to stop. While the database does not answer it waits, without a heartbeat."""
        logger.info("worker started")
        while self.running:
            try:
                self.alive.hold()
                super().run()
                self.do_chores()
                self.beat()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the database does not answer: %s", " ".join(str(error).split()))
                connection.close()
            if self.once:
                break
            self.stop.wait(self.interval)
        self.alive.end()
        logger.info("worker stopped")
