"""What htmx needs to know about an answer that is not the part of the page it asked for."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRedirect, reselect, retarget


def fits(response: HttpResponse) -> HttpResponse:
    """`response`, marked as an error that goes where htmx wanted the answer: a form with what is wrong with it."""
    response.fits = True  # type: ignore[attr-defined]
    return response


class HtmxErrorsMiddleware:
    """Shows an error page in place of the page's content, and log-in as a page of its own, when htmx asked.

    Else an expired session would put the log-in form, or nothing, where a comment should be.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if "HX-Request" not in request.headers:
            return response
        location = response.headers.get("Location", "")
        if location.partition("?")[0] == resolve_url(settings.LOGIN_URL):
            return HttpResponseClientRedirect(location)
        if response.status_code >= 400 and not getattr(response, "fits", False):
            retarget(response, "#main")
            reselect(response, "#main > *")
            response.headers["HX-Reswap"] = "innerHTML show:window:top"
        return response
