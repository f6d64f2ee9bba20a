"""What a reader may choose without an account: language and colour scheme, each kept in a cookie.

The forms carry no CSRF token: a token would set a cookie on every public page and make each of them differ from request
to request, so that none could be cached. What a forged request could do here is switch somebody's colours; it is
refused all the same, by its Origin.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django.views.i18n import set_language as django_set_language

THEMES = ("light", "dark", "auto")
THEME_COOKIE = "theme"
YEAR_SECONDS = 365 * 24 * 60 * 60

View = Callable[[HttpRequest], HttpResponse]


def same_origin(view: View) -> View:
    """Refuse (403) a request that a browser says comes from another origin."""

    @wraps(view)
    def checked(request: HttpRequest) -> HttpResponse:
        origin = request.headers.get("Origin")
        if origin and origin not in (settings.SITE_URL, f"{request.scheme}://{request.get_host()}"):
            raise PermissionDenied("another origin")
        return view(request)

    return csrf_exempt(checked)


def theme_of(request: HttpRequest) -> str:
    """The colour scheme that this reader chose: light, dark, or auto (as the system)."""
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    return theme if theme in THEMES else "auto"


def way_back(request: HttpRequest) -> str:
    """Where to go after a choice: the form's `next`, else the page the form was on; only within this site."""
    for address in (request.POST.get("next"), request.headers.get("Referer")):
        if address and url_has_allowed_host_and_scheme(
            address, {request.get_host()}, require_https=request.is_secure()
        ):
            return address
    return "/"


@same_origin
@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep the colour scheme of the form's `theme` for a year and go back; 400 when it is none."""
    theme = request.POST.get("theme", "")
    if theme not in THEMES:
        return HttpResponseBadRequest("theme must be light, dark or auto", content_type="text/plain")
    response = HttpResponseRedirect(way_back(request))
    response.set_cookie(THEME_COOKIE, theme, max_age=YEAR_SECONDS, secure=settings.HTTPS, httponly=True, samesite="Lax")
    return response


@same_origin
@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Keep the language of the form's `language` for a year and go back; an unknown language changes nothing."""
    return django_set_language(request)
