"""Removes accounts whose address was never verified; a chore of the worker."""

from __future__ import annotations

import logging
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import TakenName, User
from moderation import audit

logger = logging.getLogger(__name__)

KEPT = timedelta(days=14)
BATCH = 200


def abandoned() -> QuerySet[User]:
    """Those who signed up KEPT ago, verified no address, never logged in and left nothing.

    Not accounts that an administrator made: these have no address to verify, or are staff. Nor suspended ones, which a
    moderator looked at.
    """
    addresses = EmailAddress.objects.filter(user=OuterRef("pk"))
    return User.objects.filter(
        Exists(addresses),
        ~Exists(addresses.filter(verified=True)),
        date_joined__lt=timezone.now() - KEPT,
        last_login=None,
        is_active=True,
        is_staff=False,
        is_superuser=False,
        articles=None,
        comments=None,
        votes=None,
        pictures=None,
    )


def remove(pk: int) -> bool:
    """Remove that account if it is abandoned now; its name is free again, which nobody ever saw in use.

    The addresses are locked before the account, as a verification takes them: one that was quicker is seen, one under
    way is not waited for (the next sweep comes), and one that comes later finds neither.
    """
    with transaction.atomic():
        held = EmailAddress.objects.select_for_update(skip_locked=True).filter(user=pk, verified=False)
        locked = len(held.order_by("pk"))
        user = abandoned().select_for_update(skip_locked=True, of=("self",)).filter(pk=pk).first()
        if user is None or EmailAddress.objects.filter(user=pk).count() != locked:
            return False
        audit.record("user.deleted", user, detail={"why": "no address was verified"})
        if user.avatar:
            storage, name = user.avatar.storage, str(user.avatar.name)
            transaction.on_commit(lambda: storage.delete(name))
        TakenName.objects.filter(user=user).delete()
        user.delete()
    return True


def sweep() -> int:
    """Remove a batch of them; returns how many."""
    removed = sum(remove(pk) for pk in list(abandoned().order_by("pk").values_list("pk", flat=True)[:BATCH]))
    if removed:
        logger.info("%s accounts without a verified address removed", removed)
    return removed
