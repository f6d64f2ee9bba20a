"""One id for a request, made by nginx, in every log line of nginx, uWSGI, Django and PostgreSQL.

PostgreSQL learns it as the `application_name` of the session, which stands in front of each line that it writes (see
log_line_prefix in services/db/postgresql.conf) and in pg_stat_activity.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INERROR

request_id: ContextVar[str] = ContextVar("request_id", default="")
FORM = re.compile(r"[0-9a-f]{32}")
# Not SET: each would have a line of its own in the statistics of statements.
SET_NAME = "SELECT set_config('application_name', '{}', false)"
RESET_NAME = "RESET application_name"


class RequestIdMiddleware:
    """Keep the id that nginx sent, or a new one, where the log formatters and the database wrapper find it.

    It is not taken back when the response leaves this middleware: Django logs the answer's status after that. The
    signal `request_finished` does it (config.apps).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id.set(sent if FORM.fullmatch(sent) else uuid.uuid4().hex)
        return self.get_response(request)


def forget(**_: object) -> None:
    """Receiver of `request_finished`: what is logged between two requests belongs to neither."""
    request_id.set("")


class SessionName:
    """A Django execute wrapper of one connection: sees to it that PostgreSQL knows whose statements these are.

    The name travels with the first statement that needs it, so it costs no round trip. PostgreSQL takes it back with
    the transaction or savepoint it was set in, hence the bookkeeping; what is in doubt is set again.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A new session has the name that it was opened with."""
        self.name: str | None = ""
        self.lasting = True
        self.savepoints: tuple[Any, ...] = ()

    def stands(self, name: str, idle: bool, savepoints: tuple[Any, ...]) -> bool:
        """Whether the session has that name; `idle` when no transaction is open."""
        if self.name != name:
            return False
        return self.lasting or (not idle and savepoints[: len(self.savepoints)] == self.savepoints)

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        connection, name = context["connection"], request_id.get()
        status = connection.connection.info.transaction_status
        idle, savepoints = status == TRANSACTION_STATUS_IDLE, tuple(connection.savepoint_ids)
        set_here = not self.stands(name, idle, savepoints) and status != TRANSACTION_STATUS_INERROR
        # A name that is set beside these would be taken back with the savepoint.
        if isinstance(sql, str) and sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            set_here = False
        try:
            if set_here:
                statement = SET_NAME.format(name) if name else RESET_NAME
                if isinstance(sql, str) and not many and getattr(context["cursor"].cursor, "name", None) is None:
                    sql = f"{statement}; {sql}"
                else:
                    # One of several rows, or what is declared as a cursor, takes no second statement.
                    with connection.connection.cursor() as cursor:
                        cursor.execute(statement)
            result = execute(sql, params, many, context)
        except BaseException:
            self.name = None
            raise
        if set_here:
            self.name, self.lasting, self.savepoints = name, idle and connection.get_autocommit(), savepoints
        return result


def wrap_connection(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Receiver of `connection_created`: puts the wrapper on a connection, once however often it reconnects."""
    for wrapper in connection.execute_wrappers:
        if isinstance(wrapper, SessionName):
            wrapper.reset()
            return
    connection.execute_wrappers.append(SessionName())
