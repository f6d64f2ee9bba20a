"""The moderation application."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class ModerationConfig(AppConfig):
    """Reports, the moderators' rights, the audit log."""

    name = "moderation"
    verbose_name = _("Moderation")

    def ready(self) -> None:
        """Connect what is recorded, and make the group of moderators after each migration."""
        from moderation import recording, roles

        recording.connect()
        post_migrate.connect(roles.make_group, sender=self, dispatch_uid="moderators")
