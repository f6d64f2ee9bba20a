"""Usernames: which are free, and what a change of one leaves behind."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import Client

from accounts.models import TakenName, User, validate_free
from accounts.names import skeleton
from tests.web.accounts.people import a_member, log_in, sign_up
from tests.web.builders import a_category, a_user, an_article

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("one", "other"),
    [("paul", "PAUI"), ("paul", "pau1"), ("bob", "b0b"), ("ann-lee", "ann_lee"), ("annlee", "ann-lee"), ("mia", "rnia"),
     ("wim", "vvim"), ("日报", "曰报")],
)  # fmt: skip
def test_names_that_the_eye_confuses_are_one(one: str, other: str) -> None:
    a_user(one)
    with pytest.raises(ValidationError, match="too much like"):
        validate_free(other)


@pytest.mark.parametrize(("one", "other"), [("ann", "anne"), ("沈知远", "沈知"), ("bob", "rob"), ("a1", "a2")])
def test_names_that_differ_are_two(one: str, other: str) -> None:
    a_user(one)
    validate_free(other)


def test_a_look_alike_cannot_sign_up(client: Client) -> None:
    a_user("newb1e")
    assert "username" in sign_up(client, username="newbie").context["form"].errors
    assert not User.objects.filter(username="newbie").exists()


def test_a_look_alike_is_refused_in_the_admin_beside_the_field(client: Client) -> None:
    user = a_user("ann")
    a_user("paul")
    client.force_login(User.objects.create_superuser("chief", "", "x"))
    fields = {"username": "pau1", "language": "en", "display_name": "", "bio": "", "email": ""}
    response = client.post(f"/admin/accounts/user/{user.pk}/change/", fields)
    assert "username" in response.context["adminform"].errors


def rename(client: Client, name: str) -> Any:
    """Ask for another name."""
    return client.post("/account/username/", {"username": name})


@pytest.fixture
def ann(client: Client) -> User:
    """An author who is logged in and has something below every kind of address."""
    author = log_in(client, a_member("ann"))
    an_article(author, tags=("nginx",), category=a_category(author))
    return author


def test_a_rename_changes_the_name(client: Client, ann: User) -> None:
    rename(client, "Berta")
    ann.refresh_from_db()
    assert ann.username == "Berta"


@pytest.mark.parametrize(
    "rest", ["/", "/?page=1", "/feed.atom", "/category/notes/", "/tag/nginx/", "/2026/05/", "ARTICLE"]
)
def test_every_old_address_leads_to_the_new_one_for_good(client: Client, ann: User, rest: str) -> None:
    rest = ann.articles.get().get_absolute_url().removeprefix("/ann") if rest == "ARTICLE" else rest
    rename(client, "berta")
    response = client.get(f"/ann{rest}")
    assert (response.status_code, response["Location"]) == (301, f"/berta{rest}")
    assert client.get(f"/berta{rest}").status_code == 200


def test_after_two_renames_the_first_name_leads_to_the_last(client: Client, ann: User) -> None:
    rename(client, "berta")
    rename(client, "clara")
    assert client.get("/ANN/")["Location"] == "/clara/"


@pytest.mark.parametrize("name", ["ann", "ANN", "a-nn"])
def test_an_old_name_is_nobody_elses(client: Client, ann: User, name: str) -> None:
    rename(client, "berta")
    client.logout()
    assert "username" in sign_up(client, username=name).context["form"].errors


def test_an_old_name_can_be_taken_back(client: Client, ann: User) -> None:
    rename(client, "berta")
    rename(client, "ann")
    assert client.get("/berta/")["Location"] == "/ann/"
    assert client.get("/ann/").status_code == 200


@pytest.mark.parametrize(
    "name", ["", "account", "a b", "../x", "аnn", "2026", "\0", "x" * 10_000, "\u202enna", "🙂", "bob"]
)
def test_a_name_that_may_not_be_is_refused_and_stays_in_the_form(client: Client, ann: User, name: str) -> None:
    a_user("bob")
    response = rename(client, name)
    assert response.status_code == 200
    assert response.context["form"]["username"].value() == name
    ann.refresh_from_db()
    assert ann.username == "ann"


def test_after_a_refusal_the_header_still_says_who_is_logged_in(client: Client, ann: User) -> None:
    assert 'href="/ann/"' in rename(client, "account").text


def test_a_stranger_cannot_rename_anybody(client: Client) -> None:
    ann = a_member("ann")
    # The page that keeps what was typed until somebody has logged in (config.resending).
    assert rename(client, "berta").status_code == 403
    ann.refresh_from_db()
    assert ann.username == "ann"


def test_names_from_before_are_taken_by_the_migration() -> None:
    a_user("ann")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for target in ("0003", "0005"):
            call_command("migrate", "accounts", target, verbosity=0)
    taken = TakenName.objects.get()
    assert (taken.name, taken.key, taken.user) == ("ann", skeleton("ann"), User.objects.get())


def test_addresses_from_before_are_verified_by_the_migration() -> None:
    user = a_user("ann", email="Ann@example.org")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for target in ("0002", "0005"):
            call_command("migrate", "accounts", target, verbosity=0)
    address = EmailAddress.objects.get(user_id=user.pk)
    assert (address.email, address.verified, address.primary) == ("ann@example.org", True, True)


def test_an_account_deleted_by_sql_leaves_its_name_taken() -> None:
    user = a_user("ann")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_user WHERE id = %s", [user.pk])
    assert TakenName.objects.get().user is None


def test_a_name_nobody_has_or_had_is_404(client: Client, ann: User) -> None:
    for address in ("/nobody/", "/nobody/feed.atom", "/nobody/tag/nginx/"):
        assert client.get(address).status_code == 404
