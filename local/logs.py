"""Makes the stack's log readable: one line an entry, the source in front, JSON entries as text."""

from __future__ import annotations

import json
import logging
import re
from collections import deque

from local.processes import COLOURS

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Recent(logging.Handler):
    """Keeps the newest records, so that a failed start can show what the part that failed said."""

    def __init__(self, count: int = 1000) -> None:
        super().__init__()
        self.records: deque[logging.LogRecord] = deque(maxlen=count)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Readable(logging.Formatter):
    """Formats records that have a `source`; entries in JSON become `status method uri` or `level message`."""

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self.colour = colour

    def format(self, record: logging.LogRecord) -> str:
        return readable(getattr(record, "source", "stack"), record.getMessage(), self.colour)


def readable(source: str, message: str, colour: bool) -> str:
    """One log line for people. `message` may be JSON of the proxy or of Django; anything else stays as it is."""
    prefix = f"{source:<8} │ "
    if colour:
        prefix = f"\033[{COLOURS.get(source, 37)}m{prefix}\033[0m"
    # What strangers send must not steer the terminal.
    return prefix + CONTROL.sub("\N{REPLACEMENT CHARACTER}", _text(message))


def _text(message: str) -> str:
    if not message.startswith("{"):
        return message
    try:
        entry = json.loads(message)
    except ValueError:
        return message
    if "uri" in entry and "status" in entry:
        milliseconds = float(entry.get("seconds") or 0) * 1000
        return f"{entry['status']} {entry['method']} {entry['uri']}  {milliseconds:.0f} ms  {entry['request_id'][:8]}"
    text = f"{str(entry.get('level', '')).upper()} {entry.get('message', message)}".strip()
    if entry.get("request_id"):
        text += f"  {str(entry['request_id'])[:8]}"
    if entry.get("exception"):
        text += f"\n{entry['exception']}"
    return text
