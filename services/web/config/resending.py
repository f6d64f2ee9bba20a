"""No text is lost: what was typed into a form that was refused stands on the page that says so, to be sent again.

It is one mechanism for all forms: after an ended session (ResendingMiddleware), an expired form (config.errors), a
limit (config.limits) and a failure of the database (config.errors). Passwords and files are never repeated, and nothing
that came from another site is. Nothing is sent by itself: the page shows the texts, where they go, and as whose.

Logging in makes the token of such a page invalid. So who logs in meanwhile, as whomever, sees the same page once more,
with the own name, before anything is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, QueryDict, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

SECRET = re.compile(r"password|passphrase|secret|credential|csrf|otp|(\A|[-_])code\Z", re.IGNORECASE)
MOST_FIELDS = 200
LARGEST_CHARACTERS = 1_000_000
# The fields that are typed: shown, where all others go along unseen.
LABELS: dict[str, str | Promise] = {
    "alt": _("Description"),
    "bio": _("About you"),
    "body": _("Text"),
    "canonical_url": _("Original address"),
    "cover_alt": _("Description of the cover"),
    "description": _("Description"),
    "display_name": _("Display name"),
    "email": _("E-mail address"),
    "login": _("User name or e-mail address"),
    "name": _("Name"),
    "new_category": _("New category"),
    "note": _("Note"),
    "slug": _("Address"),
    "summary": _("Summary"),
    "tagline": _("Tagline"),
    "tags": _("Tags"),
    "text": _("Text"),
    "title": _("Title"),
    "username": _("User name"),
}


class Field(NamedTuple):
    """One value of a form; without a label it is not shown."""

    name: str
    value: str
    label: str | Promise


class Sent(NamedTuple):
    """What a refused form held, and where it was sent."""

    address: str
    fields: list[Field]
    had_files: bool
    had_secrets: bool


def is_own(request: HttpRequest) -> bool:
    """Whether nothing says that the form stood on another site: neither of the headers by which browsers tell."""
    own = (settings.SITE_URL, f"{request.scheme}://{request.get_host()}")
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    if origin := request.headers.get("Origin"):
        return origin in own
    referer = urlsplit(request.headers.get("Referer") or settings.SITE_URL)
    return f"{referer.scheme}://{referer.netloc}" in own


def posted(request: HttpRequest) -> QueryDict:
    """The fields of a form; none where it cannot be read."""
    try:
        return request.POST
    except (UnreadablePostError, SuspiciousOperation, MultiPartParserError):
        return QueryDict()


def label_of(name: str, value: str) -> str | Promise:
    """What a value is shown as; empty for one that nobody typed. Words in an unknown field are shown by its name."""
    words = not value.isascii() or re.search(r"\s", value.strip())
    return LABELS.get(name, name if words else "") if value.strip() else ""


def sent_by(request: HttpRequest) -> Sent | None:
    """What `request` may be offered to send again; None if that is nothing typed, too much, or of another site."""
    if request.method != "POST" or not is_own(request):
        return None
    pairs = [(name, value) for name, values in posted(request).lists() for value in values]
    kept = [Field(name, value, label_of(name, value)) for name, value in pairs if not SECRET.search(name)]
    size = sum(len(field.name) + len(field.value) for field in kept)
    if len(kept) > MOST_FIELDS or size > LARGEST_CHARACTERS or not any(field.label for field in kept):
        return None
    had_secrets = any("password" in name and value for name, value in pairs)
    return Sent(request.get_full_path(), kept, bool(request.FILES), had_secrets)


def asks_to_log_in(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Whether `response` sends an anonymous reader to log-in, to come back afterwards."""
    location = urlsplit(response.headers.get("Location", ""))
    places = (resolve_url(settings.LOGIN_URL), reverse("admin:login"))
    return location.path in places and "next=" in location.query and not request.user.is_authenticated


class ResendingMiddleware:
    """Answers a text of somebody whose session has ended with 403 and that text, instead of the way to log-in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.method != "POST" or not asks_to_log_in(request, response):
            return response
        sent = sent_by(request)
        # With a password it was a log-in, somewhere else.
        if sent is None or sent.had_secrets:
            return response
        page = render(request, "logged_out.html", {"sent": sent}, status=403)
        add_never_cache_headers(page)
        return page
