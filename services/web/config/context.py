"""What every template may use, beside Django's own."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from config.preferences import theme_of


def canonical_url(request: HttpRequest) -> str:
    """The public address of the page at `request`: its path, and of the query only a page number above 1."""
    page = request.GET.get("page", "")
    query = f"?page={page}" if page.isascii() and page.isdigit() and int(page[:9]) > 1 else ""
    return f"{settings.SITE_URL}{request.path}{query}"


def site(request: HttpRequest) -> dict[str, Any]:
    """Context processor: the site's name and origin, the release, the reader's colour scheme, the canonical address."""
    return {
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
        "release": settings.RELEASE,
        "theme": theme_of(request),
        "canonical_url": canonical_url(request),
    }
