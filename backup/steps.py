"""Prints the steps of a verb with the time each took, as bin/steps.sh does."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator


def paint(code: int, text: str) -> str:
    """`text` in a colour, where there are colours."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{code}m{text}\033[0m"


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Time the block, and print whether it was left by an error."""
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print(f"  {paint(31, '✗')}  {text}", flush=True)
        raise
    print(f"  {paint(32, '✓')}  {text:<60} {paint(2, f'{time.monotonic() - started:.1f} s')}", flush=True)
