"""The user of the site. A name's address is /<username>/, so names are tied to routes (accounts.names)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.avatars import validate_avatar
from accounts.names import CHARACTERS, LONGEST, skeleton, validate_username


def validate_free(username: str, user: User | None = None) -> None:
    """Raise ValidationError if `username`, or one that looks like it, is or was somebody else's than `user`'s.

    A name that `user` has is well, whatever others are called: it may be older than this rule.
    """
    alike = list(TakenName.objects.filter(key=skeleton(username)))
    own = [taken for taken in alike if user is not None and user.pk is not None and taken.user_id == user.pk]
    if any(taken.name.lower() == username.lower() for taken in own):
        return
    if len(own) < len(alike):
        raise ValidationError(_("This username is taken, or too much like one that is or was."), "taken")


SUSPENSION = ("is_active", "suspended_at", "suspended_until", "suspension_reason")


class AccountManager(UserManager["User"]):
    """Finds users by name whatever its case, as the database's uniqueness sees it."""

    def named(self, username: str) -> User:
        """The user whose username is `username` in any case. Raises User.DoesNotExist."""
        return self.get(username__lower=username.lower())

    def get_by_natural_key(self, username: str | None) -> User:
        """What log-in asks for."""
        return self.named(username or "")

    def reachable(self) -> models.QuerySet[User]:
        """Those whom mail may be sent to: everybody who is not suspended now."""
        return self.filter(models.Q(is_active=True) | models.Q(suspended_until__lte=timezone.now()))

    def suspended(self) -> models.QuerySet[User]:
        """Those who cannot log in now."""
        ended = models.Q(suspended_until__isnull=False, suspended_until__lte=timezone.now())
        return self.filter(models.Q(is_active=False) & ~ended)


class User(AbstractUser):
    """Somebody with an account."""

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    username = models.CharField(
        _("username"),
        max_length=LONGEST,
        unique=True,
        error_messages={"unique": _("This username is taken.")},
        validators=[validate_username],
        help_text=_(
            "Letters a to z, digits, Chinese characters, and single - or _ between them. It is in the address."
        ),
    )
    email = models.EmailField(_("e-mail address"), blank=True)
    display_name = models.CharField(_("display name"), max_length=80, blank=True)
    bio = models.TextField(_("about the author"), max_length=500, blank=True)
    avatar = models.ImageField(_("avatar"), upload_to="avatars", validators=[validate_avatar], blank=True)
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, default="en", help_text=_("Of mail to this person.")
    )
    # Written by accounts.suspending. While it lasts `is_active` is false, which every way of logging in asks.
    suspended_at = models.DateTimeField(_("suspended at"), null=True, blank=True, editable=False)
    suspended_until = models.DateTimeField(_("suspended until"), null=True, blank=True, editable=False)
    suspension_reason = models.CharField(
        _("reason of the suspension"), max_length=300, blank=True, default="", db_default="", editable=False
    )

    # None for an object that was not loaded, but made here.
    active_when_loaded: bool | None = None

    objects: ClassVar[AccountManager] = AccountManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.UniqueConstraint(
                Lower("username"), name="user_username_unique", violation_error_message=_("This username is taken.")
            ),
            models.UniqueConstraint(
                Lower("email"),
                condition=~models.Q(email=""),
                name="user_email_unique",
                violation_error_message=_("This e-mail address belongs to another account."),
            ),
            # Not all that validate_username asks, but what every address of an author needs.
            models.CheckConstraint(
                condition=models.Q(username__regex=rf"^[{CHARACTERS}_-]+$"), name="user_username_fits_address"
            ),
        ]

    def __str__(self) -> str:
        return self.username

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any) -> Self:
        """The row, active again from the moment its suspension ends: no job has to run for that."""
        user = super().from_db(db, field_names, values, **options)
        until = user.__dict__.get("suspended_until")
        if until is not None and until <= timezone.now():
            user.is_active = True
        user.active_when_loaded = user.__dict__.get("is_active")
        return user

    @property
    def is_suspended(self) -> bool:
        """Whether this account cannot be used now."""
        return not self.is_active

    @property
    def name(self) -> str:
        """What to call this person on a page."""
        return self.display_name or self.username

    def get_full_name(self) -> str:
        """The name that Django's admin and mails use."""
        return self.name

    def get_short_name(self) -> str:
        """Likewise."""
        return self.name

    def get_absolute_url(self) -> str:
        """The author's page."""
        return reverse("blog:author", args=[self.username])

    def clean(self) -> None:
        """Normalise; AbstractUser's own clean lower-cases the domain of the e-mail address."""
        super().clean()
        self.email = self.email.strip()

    def validate_unique(self, exclude: Collection[str] | None = None) -> None:
        """With the names that others had, or that look like theirs, unless `exclude` has the username."""
        super().validate_unique(exclude)
        if not exclude or "username" not in exclude:
            try:
                validate_free(self.username, self)
            except ValidationError as error:
                raise ValidationError({"username": error}) from error

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with control characters taken out of the texts that pages and feeds show; a name is taken for good."""
        self.display_name = " ".join(self.display_name.split())
        fields = kwargs.get("update_fields")
        if fields is None and not self._state.adding and self.is_active == self.active_when_loaded:
            # A request that loaded the row before a suspension must not undo it by saving something else after it.
            loaded = [field for field in self._meta.concrete_fields if field.attname in self.__dict__]
            fields = [field.name for field in loaded if not field.primary_key and field.name not in SUSPENSION]
            kwargs["update_fields"] = fields
        if fields is not None and "username" not in fields:
            super().save(*args, **kwargs)
            return
        with transaction.atomic():
            super().save(*args, **kwargs)
            name = TakenName(name=self.username, key=skeleton(self.username), user=self)
            TakenName.objects.bulk_create([name], ignore_conflicts=True)


class TakenName(models.Model):
    """A username that somebody has or had. It stays when they take another one or go: nobody else ever gets it."""

    name = models.CharField(_("username"), max_length=LONGEST)
    key = models.CharField(max_length=LONGEST * 2)
    # The database's constraint is migration 0004's and sets it to NULL, also for code that does not know the table.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="taken_names",
    )
    since = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("username that is taken")
        verbose_name_plural = _("usernames that are taken")
        constraints = [models.UniqueConstraint(Lower("name"), name="taken_name_unique")]
        indexes = [models.Index("key", name="taken_name_key")]

    def __str__(self) -> str:
        return self.name
