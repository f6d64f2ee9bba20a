"""Users in Django's admin."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from tests.web.builders import a_user, an_article

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    """A browser in which a superuser is logged in."""
    client.force_login(User.objects.create_superuser("chief", "chief@example.org", "x"))
    return client


def test_the_password_hash_is_no_text_box(staff: Client) -> None:
    user = a_user("ann", password="secret")
    page = staff.get(f"/admin/accounts/user/{user.pk}/change/").text
    assert 'name="password"' not in page
    assert user.password not in page


def test_a_new_account_gets_a_hashed_password(staff: Client) -> None:
    fields = {"username": "newbie", "email": "n@example.org", "usable_password": "true"}
    staff.post("/admin/accounts/user/add/", {**fields, "password1": "long-enough-9", "password2": "long-enough-9"})
    assert User.objects.get(username="newbie").check_password("long-enough-9")


@pytest.mark.parametrize("name", ["ANN", "login", "a b"])
def test_a_name_that_may_not_be_is_refused_beside_the_field(staff: Client, name: str) -> None:
    a_user("ann")
    fields = {"username": name, "usable_password": "true", "password1": "long-enough-9", "password2": "long-enough-9"}
    response = staff.post("/admin/accounts/user/add/", fields)
    assert response.status_code == 200
    assert "username" in response.context["adminform"].errors


def test_users_are_found_by_name_and_address(staff: Client) -> None:
    a_user("ann", email="blue@example.org")
    assert "ann" in staff.get("/admin/accounts/user/?q=blue").text


def test_a_user_with_articles_is_not_deleted_by_the_way(staff: Client) -> None:
    author = an_article().author
    staff.post(f"/admin/accounts/user/{author.pk}/delete/", {"post": "yes"})
    assert User.objects.filter(pk=author.pk).exists()
