"""The application of notifications."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NoticesConfig(AppConfig):
    """Tells people what happened to their articles and comments, on the site and by mail."""

    name = "notices"
    verbose_name = _("Notifications")

    def ready(self) -> None:
        """Hear of comments."""
        from notices import telling

        telling.connect()
