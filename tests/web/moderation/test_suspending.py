"""Suspending an account, and what that stops."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import suspending
from accounts.models import User
from moderation.models import AuditEntry
from tests.web.accounts.people import PASSWORD, a_member, log_in
from tests.web.builders import a_user, an_article, later
from tests.web.moderation.people import a_person, browser_of

PAGE = "/admin/accounts/user/suspend/"
HTTPS = {"x-forwarded-proto": "https"}


def attempt(user: User, password: str = PASSWORD) -> Any:
    """A log-in from another browser."""
    return Client(headers=HTTPS).post("/account/login/", {"login": user.username, "password": password})


@pytest.fixture
def ann() -> User:
    """Somebody with a password, suspended by the superuser for a week."""
    user = a_member("ann")
    suspending.suspend(user, a_person("chief"), later(days=7), "advertising")
    user.refresh_from_db()
    return user


@pytest.mark.django_db
def test_who_is_suspended_cannot_log_in_and_is_told_why(ann: User) -> None:
    response = attempt(ann)
    assert response.status_code == 403
    assert "advertising" in response.text
    assert not response.wsgi_request.user.is_authenticated


@pytest.mark.django_db
def test_with_a_wrong_password_nothing_is_told(ann: User) -> None:
    told, other = attempt(ann, "wrong"), attempt(a_member("bob"), "wrong")
    assert (told.status_code, other.status_code) == (200, 200)
    assert "suspended" not in told.text
    assert told.context["form"].errors == other.context["form"].errors


@pytest.mark.django_db
def test_neither_through_the_admin(ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(is_staff=True)
    browser = Client(headers=HTTPS)
    assert browser.get("/admin/").status_code == 302
    assert attempt(ann).status_code == 403


@pytest.mark.django_db
def test_a_session_ends_at_once(client: Client) -> None:
    user = log_in(client, a_member("ann"))
    assert client.get("/account/").status_code == 200
    suspending.suspend(user, a_person("chief"), None, "x")
    assert not UserSession.objects.filter(user=user).exists()
    assert not Session.objects.exists()
    assert client.get("/account/").status_code == 302


@pytest.mark.django_db
def test_a_session_that_nobody_listed_ends_too(client: Client) -> None:
    user = a_user("ann")
    client.force_login(user)
    UserSession.objects.all().delete()
    suspending.suspend(user, a_person("chief"), None, "x")
    assert client.get("/account/").status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/write/new/", "/write/preview/", "/write/new/autosave/", "/account/"])
def test_nothing_can_be_written(address: str, client: Client) -> None:
    user = a_user("ann")
    client.force_login(user)
    suspending.suspend(user, a_person("chief"), None, "x")
    assert client.post(address, {"title": "x"}).status_code in (302, 403)


@pytest.mark.django_db
def test_what_is_published_stays(ann: User, client: Client) -> None:
    article = an_article(ann)
    assert client.get(article.get_absolute_url()).status_code == 200
    assert client.get("/ann/").status_code == 200


@pytest.mark.django_db
def test_it_ends_by_itself_at_its_date(ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(suspended_until=timezone.now() - timedelta(seconds=1))
    assert User.objects.get(pk=ann.pk).is_active
    assert attempt(ann).status_code == 302
    row = User.objects.filter(pk=ann.pk).values("is_active", "suspended_at", "suspended_until").get()
    assert row == {"is_active": True, "suspended_at": None, "suspended_until": None}
    assert AuditEntry.objects.filter(action="user.lapsed", actor="ann").exists()


@pytest.mark.django_db
def test_a_request_that_began_before_does_not_undo_it() -> None:
    loaded = User.objects.get(pk=a_member("ann").pk)
    suspending.suspend(loaded, a_person("chief"), None, "x")
    loaded.display_name = "Ann"
    loaded.save()
    stored = User.objects.get(pk=loaded.pk)
    assert (stored.display_name, stored.is_suspended, stored.suspension_reason) == ("Ann", True, "x")


@pytest.mark.django_db
def test_an_account_can_still_be_switched_off_by_hand() -> None:
    user = User.objects.get(pk=a_member("ann").pk)
    user.is_active = False
    user.save()
    assert not User.objects.get(pk=user.pk).is_active


@pytest.mark.django_db
def test_one_for_good_does_not_end(ann: User) -> None:
    suspending.suspend(ann, a_person("chief"), None, "x")
    assert attempt(ann).status_code == 403


@pytest.mark.django_db
def test_it_can_be_lifted(ann: User) -> None:
    assert suspending.lift(ann, a_person("chief"))
    assert not suspending.lift(ann, a_person("chief"))
    assert attempt(ann).status_code == 302


@pytest.mark.django_db
def test_only_who_is_not_suspended_is_reachable_by_mail(ann: User) -> None:
    a_member("bob")
    past = a_member("past")
    suspending.suspend(past, a_person("chief"), later(days=1), "x")
    User.objects.filter(pk=past.pk).update(suspended_until=timezone.now())
    assert {user.username for user in User.objects.reachable()} == {"bob", "past", "chief"}
    assert [user.username for user in User.objects.suspended()] == ["ann"]


@pytest.mark.django_db
def test_no_link_to_a_new_password_is_mailed(ann: User, client: Client) -> None:
    client.post("/account/password/reset/", {"email": ann.email})
    assert not any("/password/reset/key/" in str(message.body) for message in mail.outbox)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("by", "whom", "may"),
    [
        ("moderator", "ann", True),
        ("moderator", "staff", False),
        ("moderator", "chief", False),
        ("moderator", "moderator", False),
        ("chief", "staff", True),
        ("chief", "moderator", True),
        ("chief", "chief", False),
        ("staff", "ann", False),
        ("other", "ann", False),
    ],
)
def test_who_may_suspend_whom(by: str, whom: str, may: bool) -> None:
    actor, user = a_person(by), a_person(whom)
    assert suspending.may_suspend(actor, user) == may
    if may:
        suspending.suspend(user, actor, None, "x")
    else:
        with pytest.raises(suspending.SuspensionError):
            suspending.suspend(user, actor, None, "x")
    assert User.objects.get(pk=user.pk).is_suspended == may


@pytest.mark.django_db
def test_a_suspension_into_the_past_is_an_error() -> None:
    with pytest.raises(ValueError, match="future"):
        suspending.suspend(a_person("ann"), a_person("chief"), timezone.now(), "x")


@pytest.mark.django_db(transaction=True)
def test_of_two_superusers_who_suspend_each_other_one_stays() -> None:
    pair = [a_user(name, is_superuser=True, is_staff=True) for name in ("one", "two")]

    def strike(number: int) -> None:
        try:
            suspending.suspend(pair[1 - number], pair[number], None, "x")
        except suspending.SuspensionError:
            pass
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(strike, range(2)))
    assert User.objects.filter(is_superuser=True, is_active=True).count() == 1


# --- In the admin


@pytest.mark.django_db
@pytest.mark.parametrize("person", ["", "other", "ann", "staff", "moderator", "chief"])
def test_who_may_open_the_page(person: str) -> None:
    ann = a_person("ann")
    browser = browser_of(person)
    expected = 200 if person in ("moderator", "chief") else 302 if not person else 403
    assert browser.get(f"{PAGE}?ids={ann.pk}", follow=person in ("other", "ann")).status_code == expected
    browser.post(f"{PAGE}?ids={ann.pk}", {"days": "7", "reason": "x"})
    assert User.objects.get(pk=ann.pk).is_suspended == (expected == 200)


@pytest.mark.django_db
def test_the_action_leads_through_the_page() -> None:
    ann, staff = a_person("ann"), a_person("staff")
    browser = browser_of("moderator")
    fields = {"action": "suspend", "_selected_action": [ann.pk, staff.pk]}
    page = browser.post("/admin/accounts/user/", fields, follow=True)
    assert page.context["allowed"] == [ann]
    assert page.context["refused"] == [staff]
    browser.post(page.wsgi_request.get_full_path(), {"days": "0", "reason": "spam"})
    stored = User.objects.get(pk=ann.pk)
    assert (stored.is_active, stored.suspended_until, stored.suspension_reason) == (False, None, "spam")
    browser.post("/admin/accounts/user/", {"action": "lift", "_selected_action": [ann.pk]})
    assert User.objects.get(pk=ann.pk).is_active


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields", [{}, {"days": "3", "reason": "x"}, {"days": "7", "reason": "x" * 301}, {"days": "7", "reason": "\0"}]
)
def test_a_suspension_that_is_none_is_a_message(fields: dict[str, str]) -> None:
    ann = a_person("ann")
    assert browser_of("chief").post(f"{PAGE}?ids={ann.pk}", {"days": "", **fields}).status_code == 422
    assert User.objects.get(pk=ann.pk).is_active


@pytest.mark.django_db
@pytest.mark.parametrize("ids", ["", "x", "9" * 18, "9" * 300, "%00", "1,2,,", "-1"])
def test_odd_ids_are_nobody(ids: str) -> None:
    browser = browser_of("chief")
    page = browser.get(f"{PAGE}?ids={ids}")
    assert page.status_code == 200
    assert browser.post(f"{PAGE}?ids={ids}", {"days": "7", "reason": "x"}).status_code == 200
