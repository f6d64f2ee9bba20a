"""The blog application."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BlogConfig(AppConfig):
    """Articles, their categories, tags, comments and votes."""

    name = "blog"
    verbose_name = _("Blog")

    def ready(self) -> None:
        """Connect what keeps counters and search index true, and what takes an account's articles along."""
        from blog import counters, leaving, search, showing

        counters.connect()
        leaving.connect()
        search.connect()
        showing.connect()
