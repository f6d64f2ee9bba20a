"""Log lines: JSON for machines, text for people, both with the request's id.

No line ever holds a request's body, cookies or headers: the formatters write the message, the place and the traceback
(which has no values of variables), and nothing else of the record.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from config.request_id import request_id

COLOURS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


class RequestIdFilter(logging.Filter):
    """Gives each record the attribute `request_id`, empty outside a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, request_id, and status and exception where known."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", ""),
        }
        if isinstance(status := getattr(record, "status_code", None), int):
            line["status"] = status
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """A line to read: time, level, logger, message, the first digits of the request's id; the traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        level = f"\x1b[{COLOURS.get(record.levelname, '0')}m{record.levelname:<7}\x1b[0m"
        message = record.getMessage().replace("\x1b", "\\x1b")
        identity = getattr(record, "request_id", "")
        line = f"{time} {level} {record.name}: {message}" + (f" [{identity[:8]}]" if identity else "")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
