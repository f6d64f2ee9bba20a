"""Signing up: the account, its verified address, and what robots meet."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from PIL import Image

from accounts import signup
from accounts.models import User
from tests.web.accounts.people import PASSWORD, a_member, mailed_address, proof, sign_up, token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def easy_work(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    """A proof that a test finds at once; uploads go to a directory of the test's own."""
    monkeypatch.setattr(signup, "WORK_BITS", 4)
    settings.MEDIA_ROOT = tmp_path


def another_client(**defaults: Any) -> Client:
    """A browser of somebody else."""
    return Client(raise_request_exception=False, headers={"x-forwarded-proto": "https"}, **defaults)


def a_picture(size: tuple[int, int] = (400, 200)) -> bytes:
    """A JPEG with a place in its metadata."""
    image = Image.new("RGB", size, "navy")
    exif = image.getexif()
    exif[0x010E] = "SECRET PLACE"
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_signing_up_makes_an_account_that_waits_for_its_address(client: Client) -> None:
    response = sign_up(client)
    assert (response.status_code, response["Location"]) == (302, "/account/confirm-email/")
    assert User.objects.get(username="newbie").check_password(PASSWORD)
    assert not EmailAddress.objects.get(email="newbie@example.org").verified


def test_nobody_is_logged_in_before_the_address_is_verified(client: Client) -> None:
    sign_up(client)
    client.post("/account/login/", {"login": "newbie", "password": PASSWORD})
    assert client.get("/account/").status_code == 302


def test_the_mailed_link_verifies_the_address_by_a_post(client: Client) -> None:
    sign_up(client)
    link = mailed_address("/confirm-email/")
    assert client.get(link).status_code == 200
    assert not EmailAddress.objects.get(email="newbie@example.org").verified
    client.post(link)
    assert client.post("/account/login/", {"login": "newbie", "password": PASSWORD})["Location"] == "/"
    assert client.get("/account/").status_code == 200


def test_a_new_account_gets_its_mail_in_the_language_it_was_made_in(client: Client) -> None:
    client.cookies["django_language"] = "zh-hans"
    sign_up(client)
    assert User.objects.get(username="newbie").language == "zh-hans"


def test_the_avatar_is_made_small_and_loses_its_metadata(client: Client) -> None:
    sign_up(client, avatar=SimpleUploadedFile("../x.jpg", a_picture(), "text/html"))
    stored = User.objects.get(username="newbie").avatar
    with stored.open() as file:
        content = file.read()
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("WEBP", (256, 256))
    assert b"SECRET" not in content
    assert str(stored.name).endswith(".webp")


def test_what_is_no_picture_is_refused_beside_the_field(client: Client) -> None:
    response = sign_up(client, avatar=SimpleUploadedFile("x.png", b"<html><script>alert(1)</script>", "image/png"))
    assert "avatar" in response.context["form"].errors
    assert not User.objects.exists()


@pytest.mark.parametrize("password", ["1", "12345678", "password", "newbie12"])
def test_a_weak_password_is_refused(client: Client, password: str) -> None:
    assert "password1" in sign_up(client, password1=password).context["form"].errors


@pytest.mark.parametrize("name", ["login", "ACCOUNT", "../x y", "a b", "аnn", "2026", "x" * 33])
def test_a_name_that_may_not_be_is_refused(client: Client, name: str) -> None:
    assert "username" in sign_up(client, username=name).context["form"].errors


def test_a_name_that_differs_in_case_only_is_taken(client: Client) -> None:
    a_member("Newbie", email="other@example.org")
    assert "username" in sign_up(client).context["form"].errors


HOSTILE = ["\0", "a\0b", "x" * 10_000, "\u202egnp.exe", "🙂", "<script>", "{{ 7 }}", "'; DROP TABLE x; --", "%s%n"]


@pytest.mark.parametrize("field", ["username", "email", "password1", "token", "work", "website"])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_no_server_error_and_stays_where_it_was_typed(client: Client, field: str, text: str) -> None:
    response = sign_up(client, **{field: text, "display": "kept"})
    assert response.status_code in (200, 302)
    if response.status_code == 200 and field in ("username", "email"):
        assert response.context["form"][field].value() == text


def test_after_an_error_everything_but_the_password_is_still_there(client: Client) -> None:
    page = sign_up(client, password1="1").text
    assert 'value="newbie"' in page
    assert 'value="newbie@example.org"' in page


# --- No enumeration


