"""The stack's log while it runs: its newest lines, and the console's."""

from __future__ import annotations

import logging
import time
from collections import deque

from watch.entries import entry, readable


class Recent(logging.Handler):
    """Keeps the newest records, so that a failed start can show what the part that failed said."""

    def __init__(self, count: int = 1000) -> None:
        super().__init__()
        self.records: deque[logging.LogRecord] = deque(maxlen=count)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Readable(logging.Formatter):
    """Formats records that have a `source` for people."""

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self.colour = colour

    def format(self, record: logging.LogRecord) -> str:
        return readable(entry(getattr(record, "source", "stack"), record.getMessage()), self.colour)


class Kept(logging.Formatter):
    """Formats records that have a `source` for the log file, as Compose prints its lines: `web | TIME message`."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(source)s | %(asctime)s.%(msecs)03dZ %(message)s", "%Y-%m-%dT%H:%M:%S")
