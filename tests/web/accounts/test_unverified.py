"""Accounts whose address was never verified go, and their names are free again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts import unverified
from accounts.models import TakenName, User
from blog import voting
from moderation.models import AuditEntry
from tests.web.accounts.people import mailed_address, sign_up
from tests.web.builders import a_comment, a_user, an_article
from tests.web.config.test_worker import a_worker


def a_newcomer(name: str = "newbie", days: float = 15, **fields: Any) -> User:
    """Somebody who signed up so many days ago and did not open the link."""
    user = a_user(name, email=f"{name}@example.org", date_joined=timezone.now() - timedelta(days=days), **fields)
    EmailAddress.objects.create(user=user, email=user.email, primary=True)
    return user


def is_there(user: User) -> bool:
    """Whether the account is."""
    return User.objects.filter(pk=user.pk).exists()


@pytest.mark.django_db
def test_the_account_goes_and_its_name_is_free(client: Client, django_capture_on_commit_callbacks: Any) -> None:
    user = a_newcomer()
    user.avatar.save("a.webp", ContentFile(b"x"))
    storage, name = user.avatar.storage, str(user.avatar.name)
    with django_capture_on_commit_callbacks(execute=True):
        assert unverified.sweep() == 1
    assert not is_there(user)
    assert not TakenName.objects.filter(name="newbie").exists()
    assert not storage.exists(name)
    assert AuditEntry.objects.filter(action="user.deleted", actor="", object_text="newbie").count() == 1
    sign_up(client)
    assert User.objects.filter(username="newbie").exists()
    assert unverified.sweep() == 0
    client.post(mailed_address("/confirm-email/"))
    assert EmailAddress.objects.get(user__username="newbie").verified


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [
        {"days": 13},
        {"last_login": timezone.now()},
        {"is_staff": True},
        {"is_superuser": True},
        {"is_active": False},
    ],
    ids=",".join,
)
def test_others_stay(fields: dict[str, Any]) -> None:
    user = a_newcomer(**fields)
    assert unverified.sweep() == 0
    assert is_there(user)


@pytest.mark.django_db
def test_who_has_a_verified_address_or_none_stays() -> None:
    verified = a_newcomer("verified")
    EmailAddress.objects.create(user=verified, email="second@example.org", verified=True)
    made_by_an_administrator = a_user("plain", date_joined=timezone.now() - timedelta(days=90))
    assert unverified.sweep() == 0
    assert is_there(verified)
    assert is_there(made_by_an_administrator)


@pytest.mark.django_db
@pytest.mark.parametrize("left", ["article", "comment", "vote"])
def test_who_left_something_stays(left: str) -> None:
    user = a_newcomer()
    if left == "article":
        an_article(user, status="draft")
    elif left == "comment":
        a_comment(an_article(), user)
    else:
        voting.vote(an_article(), user, 1)
    assert unverified.sweep() == 0
    assert is_there(user)


@pytest.mark.django_db
def test_the_worker_does_it() -> None:
    user = a_newcomer()
    a_worker().do_chores()
    assert not is_there(user)


@pytest.mark.django_db(transaction=True)
def test_a_verification_under_way_is_neither_waited_for_nor_lost() -> None:
    user = a_newcomer()

    def sweep() -> int:
        try:
            return unverified.sweep()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        EmailAddress.objects.filter(user=user).update(verified=True)
        assert pool.submit(sweep).result(timeout=20) == 0
    assert unverified.sweep() == 0
    assert is_there(user)


@pytest.mark.django_db(transaction=True)
def test_a_link_that_is_opened_while_the_account_goes_leads_nowhere(client: Client) -> None:
    user = a_newcomer()
    key = EmailConfirmationHMAC(EmailAddress.objects.get(user=user)).key

    def open_link() -> int:
        try:
            return client.post(f"/account/confirm-email/{key}/").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert unverified.remove(user.pk)
            answer = pool.submit(open_link)
            # Until it waits for the row.
            wait([answer], timeout=1)
        assert answer.result(timeout=20) < 500
    assert not is_there(user)
    assert client.get(f"/account/confirm-email/{key}/").status_code < 500
