"""Logging in and out, and getting back in."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from accounts.models import User
from config import limits
from tests.web.accounts.people import PASSWORD, a_member, log_in, mailed_address, prove_again
from tests.web.builders import a_user

pytestmark = pytest.mark.django_db


def attempt(client: Client, login: str, password: str = "", **extra: Any) -> Any:
    """Send the log-in form."""
    return client.post("/account/login/", {"login": login, "password": password or "wrong"}, **extra)


@pytest.mark.parametrize("login", ["Ann", "aNN", "ann@example.org", "ANN@Example.org"])
def test_a_name_or_an_address_in_any_case_logs_in(client: Client, login: str) -> None:
    a_member("Ann", email="ann@example.org")
    assert attempt(client, login, PASSWORD)["Location"] == "/"


def test_logging_in_leads_back_to_where_one_was(client: Client) -> None:
    a_member()
    response = client.post("/account/login/", {"login": "ann", "password": PASSWORD, "next": "/tag/nginx/"})
    assert response["Location"] == "/tag/nginx/"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "\0"])
def test_but_never_to_another_site(client: Client, elsewhere: str) -> None:
    a_member()
    response = client.post("/account/login/", {"login": "ann", "password": PASSWORD, "next": elsewhere})
    assert response["Location"] == "/"


def test_the_session_gets_a_new_key(client: Client) -> None:
    client.get("/account/login/")
    before = client.session.session_key
    log_in(client, a_member())
    assert client.session.session_key != before


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(client: Client) -> None:
    a_member()
    known, unknown = attempt(client, "ann"), attempt(client, "bob")
    assert known.context["form"].non_field_errors() == unknown.context["form"].non_field_errors()
    assert known.status_code == unknown.status_code == 200


def test_an_unknown_name_costs_as_much_hashing_as_a_known_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.contrib.auth.hashers import MD5PasswordHasher

    a_member()
    counts = []
    original = MD5PasswordHasher.encode
    for login in ("ann", "bob"):
        made: list[str] = []

        def encode(self: Any, password: str, salt: str, made: list[str] = made) -> str:
            made.append(password)
            return original(self, password, salt)

        monkeypatch.setattr(MD5PasswordHasher, "encode", encode)
        attempt(client, login)
        counts.append(len(made))
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("text", ["\0", "x" * 10_000, "\u202eann", "🙂", "a\nb"])
@pytest.mark.parametrize("field", ["login", "password"])
def test_hostile_text_is_no_server_error(client: Client, field: str, text: str) -> None:
    response = client.post("/account/login/", {"login": "ann", "password": "x", field: text})
    assert response.status_code == 200
    if field == "login" and text != "a\nb":
        assert response.context["form"]["login"].value() == text


def test_the_password_never_reaches_the_log(client: Client, log_lines: Any) -> None:
    a_member()
    attempt(client, "ann", "a-secret-word-77")
    log_in(client, a_member())
    assert "a-secret-word-77" not in str(log_lines())
    assert PASSWORD not in str(log_lines())


def test_the_eleventh_attempt_on_an_account_is_429_from_whatever_address(client: Client) -> None:
    a_member()
    times = limits.RATES["login"].account.times  # type: ignore[union-attr]
    answers = [attempt(client, "ann", REMOTE_ADDR=f"192.0.2.{number}") for number in range(times + 1)]
    assert [answer.status_code for answer in answers] == [200] * times + [429]
    assert int(answers[-1]["Retry-After"]) > 0


def test_the_limit_of_an_account_is_the_same_whether_it_exists(client: Client) -> None:
    times = limits.RATES["login"].account.times  # type: ignore[union-attr]
    answers = [attempt(client, "nobody").status_code for _number in range(times + 1)]
    assert answers == [200] * times + [429]


def test_one_address_cannot_try_account_after_account(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "login", limits.Rates(limits.Rate(3, 60), limits.Rate(10, 60)))
    assert [attempt(client, f"user{number}").status_code for number in range(4)] == [200, 200, 200, 429]


def test_the_limit_is_counted_in_the_database_for_all_processes(client: Client) -> None:
    from django.db import connection

    attempt(client, "ann")
    with connection.cursor() as cursor:
        cursor.execute("SELECT scope FROM config_limit ORDER BY scope")
        assert cursor.fetchall() == [("login/account",), ("login/address",)]


def test_the_admin_has_no_log_in_of_its_own(client: Client) -> None:
    for address in ("/admin/", "/admin/login/", "/admin/accounts/user/"):
        response = client.get(address, follow=True)
        assert response.redirect_chain[-1][0].startswith("/account/login/?next=")
    assert client.post("/admin/login/", {"username": "a", "password": "b"}).status_code == 302


def test_staff_come_to_the_admin_through_the_same_log_in(client: Client) -> None:
    chief = User.objects.create_superuser("chief", "", PASSWORD)
    response = client.post("/account/login/", {"login": chief.username, "password": PASSWORD, "next": "/admin/"})
    assert response["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_the_admin_is_forbidden_to_who_is_no_staff(client: Client) -> None:
    log_in(client, a_member())
    assert client.get("/admin/", follow=True).status_code == 403


def test_an_account_that_is_switched_off_cannot_log_in(client: Client) -> None:
    a_member(is_active=False)
    attempt(client, "ann", PASSWORD)
    assert client.get("/account/").status_code == 302


def test_a_link_cannot_log_anybody_out(client: Client) -> None:
    log_in(client, a_member())
    client.get("/account/logout/")
    assert client.get("/account/").status_code == 200


def test_the_button_logs_out_without_a_token(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True, headers={"x-forwarded-proto": "https", "host": "testserver"})
    strict.force_login(a_member())
    response = strict.post("/account/logout/", headers={"origin": "https://testserver"})
    assert response["Location"] == "/"
    assert strict.get("/account/").status_code == 302


def test_another_site_cannot_log_anybody_out(client: Client) -> None:
    log_in(client, a_member())
    assert client.post("/account/logout/", headers={"origin": "https://evil.example"}).status_code == 403
    assert client.get("/account/").status_code == 200


# --- The header


def test_the_header_offers_to_log_in_and_leads_back(client: Client) -> None:
    page = client.get("/?page=1").text
    assert 'href="/account/login/?next=%2F%3Fpage%3D1"' in page
    assert 'href="/account/signup/"' in page


def test_the_header_has_the_menu_of_who_is_logged_in(client: Client) -> None:
    log_in(client, a_member(display_name="Ann B."))
    page = client.get("/").text
    assert "Ann B." in page
    assert 'action="/account/logout/"' in page
    assert "/account/signup/" not in page


# --- A forgotten password


def reset(client: Client, email: str) -> Any:
    """Ask for a link."""
    return client.post("/account/password/reset/", {"email": email})


def test_a_mailed_link_sets_a_new_password(client: Client) -> None:
    user = a_member()
    reset(client, "ann@example.org")
    form = client.get(mailed_address("/password/reset/key/"), follow=True)
    new = "another-horse-7"
    client.post(form.redirect_chain[-1][0], {"password1": new, "password2": new})
    user.refresh_from_db()
    assert user.check_password(new)


def test_the_link_works_once(client: Client) -> None:
    a_member()
    reset(client, "ann@example.org")
    link = mailed_address("/password/reset/key/")
    form = client.get(link, follow=True)
    client.post(form.redirect_chain[-1][0], {"password1": "another-horse-7", "password2": "another-horse-7"})
    assert "invalid" in Client(headers={"x-forwarded-proto": "https"}).get(link, follow=True).text


def test_an_unknown_address_gets_the_same_answer(client: Client) -> None:
    a_member()
    known, unknown = reset(client, "ann@example.org"), reset(client, "nobody@example.org")
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert len(mail.outbox) == 2


def test_one_address_cannot_be_flooded_with_mail(client: Client) -> None:
    a_member()
    times = limits.RATES["reset"].account.times  # type: ignore[union-attr]
    answers = [reset(client, "ann@example.org").status_code for _number in range(times + 1)]
    assert answers == [302] * times + [429]
    assert len(mail.outbox) == times


@pytest.mark.parametrize("email", ["\0", "x" * 10_000, "\u202e@x.org", "🙂@x.org", ""])
def test_a_hostile_address_is_no_server_error_and_stays(client: Client, email: str) -> None:
    response = reset(client, email)
    assert response.status_code == 200
    assert response.context["form"]["email"].value() == email


@pytest.mark.parametrize("address", ["/account/password/reset/key/0-x/", "/account/password/reset/key/zz-%00/"])
def test_a_made_up_link_is_answered_with_a_page(client: Client, address: str) -> None:
    assert client.get(address, follow=True).status_code in (200, 404)


# --- Changing what one logs in with


def test_changing_the_password_asks_for_the_old_one_and_ends_other_sessions(client: Client) -> None:
    user = log_in(client, a_member())
    other = Client(headers={"x-forwarded-proto": "https", "host": "testserver"})
    log_in(other, user)
    new = {"password1": "another-horse-7", "password2": "another-horse-7"}
    client.post("/account/password/change/", {"oldpassword": "wrong", **new})
    assert other.get("/account/").status_code == 200
    client.post("/account/password/change/", {"oldpassword": PASSWORD, **new})
    assert (client.get("/account/").status_code, other.get("/account/").status_code) == (200, 302)


def test_a_new_address_counts_once_it_is_verified(client: Client) -> None:
    user = prove_again(client, log_in(client, a_member()))
    client.post("/account/email/", {"email": "new@example.org", "action_add": ""})
    user.refresh_from_db()
    assert user.email == "ann@example.org"
    client.post(mailed_address("/confirm-email/"))
    user.refresh_from_db()
    assert user.email == "new@example.org"
    assert not EmailAddress.objects.filter(email="ann@example.org").exists()


def test_what_matters_asks_for_the_password_again_and_then_goes_on(client: Client) -> None:
    user = log_in(client, a_member())
    asked = client.post("/account/email/", {"email": "new@example.org", "action_add": ""})
    assert asked["Location"] == "/account/reauthenticate/?next=%2Faccount%2Femail%2F"
    client.post("/account/reauthenticate/", {"password": PASSWORD, "next": "/account/email/"})
    assert mail.outbox[-1].to == ["new@example.org"]
    assert user.email == "ann@example.org"


def test_the_old_address_learns_of_the_change(client: Client) -> None:
    prove_again(client, log_in(client, a_member()))
    client.post("/account/email/", {"email": "new@example.org", "action_add": ""})
    client.post(mailed_address("/confirm-email/"))
    assert ["ann@example.org"] in [message.to for message in mail.outbox]


def test_an_address_of_another_account_is_not_taken_over(client: Client) -> None:
    a_member("bob")
    user = prove_again(client, log_in(client, a_member()))
    client.post("/account/email/", {"email": "bob@example.org", "action_add": ""})
    user.refresh_from_db()
    assert user.email == "ann@example.org"
    assert not EmailAddress.objects.filter(user=user, email="bob@example.org", verified=True).exists()


def test_mail_is_written_in_the_name_of_the_site(client: Client) -> None:
    a_member()
    reset(client, "ann@example.org")
    assert mail.outbox[-1].subject.startswith("[Slipway] ")
    assert "Hello from Slipway!" in str(mail.outbox[-1].body)


def test_an_account_without_an_address_can_log_in_all_the_same(client: Client) -> None:
    a_user("made", password=PASSWORD)
    assert attempt(client, "made", PASSWORD)["Location"] == "/"


def test_what_an_administrator_typed_needs_no_verification(client: Client) -> None:
    client.force_login(User.objects.create_superuser("chief", "chief@example.org", "x"))
    fields = {"username": "typed", "email": "typed@example.org", "usable_password": "true"}
    client.post("/admin/accounts/user/add/", {**fields, "password1": PASSWORD, "password2": PASSWORD})
    client.logout()
    assert attempt(client, "typed", PASSWORD)["Location"] == "/"
