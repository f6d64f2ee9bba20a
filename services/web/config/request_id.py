"""One id for a request, made by nginx, in every log line of nginx, Django and PostgreSQL."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest
from django.http.response import HttpResponseBase

request_id: ContextVar[str] = ContextVar("request_id", default="")
FORM = re.compile(r"[0-9a-f]{32}")


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


def comment_statement(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """A Django execute wrapper that ends each statement with the id as a comment, for PostgreSQL's log."""
    current = request_id.get()
    if current and isinstance(sql, str):
        sql = f"{sql} /* request_id={current} */"
    return execute(sql, params, many, context)


def wrap_connection(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Receiver of `connection_created`: puts the wrapper on a connection, once however often it reconnects."""
    if comment_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(comment_statement)
