"""What readers report, and who did what."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

LONGEST_TEXT = 1000


class ReportQuerySet(models.QuerySet["Report"]):
    """Reports by what became of them."""

    def open(self) -> Self:
        """What waits for a moderator."""
        return self.filter(handled_at__isnull=True)

    def about(self, kind: str, target_id: int) -> Self:
        """Those of one object."""
        return self.filter(kind=kind, target_id=target_id)

    def removing(self) -> Self:
        """Those on which a moderator took away what they are about."""
        return self.filter(outcome__in=[Report.Outcome.REMOVED, Report.Outcome.BOTH])


class Report(models.Model):
    """That a reader finds something wrong. It names its object by kind and id, and so outlives it."""

    class Kind(models.TextChoices):
        """What can be reported."""

        COMMENT = "comment", _("comment")
        ARTICLE = "article", _("article")
        USER = "user", _("user")

    class Reason(models.TextChoices):
        """What is wrong with it."""

        SPAM = "spam", _("Spam or advertising")
        ABUSE = "abuse", _("Insult, threat or harassment")
        ILLEGAL = "illegal", _("Against the law")
        RIGHTS = "rights", _("Somebody else's text or picture")
        OTHER = "other", _("Something else")

    class Outcome(models.TextChoices):
        """What a moderator decided."""

        DISMISSED = "dismissed", _("dismissed")
        REMOVED = "removed", _("taken away")
        SUSPENDED = "suspended", _("user suspended")
        BOTH = "both", _("taken away and user suspended")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    target_id = models.BigIntegerField(_("id"))
    # The constraints are the migration's and set it to NULL, also for code that does not know the table.
    reporter = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        db_constraint=False,
        related_name="reports",
        verbose_name=_("reported by"),
    )
    reason = models.CharField(_("reason"), max_length=10, choices=Reason)
    text = models.TextField(_("explanation"), max_length=LONGEST_TEXT, blank=True)
    created_at = models.DateTimeField(_("reported at"), default=timezone.now)
    handled_at = models.DateTimeField(_("handled at"), null=True, blank=True)
    handled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("handled by"),
    )
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome, blank=True)
    note = models.TextField(_("note"), max_length=LONGEST_TEXT, blank=True)

    objects: ClassVar[models.Manager[Report]] = ReportQuerySet.as_manager()

    class Meta:
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        ordering = ("-pk",)
        permissions = [
            ("hide_comment", "Can hide and show comments"),
            ("unpublish_article", "Can take articles back to draft"),
            ("suspend_user", "Can suspend users"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["reporter", "kind", "target_id"], condition=Q(handled_at__isnull=True), name="report_open_once"
            ),
            models.CheckConstraint(condition=Q(kind__in=["comment", "article", "user"]), name="report_kind_known"),
            models.CheckConstraint(
                condition=Q(handled_at__isnull=True, outcome="") | (Q(handled_at__isnull=False) & ~Q(outcome="")),
                name="report_handled_has_outcome",
            ),
        ]
        indexes = [
            models.Index("kind", "target_id", F("id").desc(), name="report_of_object"),
            models.Index("kind", "target_id", name="report_open", condition=Q(handled_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target_id}"


class AuditEntry(models.Model):
    """Who did what to what. Written by moderation.audit; the database refuses to change or delete it (migration 0001).

    The actor is kept as text and number, with no foreign key: it outlives the account.
    """

    at = models.DateTimeField(_("time"), default=timezone.now, db_default=Now())
    actor_id = models.BigIntegerField(_("actor's id"), null=True)
    actor = models.CharField(_("actor"), max_length=150, blank=True)
    action = models.CharField(_("action"), max_length=40)
    object_type = models.CharField(_("object type"), max_length=100, blank=True)
    object_id = models.CharField(_("object's id"), max_length=64, blank=True)
    object_text = models.CharField(_("object"), max_length=200, blank=True)
    detail: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(_("details"), default=dict)
    # Of the network only: enough to see a pattern, not enough to know a person.
    address = models.CharField(_("network address"), max_length=45, blank=True)
    request_id = models.CharField(_("request id"), max_length=32, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        ordering = ("-pk",)
        default_permissions = ("view",)
        indexes = [
            models.Index("at", name="audit_at"),
            models.Index(Upper("actor"), F("id").desc(), name="audit_actor"),
            models.Index("action", F("id").desc(), name="audit_action"),
            models.Index("object_type", "object_id", name="audit_object"),
            models.Index("object_id", name="audit_object_id"),
            models.Index("request_id", name="audit_request"),
        ]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action}"
