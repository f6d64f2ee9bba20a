"""The accounts application."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models import CharField, EmailField
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """People: authors, readers, staff."""

    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        """Allow `username__lower=…`, which uses the index of the case-insensitive uniqueness."""
        CharField.register_lookup(Lower)
        EmailField.register_lookup(Lower)
