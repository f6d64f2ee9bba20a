"""Mail on its way: the outbox."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class OutgoingMailQuerySet(models.QuerySet["OutgoingMail"]):
    """Mail by what became of it."""

    def due(self) -> Self:
        """What is to be sent now, the oldest first."""
        return self.filter(next_attempt_at__lte=timezone.now()).order_by("next_attempt_at", "pk")

    def sent(self) -> Self:
        """What the mail server took."""
        return self.filter(sent_at__isnull=False)

    def waiting(self) -> Self:
        """What will be tried, or tried again."""
        return self.filter(next_attempt_at__isnull=False)

    def failed(self) -> Self:
        """What was given up."""
        return self.filter(sent_at__isnull=True, next_attempt_at__isnull=True)


class OutgoingMail(models.Model):
    """A message that the worker sends (config.mail), as often as it takes. Sent ones are kept for a while."""

    sender = models.CharField(_("sender"), max_length=320)
    recipients: models.JSONField[list[str], list[str]] = models.JSONField(_("recipients"))
    subject = models.CharField(_("subject"), max_length=998)
    # Emptied when the message is sent: links in it can open an account.
    text = models.TextField(_("text"), blank=True)
    html = models.TextField(blank=True)
    headers: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True, blank=True, default=timezone.now)
    last_error = models.TextField(_("last error"), blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    objects: ClassVar[models.Manager[OutgoingMail]] = OutgoingMailQuerySet.as_manager()

    class Meta:
        verbose_name = _("outgoing mail")
        verbose_name_plural = _("outgoing mail")
        ordering = ("-pk",)
        constraints = [
            models.CheckConstraint(
                condition=Q(sent_at__isnull=True) | Q(next_attempt_at__isnull=True), name="mail_sent_is_done"
            )
        ]
        indexes = [
            models.Index("next_attempt_at", "id", name="mail_due", condition=Q(next_attempt_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.subject

    @property
    def state(self) -> str:
        """sent, waiting or failed."""
        if self.sent_at is not None:
            return "sent"
        return "waiting" if self.next_attempt_at is not None else "failed"
