"""Addresses that are secrets themselves, sent by mail or shown once: who has one may do what it is for.

What follows one of these prefixes is in no log line: of nginx (services/proxy/site.conf has the same prefixes), of
uWSGI or of Django. Browsers are told not to pass it on.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

SECRET_PATHS = ("/account/confirm-email/", "/account/password/reset/key/", "/preview/", "/unsubscribe/")
SECRET = re.compile(f"({'|'.join(map(re.escape, SECRET_PATHS))})[^/?#\\s\"'<>]+")


def masked(text: str) -> str:
    """`text` without the secret parts of the addresses in it: `/preview/***/`."""
    return SECRET.sub(r"\1***", text)


class SecretPathsMiddleware:
    """Lets browsers name no more than the site as the page that such an address led from.

    `no-referrer` would take the Origin from the forms of these pages as well, and CSRF protection needs that.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path_info.startswith(SECRET_PATHS):
            response.headers.setdefault("Referrer-Policy", "strict-origin")
        return response
