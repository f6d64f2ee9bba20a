"""Error answers that Django's own views do not give as this site wants them."""

from __future__ import annotations

import errno
import sys

import psycopg2
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template.loader import get_template
from django.templatetags.static import static
from django.utils.cache import add_never_cache_headers
from django.views.defaults import server_error as plain_server_error

from config.request_id import request_id
from config.resending import sent_by

RETRY_SECONDS = 10


def is_away(error: BaseException | None) -> bool:
    """Whether `error` says that the database went away. One cut off in mid-statement raises the bare base class."""
    cut = type(error) is DatabaseError and isinstance(error.__cause__, psycopg2.Error)
    return cut or isinstance(error, OperationalError | InterfaceError)


def error_page(request: HttpRequest, status: int) -> HttpResponse:
    """The page that needs neither database nor session, with the stylesheet if that can be named.

    What was typed stands in the page, to be sent again. With 503 it says when.
    """
    try:
        sent = sent_by(request)
        token = get_token(request) if sent else ""
        context = {"stylesheet": static("site.css"), "code": str(status), "sent": sent, "token": token}
        context["request_id"] = request_id.get()
        page = get_template("500.html").render(context)
    except Exception:  # noqa: BLE001  (whatever broke may have broken this too)
        return plain_server_error(request)
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else None
    response = HttpResponse(page, status=status, headers=headers)
    add_never_cache_headers(response)
    return response


def unavailable(request: HttpRequest) -> HttpResponse:
    """503: something that the site needs is away for a while."""
    return error_page(request, 503)


def server_error(request: HttpRequest) -> HttpResponse:
    """Something broke: 503 when the database went away or a disk is full, which pass by themselves, else 500."""
    error = sys.exception()
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return error_page(request, 503 if is_away(error) or full else 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid token: 403 with a page in the reader's language instead of Django's English one.

    What was typed into a form of this site stands in the page, to be sent again; nothing that another site sent does.
    """
    return render(request, "403_csrf.html", {"sent": sent_by(request)}, status=403)
