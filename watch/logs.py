"""`make logs`: filters the lines of all services and prints them, those that are there already in the order of time.

A line comes as `SOURCE | TIME TEXT`, as Compose prints it and the local engine keeps it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from watch.entries import SERVICES, Entry, entry, readable, timestamp

LINES = 200


@dataclass(frozen=True)
class Wanted:
    """Which lines: of a request (its id or the beginning of it), of a service, at least that grave, not older."""

    request: str = ""
    service: str = ""
    level: int = logging.NOTSET
    since: float = 0.0

    @property
    def everything(self) -> bool:
        """Whether one looks for something in the whole log, and not at its end."""
        return bool(self.request or self.since)

    def has(self, found: Entry, at: float) -> bool:
        """Whether a line is one of them."""
        return (
            found.request.startswith(self.request)
            and self.service in ("", found.service)
            and found.level >= self.level
            and at >= self.since
        )


def wanted() -> Wanted:
    """What REQUEST, SERVICE, LEVEL and SINCE_SECONDS ask for; bin/stack has checked them."""
    level = os.environ.get("LEVEL", "").upper()
    since = os.environ.get("SINCE_SECONDS", "")
    return Wanted(
        os.environ.get("REQUEST", "").lower(),
        os.environ.get("SERVICE", ""),
        logging.getLevelNamesMapping()[level] if level else logging.NOTSET,
        float(since) if since else 0.0,
    )


def chosen(lines: Iterable[str], wish: Wanted) -> Iterator[tuple[float, Entry]]:
    """The entries among `lines` that are wanted, with their times."""
    before: dict[str, tuple[float, Entry]] = {}
    for line in lines:
        source, bar, rest = line.replace("\x1b[2K", "").rstrip("\n").partition(" | ")
        source = source.strip()
        service = source.rpartition("-")[0] or source
        if not bar or (wish.service and SERVICES.get(service, service) != wish.service):
            continue
        time, _, text = rest.partition(" ")
        at = timestamp(time)
        last = before.get(source)
        if at is None:
            # Of a text in several lines only the first has a time.
            at, text = (last[0] if last else 0.0), rest
        found = entry(service, text, last[1] if last else None)
        before[source] = at, found
        if wish.has(found, at):
            yield at, found


def show(lines: Iterable[str], wish: Wanted, live: bool) -> int:
    """Print what is wanted of `lines`: as they come when `live`, else sorted, the last LINES unless everything is.

    Returns how many were printed.
    """
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    count = 0
    found = chosen(lines, wish)
    if not live:
        ordered = sorted(found, key=lambda item: item[0])
        found = iter(ordered if wish.everything else deque(ordered, LINES))
    for at, item in found:
        print(readable(item, colour, at), flush=live)
        count += 1
    return count


def main(mode: str) -> int:
    """Show standard input; `mode` is past or live. Status 1 when a request was asked for and no line names it."""
    wish = wanted()
    try:
        count = show(sys.stdin, wish, mode == "live")
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return nothing(wish) if mode == "past" and not count else 0


def nothing(wish: Wanted) -> int:
    """Say that nothing was found, where that is an answer; returns the exit status."""
    if not wish.request:
        return 0
    print(f"error: no line names the request {wish.request}: the id is on the error page and in X-Request-ID, the log "
          "keeps some 30 MB a service", file=sys.stderr)  # fmt: skip
    return 1
