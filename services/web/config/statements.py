"""What the log says of slow and failed statements: their shape and the request's id, never a value.

PostgreSQL itself writes no statement of the site's roles (services/db/roles.sql): psycopg2 puts the values into the
text, and among them are session keys and hashes of passwords. Its line of an error has the request's id, too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import psycopg2
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

SLOW_SECONDS = 0.5
LONGEST = 2000


def shape(sql: object) -> str:
    """A statement with placeholders for its values, in one line, cut when it is long."""
    text = " ".join(str(sql).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def log_statement(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """A Django execute wrapper: WARNING for a statement that took long, INFO for one that failed."""
    started = time.perf_counter()
    try:
        result = execute(sql, params, many, context)
    except Error as error:
        code = error.__cause__.pgcode if isinstance(error.__cause__, psycopg2.Error) else None
        milliseconds = (time.perf_counter() - started) * 1000
        logger.info("statement failed (%s) after %.0f ms: %s", code or "no connection", milliseconds, shape(sql))
        raise
    seconds = time.perf_counter() - started
    if seconds >= SLOW_SECONDS:
        logger.warning("slow statement, %.0f ms: %s", seconds * 1000, shape(sql))
    return result


def wrap_connection(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Receiver of `connection_created`: puts the wrapper on a connection, once however often it reconnects."""
    if log_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(log_statement)
