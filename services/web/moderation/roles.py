"""The group `moderators` and what it may do: no more than moderating needs."""

from __future__ import annotations

from typing import Any

from django.apps import apps as global_apps
from django.db import DEFAULT_DB_ALIAS

GROUP = "moderators"
PERMISSIONS = frozenset(
    {
        "moderation.view_report",
        "moderation.change_report",
        "moderation.hide_comment",
        "moderation.unpublish_article",
        "moderation.suspend_user",
        "moderation.view_auditentry",
        "blog.view_comment",
        "accounts.view_user",
    }
)


def make_group(apps: Any = global_apps, using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """Receiver of `post_migrate`: make the group with its rights, or give the one there is those it lacks.

    `apps` are the models as migrated. This application comes last, so the rights of all others are there.
    """
    try:
        groups = apps.get_model("auth", "Group").objects.using(using)
        rights = apps.get_model("auth", "Permission").objects.using(using)
    except LookupError:
        return
    group, _created = groups.get_or_create(name=GROUP)
    found = rights.filter(codename__in={name.partition(".")[2] for name in PERMISSIONS}).select_related("content_type")
    group.permissions.add(
        *(right for right in found if f"{right.content_type.app_label}.{right.codename}" in PERMISSIONS)
    )