def test_an_address_that_has_an_account_is_answered_as_a_new_one_is(client: Client) -> None:
    a_member("ann")
    new, taken = sign_up(client), sign_up(another_client(), username="other", email="Ann@example.org")
    assert (taken.status_code, taken["Location"], taken.content) == (new.status_code, new["Location"], new.content)
    assert not User.objects.filter(username="other").exists()


def test_the_owner_of_the_address_learns_of_it_by_mail(client: Client) -> None:
    a_member("ann")
    sign_up(client, email="ann@example.org")
    assert "already exists" in str(mail.outbox[-1].body)


def test_an_address_somebody_else_has_not_verified_is_no_exception(client: Client) -> None:
    sign_up(client)
    assert sign_up(another_client(), username="second")["Location"] == "/account/confirm-email/"
    assert not User.objects.filter(username="second").exists()


def test_a_taken_address_costs_as_much_hashing_as_a_new_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    a_member("ann")
    hashed: list[str] = []
    monkeypatch.setattr(signup, "make_password", hashed.append)
    sign_up(client, email="ann@example.org")
    assert hashed == [PASSWORD]


# --- Robots


def test_the_hidden_field_makes_no_account_and_says_nothing(client: Client) -> None:
    person = sign_up(client)
    robot = sign_up(another_client(), username="robot", email="r@x.org", website="spam")
    assert (robot.status_code, robot["Location"]) == (person.status_code, person["Location"])
    assert not User.objects.filter(username="robot").exists()


def test_a_form_sent_at_once_is_refused_with_what_was_typed(client: Client) -> None:
    page = sign_up(client, token=signup.new_token())
    assert page.status_code == 200
    assert "quick" in page.text
    assert 'value="newbie"' in page.text


@pytest.mark.parametrize("old", ["", "forged:1abc:xyz", "x" * 10_000])
def test_a_forged_form_is_refused_with_a_new_token(client: Client, old: str) -> None:
    page = sign_up(client, token=old)
    assert not User.objects.exists()
    assert page.context["form"]["token"].value() not in ("", old)


def test_a_form_that_was_open_for_a_day_gets_a_new_token(client: Client) -> None:
    page = sign_up(client, token=token(24 * 3600))
    assert "too long" in page.text
    signup.signer.unsign(page.context["form"]["token"].value(), max_age=5)


def test_a_form_is_good_for_one_account(client: Client) -> None:
    used = token()
    sign_up(client, token=used)
    assert sign_up(client, token=used, username="second", email="second@example.org").status_code == 429


def test_an_error_does_not_use_up_the_form(client: Client) -> None:
    used = token()
    sign_up(client, token=used, password1="1")
    assert sign_up(client, token=used).status_code == 302


def several(number: int, **changes: str) -> list[int]:
    """The answers to that many people at one address."""
    answers = []
    for person in range(number):
        own = token(60 + person)
        changed = {"work": proof(own)} if changes.get("work") else {}
        answers.append(
            sign_up(
                another_client(), username=f"person{person}x", email=f"p{person}@x.org", token=own, **changed
            ).status_code
        )
    return answers


def test_without_a_proof_of_work_three_an_hour_may_sign_up() -> None:
    assert several(4) == [302, 302, 302, 429]


def test_with_a_proof_of_work_more_may() -> None:
    assert several(5, work="yes") == [302] * 5


@pytest.mark.parametrize(("work", "sound"), [("", False), ("abc", False), ("٣", False), ("9" * 20, False)])
def test_what_proves_work_is_a_number(work: str, sound: bool) -> None:
    assert signup.is_proof("token", work) is sound


def test_the_work_is_bound_to_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signup, "WORK_BITS", 12)
    found = proof("one")
    assert signup.is_proof("one", found)
    assert not signup.is_proof("other", found)


# --- At once


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """Rows that other connections see."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE config_limit")


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("same", ["username", "email"])
def test_two_who_ask_for_the_same_at_once_get_one_account_and_no_server_error(same: str) -> None:
    def attempt(number: int) -> int:
        fields = {"username": f"name{number}", "email": f"e{number}@example.org"}
        fields[same] = {"username": "same", "email": "same@example.org"}[same]
        try:
            return sign_up(
                another_client(REMOTE_ADDR=f"192.0.2.{number}"),
                token=token(60 + number),
                **fields,
            ).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(attempt, range(1, 5)))
    assert set(answers) <= {200, 302}
    assert User.objects.count() == 1
