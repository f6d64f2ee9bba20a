"""Error answers that Django's own views do not give as this site wants them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid token: 403 with a page in the reader's language instead of Django's English one."""
    return render(request, "403_csrf.html", status=403)
