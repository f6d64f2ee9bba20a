"""When the debug toolbar is drawn (development only)."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def is_shown(request: HttpRequest) -> bool:
    """Whether to draw the toolbar: in DEBUG, for whoever asks (the proxy in front hides the client's address)."""
    return bool(settings.DEBUG)
