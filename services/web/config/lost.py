"""Takes up again the tasks of workers that died with one in hand: killed, or their machine was.

Each worker holds a lock of PostgreSQL under its id, on a connection of its own that lives as long as the worker does.
A task that runs for a worker whose lock nobody holds is lost. One that is marked `@idempotent` is queued again; any
other may have done half of its work, so it is marked as failed, for people to look at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg2
from django.db import connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

logger = logging.getLogger(__name__)

# The first of the two keys of an advisory lock; the second is a hash of the worker's id.
KEY = 0x511D3A8
Function = TypeVar("Function", bound=Callable[..., Any])


def idempotent(function: Function) -> Function:
    """Mark the function of a task that may be run again after a run that ended anywhere."""
    function.idempotent = True  # type: ignore[attr-defined]
    return function


class Alive:
    """The sign that a worker lives."""

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        self.connection: Any = None

    def hold(self) -> None:
        """Hold the lock, again when the connection was lost. Raises django.db.DatabaseError when it cannot."""
        with connection.wrap_database_errors:
            if self.connection is not None:
                try:
                    with self.connection.cursor() as cursor:
                        cursor.execute("SELECT 1")
                    return
                except psycopg2.Error:
                    self.connection = None
            opened = connection.get_new_connection(connection.get_connection_params())
            opened.autocommit = True
            with opened.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [KEY, self.worker_id])
            self.connection = opened

    def end(self) -> None:
        """Let go."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def is_idempotent(task_path: str) -> bool:
    """Whether the function of a task is marked so; one that this code does not know is not."""
    try:
        return bool(getattr(import_string(task_path).func, "idempotent", False))
    except (ImportError, AttributeError):
        return False


def take_up(own_id: str) -> int:
    """Queue again, or mark as failed, what other workers died with; returns how many tasks.

    Likewise what the worker `own_id`, which has none in hand now, lost: the database went away before it could note the
    end of a task.
    """
    taken = 0
    with transaction.atomic(), connection.cursor() as cursor:
        running = DBTaskResult.objects.filter(status=TaskResultStatus.RUNNING).select_for_update(skip_locked=True)
        for result in running:
            worker = result.worker_ids[-1] if result.worker_ids else ""
            if worker != own_id:
                # It is let go with the transaction.
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [KEY, worker])
                if not cursor.fetchone()[0]:
                    continue
            taken += 1
            if is_idempotent(result.task_path):
                result.status, result.started_at = TaskResultStatus.READY, None
                logger.warning(
                    "task %s (%s) is queued again: its worker or the database was gone", result.pk, result.task_path
                )
            else:
                result.status, result.finished_at = TaskResultStatus.FAILED, timezone.now()
                result.traceback = (
                    "The worker or the database ended with this task in hand; it is not marked as idempotent."
                )
                logger.error("task %s (%s) is lost: its worker or the database was gone", result.pk, result.task_path)
            result.save(update_fields=["status", "started_at", "finished_at", "traceback"])
    return taken
