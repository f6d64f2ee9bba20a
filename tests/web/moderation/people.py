"""Who is who in the tests of moderation."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from moderation.models import Report
from moderation.roles import GROUP
from tests.web.builders import a_user

PEOPLE = ("", "other", "ann", "staff", "moderator", "chief")


def a_person(name: str) -> User:
    """Ann and other are readers, staff has no rights, moderator is in the group, chief is a superuser."""
    fields = {"email": f"{name}@example.org", "password": "correct-horse-9"}
    user = a_user(name, is_staff=name in ("staff", "moderator", "chief"), is_superuser=name == "chief", **fields)
    if name == "moderator":
        user.groups.add(Group.objects.get(name=GROUP))
    return user


def browser_of(name: str, client: Client | None = None) -> Client:
    """The browser of that person, or with no name anybody's."""
    client = client or Client(raise_request_exception=False, headers={"x-forwarded-proto": "https"})
    if name:
        client.force_login(a_person(name))
    return client


def a_report(kind: str, target_id: int | None, by: str = "other") -> Report:
    """An open report."""
    assert target_id is not None
    return Report.objects.create(kind=kind, target_id=target_id, reporter=a_user(by), reason="spam", text="Look at it.")
