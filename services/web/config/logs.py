"""Log lines: JSON for machines, text for people, both with the request's id.

No line ever holds a request's body, cookies or headers: the formatters write the message, the place and the traceback
(which has no values of variables), and nothing else of the record. Of an error of PostgreSQL they leave out the rest,
which repeats the values of the statement or a whole row; secret parts of addresses are masked.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import TypeAlias

import psycopg2
from django.db import Error

from config.request_id import request_id
from config.secret_paths import masked

COLOURS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


class RequestIdFilter(logging.Filter):
    """Gives each record the attribute `request_id`, empty outside a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


ExceptionInfo: TypeAlias = "tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]"


def described(error: BaseException) -> str:
    """The line of an exception: its class and message, of an error of the database without the statement's values."""
    text = str(error)
    if isinstance(error, (Error, psycopg2.Error)):
        cause = error if isinstance(error, psycopg2.Error) else error.__cause__
        diagnosed = cause.diag.message_primary if isinstance(cause, psycopg2.Error) else None
        text = diagnosed or text.partition("\n")[0]
    name = type(error).__qualname__
    if type(error).__module__ != "builtins":
        name = f"{type(error).__module__}.{name}"
    return f"{name}: {text}" if text else name


def formatted(error: BaseException) -> str:
    """A traceback as Python prints it, with those of the exceptions that led to this one."""
    before = ""
    if error.__cause__ is not None:
        before = (
            f"{formatted(error.__cause__)}\n\nThe above exception was the direct cause of the following exception:\n\n"
        )
    elif error.__context__ is not None and not error.__suppress_context__:
        before = (
            f"{formatted(error.__context__)}\n\nDuring handling of the above exception, another exception occurred:\n\n"
        )
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{before}Traceback (most recent call last):\n{frames}{described(error)}"


class Formatter(logging.Formatter):
    """What both formats leave out."""

    def message(self, record: logging.LogRecord) -> str:
        """The message of `record`, without secret addresses."""
        return masked(record.getMessage())

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802  (logging's name)
        return masked(formatted(ei[1])) if ei[1] is not None else ""


class JsonFormatter(Formatter):
    """One JSON object a line: time (UTC), level, logger, message, request_id, and status and exception where known."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self.message(record),
            "request_id": getattr(record, "request_id", ""),
        }
        if isinstance(status := getattr(record, "status_code", None), int):
            line["status"] = status
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(Formatter):
    """A line to read: time, level, logger, message, the first digits of the request's id; the traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        level = f"\x1b[{COLOURS.get(record.levelname, '0')}m{record.levelname:<7}\x1b[0m"
        message = self.message(record).replace("\x1b", "\\x1b")
        identity = getattr(record, "request_id", "")
        line = f"{time} {level} {record.name}: {message}" + (f" [{identity[:8]}]" if identity else "")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
