"""The blog application."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BlogConfig(AppConfig):
    """Articles, their categories, tags, comments and votes."""

    name = "blog"
    verbose_name = _("Blog")

    def ready(self) -> None:
        """Connect what keeps the counters true when an account goes, and what takes its articles along."""
        from blog import counters, leaving

        counters.connect()
        leaving.connect()
