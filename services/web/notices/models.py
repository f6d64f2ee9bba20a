"""Notifications: who was told of what, and who does not want to be."""

from __future__ import annotations

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from blog.models import Comment


class Kind(models.TextChoices):
    """What somebody is told of."""

    COMMENT = "comment", _("a comment on an article of mine")
    REPLY = "reply", _("an answer to a comment of mine")
    APPROVED = "approved", _("a comment of mine was approved")


class Channel(models.TextChoices):
    """How."""

    MAIL = "mail", _("by mail")
    SITE = "site", _("on the site")


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Notifications of one person."""

    def listed_for(self, user: User) -> Self:
        """Those that `user` sees on the site, newest first."""
        return self.filter(recipient=user, in_site=True).order_by("-pk")

    def unread(self) -> Self:
        """Those that were not opened."""
        return self.filter(read_at__isnull=True)

    def read(self) -> int:
        """Mark them as read; returns how many were not."""
        return self.unread().update(read_at=timezone.now())


class Notice(models.Model):
    """That somebody was told of a comment, once. Kept out of the list for who only wants mail."""

    # The constraints are migration 0001's, which cascade: a release without these tables may delete what they name.
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False, db_index=False, related_name="notices"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    comment = models.ForeignKey(Comment, models.CASCADE, db_constraint=False, related_name="notices")
    in_site = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    read_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager[Notice]] = NoticeQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ("-pk",)
        constraints = [
            models.UniqueConstraint(fields=["recipient", "kind", "comment"], name="notice_once"),
            models.CheckConstraint(condition=Q(kind__in=["comment", "reply", "approved"]), name="notice_kind_known"),
        ]
        indexes = [
            models.Index("recipient", F("id").desc(), name="notice_newest"),
            models.Index("recipient", name="notice_unread", condition=Q(in_site=True, read_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.comment_id}"


class OptOut(models.Model):
    """What somebody does not want to be told in that way. Without a row one is."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False, db_index=False, related_name="optouts"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    channel = models.CharField(max_length=4, choices=Channel)

    class Meta:
        verbose_name = _("notification not wanted")
        verbose_name_plural = _("notifications not wanted")
        constraints = [models.UniqueConstraint(fields=["user", "kind", "channel"], name="optout_once")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.kind}, {self.channel}"
