"""The background worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django_tasks_db.models import DBTaskResult

from config.management.commands import worker as worker_command
from config.request_id import request_id
from config.worker import HeartbeatWorker
from tests.web.config import queued
from tests.web.config.test_environment import WEB

OPTIONS: dict[str, Any] = {
    "heartbeat": None,
    "interval": 0.01,
    "once": True,
    "queue_names": ["*"],
    "excluded_queue_names": [],
    "backend_name": "default",
    "max_tasks": None,
    "worker_id": "a-worker",
}


def a_worker(heartbeat: Path | None = None) -> HeartbeatWorker:
    """A worker that stops when the queue is empty."""
    return HeartbeatWorker(**{**OPTIONS, "heartbeat": heartbeat})


@pytest.fixture(autouse=True)
def in_the_tests_transaction(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The worker keeps the test's connection; each test says anew what happens during a task."""
    monkeypatch.setattr("django_tasks_db.management.commands.db_worker.close_old_connections", lambda: None)
    yield
    queued.during.clear()


def statuses() -> list[str]:
    """What became of the tasks, in the order in which they were queued."""
    return list(DBTaskResult.objects.order_by("enqueued_at").values_list("status", flat=True))


@pytest.mark.django_db
def test_a_queued_task_is_run() -> None:
    queued.note.enqueue("done")
    a_worker().run()
    assert DBTaskResult.objects.get().return_value == "done"


@pytest.mark.django_db
def test_the_lines_of_a_task_have_its_id() -> None:
    seen: list[str] = []
    queued.during.append(lambda: seen.append(request_id.get()))
    queued.note.enqueue("done")
    a_worker().run()
    assert seen == [DBTaskResult.objects.get().pk.hex]
    assert request_id.get() == ""


@pytest.mark.django_db
def test_every_turn_touches_the_heartbeat(tmp_path: Path) -> None:
    heartbeat = tmp_path / "beat"
    a_worker(heartbeat).run()
    assert heartbeat.exists()


@pytest.mark.django_db
def test_a_signal_lets_the_task_in_hand_finish_and_leaves_the_next() -> None:
    worker = a_worker()
    queued.during.append(lambda: worker.shutdown(signal.SIGTERM, None))
    queued.note.enqueue("first")
    queued.note.enqueue("second")
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGQUIT)
    try:
        worker.run()
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT), before, strict=True):
            signal.signal(number, handler)
    assert statuses() == ["SUCCESSFUL", "READY"]


@pytest.mark.django_db
def test_a_task_that_fails_is_kept_with_its_reason_and_the_next_is_run() -> None:
    def fail_first() -> None:
        queued.during.clear()
        raise ValueError("broken on purpose")

    queued.during.append(fail_first)
    queued.note.enqueue("first")
    queued.note.enqueue("second")
    a_worker().run()
    assert statuses() == ["FAILED", "SUCCESSFUL"]
    assert "broken on purpose" in DBTaskResult.objects.order_by("enqueued_at")[0].traceback


@pytest.mark.django_db
def test_a_database_that_does_not_answer_stops_the_heartbeat_but_not_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(*_arguments: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    heartbeat = tmp_path / "beat"
    monkeypatch.setattr("django_tasks_db.models.DBTaskResultQuerySet.get_locked", no_answer)
    monkeypatch.setattr(connection, "close", lambda: None)
    a_worker(heartbeat).run()
    assert not heartbeat.exists()


@pytest.fixture
def started_anew(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the development worker would have become."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, command: commands.append(command))
    return commands


@pytest.mark.parametrize(("status", "times"), [(0, 1), (1, 0)], ids=["a good edit", "a broken edit"])
def test_in_development_the_worker_starts_anew_after_a_good_edit_only(
    status: int, times: int, started_anew: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_command.ReloadingWorker(**OPTIONS)
    check: subprocess.CompletedProcess[bytes] = subprocess.CompletedProcess([], status)
    monkeypatch.setattr(subprocess, "run", lambda *_command, **_options: check)
    monkeypatch.setattr(worker_command, "snapshot", lambda _directory: {"views.py": (2, 2)})
    for _turn in range(2):
        worker.beat()
    assert len(started_anew) == times


def test_in_development_a_task_in_hand_is_not_interrupted_by_an_edit(
    started_anew: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_command.ReloadingWorker(**OPTIONS)
    monkeypatch.setattr(worker_command, "snapshot", lambda _directory: {"views.py": (2, 2)})
    worker.running_task = True
    worker.beat()
    assert started_anew == []


@pytest.mark.django_db(transaction=True)
def test_the_command_stops_with_status_0_on_sigterm(tmp_path: Path) -> None:
    heartbeat = tmp_path / "beat"
    environment = {
        **os.environ,
        "DATABASE_NAME": connection.settings_dict["NAME"],
        "HEARTBEAT_FILE": str(heartbeat),
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker"], cwd=WEB, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 20
        while not heartbeat.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _out, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert heartbeat.exists(), errors
    assert process.returncode == 0
    assert "worker stopped" in errors
