"""What every page shows of notifications: how many are unread."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.models import User
from notices.models import Notice


def notices(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `unread_notices`, a number that is asked for only where it is shown, and never for nobody."""

    def count() -> int:
        user = getattr(request, "user", None)
        return Notice.objects.listed_for(user).unread().count() if isinstance(user, User) else 0

    return {"unread_notices": SimpleLazyObject(count)}
