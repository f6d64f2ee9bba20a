"""Prints the steps with the time each took, as bin/steps.sh does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class DeployError(Exception):
    """It cannot go on; the message says why and how to mend it, in one line. `detail` is what else was said."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(" ".join(message.split()))
        self.detail = detail


def paint(code: str, text: str) -> str:
    """`text` in a colour, on a terminal that has them."""
    return f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text


def say(mark: str, text: str, right: str = "") -> None:
    """One line of progress."""
    print(f"  {mark}  {text:<60} {paint('2', right)}".rstrip(), flush=True)


@contextmanager
def step(text: str) -> Iterator[list[str]]:
    """Print `text` with the time the block took; what the block appends to the list stands after it."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        print(f"  …  {text}\r", end="", flush=True)
    started = time.monotonic()
    notes: list[str] = []
    try:
        yield notes
    except BaseException as error:
        print(f"  {paint('31', '✗')}  {text}", flush=True)
        if isinstance(error, DeployError) and error.detail:
            for line in error.detail.splitlines()[-25:]:
                print(f"     {line}", file=sys.stderr)
            sys.stderr.flush()
        raise
    full = f"{text} ({'; '.join(notes)})" if notes else text
    say(paint("32", "✓"), full, f"{time.monotonic() - started:.1f} s")
