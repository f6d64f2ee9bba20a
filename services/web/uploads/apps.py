"""The uploads application."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class UploadsConfig(AppConfig):
    """Pictures that people upload, their sizes, and where they are used."""

    name = "uploads"
    verbose_name = _("Pictures")

    def ready(self) -> None:
        """Connect what takes an account's pictures along."""
        from uploads import storing

        storing.connect()
