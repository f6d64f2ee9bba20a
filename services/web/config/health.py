"""The two health answers: /healthz for the process, /readyz for what it needs before it may get traffic."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseNotAllowed, JsonResponse
from django.http.response import HttpResponseBase

from config import circuit

logger = logging.getLogger(__name__)


def unready_reason() -> str:
    """Why this process should get no traffic; empty when it may. Two or three queries, no locks.

    A database with migrations that this code does not know is fine: that is the schema of the next release, which
    still carries this one (expand, then contract).
    """
    if not circuit.is_closed():
        return "the database does not answer"
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, InterfaceError) as error:
        logger.warning("not ready: %s", " ".join(str(error).split()))
        connection.close()
        return "the database does not answer"
    if plan:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:3])
        return f"{len(plan)} migrations are not applied: {names}{' …' if len(plan) > 3 else ''}"
    return ""


def healthz() -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok", "release": settings.RELEASE})


def readyz() -> JsonResponse:
    """The database answers and its schema is at least this code's; 503 with the reason otherwise."""
    if reason := unready_reason():
        return JsonResponse({"status": "unavailable", "release": settings.RELEASE, "reason": reason}, status=503)
    return JsonResponse({"status": "ok", "release": settings.RELEASE})


ANSWERS: dict[str, Callable[[], JsonResponse]] = {"/healthz": healthz, "/readyz": readyz}


class HealthMiddleware:
    """Answers the health addresses before anything else can refuse: a check over the socket has no public Host."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = ANSWERS.get(request.path_info)
        if answer is None:
            return self.get_response(request)
        response = answer() if request.method in ("GET", "HEAD") else HttpResponseNotAllowed(["GET", "HEAD"])
        response["Cache-Control"] = "no-store"
        return response
