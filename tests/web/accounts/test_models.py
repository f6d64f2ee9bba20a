"""Users in the database."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.db import IntegrityError, connection, transaction

from accounts.models import User
from tests.web.builders import a_user

pytestmark = pytest.mark.django_db


def insert(username: str, email: str = "") -> None:
    """A user by SQL, past every check of Django's."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_user (username, email, password, is_superuser, is_staff, is_active, date_joined, "
            "display_name, bio, avatar, language) VALUES (%s, %s, '', false, false, true, now(), '', '', '', 'en')",
            [username, email],
        )


def test_two_names_that_differ_in_case_cannot_both_exist() -> None:
    insert("alice")
    with pytest.raises(IntegrityError, match="user_username_unique"):
        insert("ALICE")


def test_two_addresses_that_differ_in_case_cannot_both_exist() -> None:
    insert("alice", "a@example.org")
    with pytest.raises(IntegrityError, match="user_email_unique"):
        insert("bob", "A@Example.org")


def test_many_users_may_have_no_address() -> None:
    insert("alice")
    insert("bob")
    assert User.objects.filter(email="").count() == 2


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a.b", "a\nb", "é", "ａ"])
def test_a_name_that_cannot_be_an_address_is_refused(name: str) -> None:
    with pytest.raises(IntegrityError, match="user_username_fits_address"):
        insert(name)


@pytest.mark.parametrize("name", ["a", "A-b_9", "沈知远", "老周2"])
def test_a_name_that_can_be_an_address_is_stored(name: str) -> None:
    insert(name)


def test_a_user_is_found_whatever_the_case() -> None:
    assert User.objects.named(a_user("Ann").username.upper()).username == "Ann"


def test_logging_in_ignores_the_case_of_the_name() -> None:
    user = a_user("Ann", password="correct horse")
    assert authenticate(username="aNN", password="correct horse") == user


def test_a_person_without_display_name_is_called_by_the_username() -> None:
    assert (a_user("ann").name, a_user("bob", display_name="Bob B.").name) == ("ann", "Bob B.")
