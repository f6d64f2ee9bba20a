"""Tasks whose worker died with them in hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django_tasks_db.models import DBTaskResult

from config.lost import Alive, take_up
from tests.stack.local import wait_for
from tests.web.config import queued
from tests.web.config.test_worker import a_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def the_tests_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("django_tasks_db.management.commands.db_worker.close_old_connections", lambda: None)
    yield
    connection.close()


def in_the_hand_of(worker_id: str) -> None:
    """A worker has taken the only task."""
    DBTaskResult.objects.get().claim(worker_id)


def test_a_task_of_a_dead_worker_is_run_again() -> None:
    queued.note_again.enqueue("once more")
    in_the_hand_of("dead")
    a_worker().run()
    # The first turn takes it up, the next runs it.
    a_worker().run()
    result = DBTaskResult.objects.get()
    assert (result.status, result.return_value) == ("SUCCESSFUL", "once more")
    assert result.worker_ids == ["dead", "a-worker"]


def test_a_task_of_a_living_worker_is_left_to_it() -> None:
    queued.note_again.enqueue("in hand")
    in_the_hand_of("living")
    living = Alive("living")
    living.hold()
    try:
        assert take_up("another") == 0
        assert DBTaskResult.objects.get().status == "RUNNING"
    finally:
        living.end()
    # PostgreSQL notices that it is gone a moment later.
    wait_for(lambda: take_up("another") == 1)


def test_a_task_that_must_not_be_done_twice_is_marked_as_failed() -> None:
    queued.note.enqueue("half done")
    in_the_hand_of("dead")
    assert take_up("another") == 1
    result = DBTaskResult.objects.get()
    assert result.status == "FAILED"
    assert "not marked as idempotent" in result.traceback
    assert take_up("another") == 0


def test_a_task_whose_end_could_not_be_noted_is_queued_again_by_its_own_worker() -> None:
    """The database went away in the middle, and the worker is the same afterwards."""
    queued.note_again.enqueue("in hand")
    in_the_hand_of("living")
    living = Alive("living")
    living.hold()
    try:
        assert take_up("living") == 1
        assert DBTaskResult.objects.get().status == "READY"
    finally:
        living.end()


def test_a_worker_that_lost_its_connection_holds_its_lock_again() -> None:
    queued.note_again.enqueue("in hand")
    in_the_hand_of("living")
    living = Alive("living")
    living.hold()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [living.connection.get_backend_pid()])
    try:
        living.hold()
        assert take_up("another") == 0
    finally:
        living.end()
