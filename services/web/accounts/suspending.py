"""Suspending an account: nobody can use it until a date, or until it is lifted. What its owner published stays.

`User.is_active` is false meanwhile, in the database and in every object: log-in, sessions, password resets and mail ask
that. From the date on objects are active again (User.from_db); the row follows at the next log-in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from moderation import audit

PERMISSION = "moderation.suspend_user"


class SuspensionError(Exception):
    """`by` may not do this to that account."""


def may_suspend(by: User, user: User) -> bool:
    """Whether `by` may suspend `user`: never oneself, and staff only by a superuser."""
    if by.pk == user.pk or not (by.is_active and by.has_perm(PERMISSION)):
        return False
    return by.is_superuser or not (user.is_staff or user.is_superuser)


def end_sessions(user: User) -> int:
    """Log `user` out everywhere; returns how many sessions there were."""
    sessions = list(UserSession.objects.filter(user=user))
    get_adapter().end_sessions(sessions)
    return len(sessions)


@transaction.atomic
def suspend(user: User, by: User, until: datetime | None, reason: str) -> User:
    """Suspend `user` until a moment (None: for good) and end the sessions; again replaces date and reason.

    Both rows are locked, so that of two superusers who suspend each other one stays. Returns the user as stored now.
    Raises SuspensionError, and ValueError for a moment that has passed.
    """
    if until is not None and until <= timezone.now():
        raise ValueError("a suspension ends in the future")
    locked = {
        found.pk: found for found in User.objects.select_for_update().filter(Q(pk__in=[user.pk, by.pk])).order_by("pk")
    }
    if len(locked) < 2 or not may_suspend(locked[by.pk], locked[user.pk]):
        raise SuspensionError
    stored = locked[user.pk]
    stored.is_active = False
    stored.suspended_at, stored.suspended_until, stored.suspension_reason = timezone.now(), until, reason[:300]
    stored.save(update_fields=["is_active", "suspended_at", "suspended_until", "suspension_reason"])
    end_sessions(stored)
    detail = {"until": until.isoformat() if until else None, "reason": reason}
    audit.record("user.suspended", stored, actor=by, detail=detail)
    return stored


@transaction.atomic
def lift(user: User, by: User) -> bool:
    """End the suspension of `user` now; returns whether there was one. Raises SuspensionError."""
    stored = User.objects.select_for_update().get(pk=user.pk)
    if not may_suspend(by, stored):
        raise SuspensionError
    if not clear(stored):
        return False
    audit.record("user.lifted", stored, actor=by)
    return True


def clear(user: User) -> bool:
    """Make the row say that `user` is not suspended; returns whether it said otherwise."""
    changed = User.objects.filter(Q(is_active=False) | Q(suspended_at__isnull=False), pk=user.pk).update(
        is_active=True, suspended_at=None, suspended_until=None, suspension_reason=""
    )
    return bool(changed)


def forget_past(sender: object, user: User, **_: Any) -> None:
    """Receiver of `user_logged_in`: a suspension whose date has passed leaves the row."""
    if user.suspended_until is not None and clear(user):
        audit.record("user.lapsed", user, actor=user)
