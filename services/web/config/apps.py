"""The project itself as an application: it has commands, a migration for the cache table, and signal receivers."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import request_finished
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _

from config import request_id, statements


class ProjectConfig(AppConfig):
    """Connects the database with the request id and the log, and the end of a request."""

    name = "config"
    verbose_name = _("Operation")

    def ready(self) -> None:
        """Connect the receivers."""
        # The outer one first: it is to log the statement as the application made it.
        connection_created.connect(statements.wrap_connection, dispatch_uid="statements")
        connection_created.connect(request_id.wrap_connection, dispatch_uid="request_id")
        request_finished.connect(request_id.forget, dispatch_uid="request_id")
