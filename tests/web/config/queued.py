"""Tasks that only the tests queue."""

from __future__ import annotations

from collections.abc import Callable

from django_tasks import task

from config.lost import idempotent

during: list[Callable[[], None]] = []


@task()
def note(text: str) -> str:
    """Return `text`, after whatever the test wants to happen during a task."""
    for happen in during:
        happen()
    return text


@task()
@idempotent
def note_again(text: str) -> str:
    """The same, which may be run twice."""
    return text
