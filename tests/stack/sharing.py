"""Stacks that many modules use: their tests follow each other, and after the last of them the stack ends.

An idle stack still asks itself for its health, and two cores are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# In the order in which they run; tests that use none of them come first.
SHARED = ("local_prod", "docker_prod", "backed_up", "deploys")

_ends: dict[str, Callable[[], None]] = {}


@contextmanager
def shared(name: str, end: Callable[[], None]) -> Iterator[None]:
    """A fixture's stack for the length of the block: `end` is called once, after its last test or after the block."""
    _ends[name] = end
    try:
        yield
    finally:
        finish(name)


def finish(name: str) -> None:
    """End a shared stack, if it runs."""
    if end := _ends.pop(name, None):
        end()


def used(item: pytest.Item) -> set[str]:
    """The shared stacks that a test uses."""
    names = set(getattr(item, "fixturenames", ()))
    if "stack" in names and (call := getattr(item, "callspec", None)):
        names.add(f"{call.params.get('stack')}_prod")
    return names & set(SHARED)


def together(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests in an order in which those of each shared stack follow each other; the others keep their places."""
    order = {item: max(map(SHARED.index, used(item)), default=-1) for item in items}
    places = [place for place, item in enumerate(items) if Path(__file__).parent in item.path.parents]
    result = list(items)
    for place, item in zip(places, sorted((items[place] for place in places), key=order.__getitem__), strict=True):
        result[place] = item
    return result


def last_users(items: list[pytest.Item]) -> dict[pytest.Item, set[str]]:
    """The shared stacks that no later test uses, by the test after which that is so."""
    last = {name: item for item in items for name in used(item)}
    return {item: {name for name in last if last[name] is item} for item in last.values()}
