"""Error answers that Django's own views do not give as this site wants them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import render
from django.template.loader import get_template
from django.templatetags.static import static
from django.views.defaults import server_error as plain_server_error


def server_error(request: HttpRequest) -> HttpResponse:
    """Something broke: the page that needs neither database nor session, with the stylesheet if that can be named."""
    try:
        page = get_template("500.html").render({"stylesheet": static("site.css")})
    except Exception:  # noqa: BLE001  (whatever broke may have broken this too)
        return plain_server_error(request)
    return HttpResponseServerError(page)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid token: 403 with a page in the reader's language instead of Django's English one."""
    return render(request, "403_csrf.html", status=403)
