"""Pictures that people upload, and which texts use them. The files are those of uploads.files."""

from __future__ import annotations

from typing import ClassVar, Self

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from uploads import sizes

LONGEST_ALT = 300


class PictureQuerySet(models.QuerySet["Picture"]):
    """Pictures by what is known of them."""

    def used(self) -> Self:
        """Those that a text, a revision of it, an unsaved text or a cover uses."""
        return self.filter(Exists(Use.objects.filter(picture=OuterRef("pk"))))

    def unused(self) -> Self:
        """The others."""
        return self.exclude(Exists(Use.objects.filter(picture=OuterRef("pk"))))


class Picture(models.Model):
    """A picture of somebody's. `name` is its file in the media directory; it never changes, nor does its content."""

    # The constraints of this and of Use are those of migration 0001, which cascade in the database: a release without
    # these tables may delete the account, the article or the unsaved text.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        db_constraint=False,
        db_index=False,
        related_name="pictures",
        verbose_name=_("owner"),
    )
    name = models.CharField(_("file"), max_length=100, unique=True, editable=False)
    label = models.CharField(_("name of the uploaded file"), max_length=100, blank=True, editable=False)
    alt = models.CharField(_("description"), max_length=LONGEST_ALT, blank=True)
    width = models.PositiveIntegerField(editable=False)
    height = models.PositiveIntegerField(editable=False)
    # Of the original as it is stored; its smaller sizes do not count against the quota.
    bytes = models.PositiveIntegerField(editable=False)
    created_at = models.DateTimeField(_("uploaded at"), default=timezone.now, editable=False)
    # NULL while something uses it. Kept by uploads.cleaning.
    unused_since = models.DateTimeField(default=timezone.now, null=True, editable=False)
    # All sizes are there; then, the pages that show it name them.
    ready = models.BooleanField(default=False, db_default=False, editable=False)
    announced = models.BooleanField(default=False, db_default=False, editable=False)
    # How often the worker began with it, and when last.
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    queued_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[models.Manager[Picture]] = PictureQuerySet.as_manager()

    class Meta:
        verbose_name = _("picture")
        verbose_name_plural = _("pictures")
        indexes = [
            models.Index("owner", F("id").desc(), name="picture_of_owner"),
            models.Index("unused_since", name="picture_unused", condition=Q(unused_since__isnull=False)),
            models.Index("queued_at", name="picture_unannounced", condition=Q(announced=False)),
        ]

    def __str__(self) -> str:
        return self.label or self.name

    @property
    def url(self) -> str:
        """The address of the original."""
        return default_storage.url(self.name)

    @property
    def thumbnail(self) -> str:
        """The address of the smallest JPEG or PNG there is."""
        return default_storage.url(sizes.smallest(self.name, self.width)) if self.ready else self.url

    @property
    def sources(self) -> list[sizes.Source]:
        """What a <picture> names beside the original; nothing until the sizes are there."""
        return sizes.sources(self.name, self.width) if self.ready else []

    @property
    def markdown(self) -> str:
        """What shows it in a text."""
        alt = "".join(f"\\{character}" if character in "\\[]`*_<&!$" else character for character in self.alt)
        return f"![{alt}]({self.url})"


class Use(models.Model):
    """That something uses a picture: the text of an article now or in one of its revisions, its cover, an unsaved text.

    A row holds the picture's row by its foreign key, so that a picture that is being cleaned away and a text that is
    being saved with it wait for each other.
    """

    class Role(models.TextChoices):
        """What for."""

        TEXT = "text", _("text")
        COVER = "cover", _("cover")
        UNSAVED = "unsaved", _("unsaved text")

    picture = models.ForeignKey(Picture, models.CASCADE, db_constraint=False, db_index=False, related_name="uses")
    article = models.ForeignKey(
        "blog.Article", models.CASCADE, null=True, db_constraint=False, related_name="picture_uses"
    )
    autosave = models.ForeignKey(
        "blog.Autosave", models.CASCADE, null=True, db_constraint=False, related_name="picture_uses"
    )
    role = models.CharField(max_length=10, choices=Role)

    class Meta:
        verbose_name = _("use of a picture")
        verbose_name_plural = _("uses of pictures")
        constraints = [
            models.UniqueConstraint(
                fields=["picture", "article", "autosave", "role"], nulls_distinct=False, name="picture_use_once"
            ),
            models.CheckConstraint(
                condition=Q(role="unsaved", article=None, autosave__isnull=False)
                | Q(role__in=["text", "cover"], article__isnull=False, autosave=None),
                name="picture_use_of_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.picture_id}: {self.role}"
