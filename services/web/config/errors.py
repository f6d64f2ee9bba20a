"""Error answers that Django's own views do not give as this site wants them."""

from __future__ import annotations

from django.conf import settings
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
    """A form without a valid token: 403 with a page in the reader's language instead of Django's English one.

    What was typed into a form of this site stands in the page, to be sent again; nothing that another site sent does.
    """
    view = getattr(request.resolver_match, "func", None)
    own = request.headers.get("Origin", settings.SITE_URL) in (
        settings.SITE_URL,
        f"{request.scheme}://{request.get_host()}",
    )
    sent = request.POST.lists() if own and getattr(view, "keeps_text", False) else None
    return render(request, "403_csrf.html", {"sent": sent}, status=403)
