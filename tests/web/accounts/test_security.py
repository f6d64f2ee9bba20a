"""Second factors, passkeys, recovery codes, and the sessions of an account."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.usersessions.models import UserSession
from django.test import Client

from accounts.models import User
from config import limits
from tests.web.accounts.people import PASSWORD, a_member, log_in, prove_again

pytestmark = pytest.mark.django_db
SECRET = "JBSWY3DPEHPK3PXP"


def code() -> str:
    """What the authenticator app shows now."""
    return format_hotp_value(hotp_value(SECRET, next(iter(yield_hotp_counters_from_time()))))


def with_app(username: str = "ann") -> User:
    """Somebody with an authenticator app and recovery codes."""
    user = a_member(username)
    TOTP.activate(user, SECRET)
    RecoveryCodes.activate(user)
    return user


def another_client() -> Client:
    """Another browser."""
    return Client(raise_request_exception=False, headers={"x-forwarded-proto": "https", "host": "testserver"})


def half_way(client: Client, user: User) -> None:
    """The password is given, the code is asked for."""
    response = client.post("/account/login/", {"login": user.username, "password": PASSWORD})
    assert response["Location"].startswith("/account/2fa/authenticate/")


def test_the_password_alone_is_not_enough(client: Client) -> None:
    half_way(client, with_app())
    assert client.get("/account/").status_code == 302


def test_the_code_of_the_app_completes_the_log_in(client: Client) -> None:
    half_way(client, with_app())
    client.post("/account/2fa/authenticate/", {"code": code()})
    assert client.get("/account/").status_code == 200


def test_a_code_works_once(client: Client) -> None:
    user, used = with_app(), code()
    half_way(client, user)
    client.post("/account/2fa/authenticate/", {"code": used})
    other = another_client()
    half_way(other, user)
    other.post("/account/2fa/authenticate/", {"code": used})
    assert other.get("/account/").status_code == 302


def test_a_recovery_code_completes_the_log_in_once(client: Client) -> None:
    user = with_app()
    spare = RecoveryCodes(Authenticator.objects.get(user=user, type="recovery_codes")).get_unused_codes()[0]
    answers = []
    for browser in (client, another_client()):
        half_way(browser, user)
        browser.post("/account/2fa/authenticate/", {"code": spare})
        answers.append(browser.get("/account/").status_code)
    assert answers == [200, 302]


def test_codes_cannot_be_guessed_even_from_many_addresses(client: Client) -> None:
    half_way(client, with_app())
    times = limits.RATES["code"].account.times  # type: ignore[union-attr]
    answers = [
        client.post("/account/2fa/authenticate/", {"code": f"{number:06}"}, REMOTE_ADDR=f"192.0.2.{number}").status_code
        for number in range(times + 1)
    ]
    assert answers == [200] * times + [429]


@pytest.mark.parametrize("text", ["\0", "x" * 10_000, "\u202e123456", "１２３４５６", ""])
def test_a_hostile_code_is_no_server_error(client: Client, text: str) -> None:
    half_way(client, with_app())
    assert client.post("/account/2fa/authenticate/", {"code": text}).status_code == 200


def test_activating_the_app_asks_for_a_code_of_it(client: Client) -> None:
    user = prove_again(client, log_in(client, a_member()))
    page = client.get("/account/2fa/totp/activate/")
    assert "data:image/svg+xml" in page.text
    client.post("/account/2fa/totp/activate/", {"code": "000000"})
    assert not Authenticator.objects.filter(user=user).exists()


def test_an_activated_app_brings_recovery_codes(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allauth.mfa.totp.internal.auth.generate_totp_secret", lambda *_a, **_k: SECRET)
    user = prove_again(client, log_in(client, a_member()))
    client.get("/account/2fa/totp/activate/")
    client.post("/account/2fa/totp/activate/", {"code": code()})
    assert set(Authenticator.objects.filter(user=user).values_list("type", flat=True)) == {"totp", "recovery_codes"}
    assert client.get("/account/2fa/recovery-codes/").status_code == 200


@pytest.mark.parametrize("page", ["webauthn/add", "recovery-codes/generate", "recovery-codes", "totp/deactivate"])
def test_each_change_of_the_factors_asks_for_the_password_again(client: Client, page: str) -> None:
    half_way(client, with_app())
    client.post("/account/2fa/authenticate/", {"code": code()})
    assert "/reauthenticate/" in client.get(f"/account/2fa/{page}/").headers.get("Location", "")


@pytest.mark.parametrize("address", ["/account/login/", "/account/2fa/webauthn/add/", "/account/signup/"])
def test_no_script_is_inline(client: Client, address: str) -> None:
    if "webauthn" in address:
        prove_again(client, log_in(client, a_member()))
    page = client.get(address).text
    scripts = re.findall(r"<script([^>]*)>", page)
    assert scripts
    assert all("src=" in script or 'type="application/json"' in script for script in scripts)
    assert not re.search(r"\son\w+=|\sstyle=", page)


def test_a_passkey_log_in_offers_a_challenge(client: Client) -> None:
    answer = client.get("/account/2fa/webauthn/login/", headers={"accept": "application/json"})
    assert "challenge" in answer.json()["request_options"]["publicKey"]


ODD = ["", "{}", "null", "[]", "7", "\0", "x" * 10_000, '{"id": 1}', '{"id": "YQ", "rawId": "YQ", "response": []}']


@pytest.mark.parametrize("credential", ODD)
def test_a_made_up_new_passkey_is_no_server_error(client: Client, credential: str) -> None:
    prove_again(client, log_in(client, a_member()))
    client.get("/account/2fa/webauthn/add/")
    assert client.post("/account/2fa/webauthn/add/", {"name": "x", "credential": credential}).status_code == 200


@pytest.mark.parametrize("credential", ODD)
def test_a_made_up_passkey_is_no_server_error(client: Client, credential: str) -> None:
    client.get("/account/2fa/webauthn/login/", headers={"accept": "application/json"})
    assert client.post("/account/2fa/webauthn/login/", {"credential": credential}).status_code < 500


# --- Sessions


def two_browsers(client: Client) -> tuple[User, Client, UserSession]:
    """Somebody in two browsers; the second one and its session."""
    user, other = a_member(), another_client()
    log_in(client, user)
    log_in(other, user)
    return user, other, UserSession.objects.get(session_key=other.session.session_key)


def test_the_list_shows_every_browser(client: Client) -> None:
    two_browsers(client)
    assert client.get("/account/sessions/").text.count("127.0.0.1") == 2


def test_one_session_can_be_ended(client: Client) -> None:
    _user, other, session = two_browsers(client)
    client.post(f"/account/sessions/{session.pk}/end/")
    assert (client.get("/account/").status_code, other.get("/account/").status_code) == (200, 302)


def test_all_other_sessions_can_be_ended(client: Client) -> None:
    _user, other, _session = two_browsers(client)
    client.post("/account/sessions/")
    assert (client.get("/account/").status_code, other.get("/account/").status_code) == (200, 302)


def test_nobody_can_end_another_persons_session(client: Client) -> None:
    _user, other, session = two_browsers(client)
    stranger = another_client()
    log_in(stranger, a_member("bob"))
    assert stranger.post(f"/account/sessions/{session.pk}/end/").status_code == 404
    assert other.get("/account/").status_code == 200


def test_a_link_cannot_end_a_session(client: Client) -> None:
    _user, _other, session = two_browsers(client)
    assert client.get(f"/account/sessions/{session.pk}/end/").status_code == 405


# --- The profile


def test_the_profile_is_saved(client: Client) -> None:
    user = log_in(client, a_member())
    client.post("/account/", {"display_name": " Ann  B. ", "bio": "Writes.", "language": "zh-hans"})
    user.refresh_from_db()
    assert (user.display_name, user.bio, user.language) == ("Ann B.", "Writes.", "zh-hans")


@pytest.mark.parametrize("text", ["\0", "x" * 10_000])
@pytest.mark.parametrize("field", ["display_name", "bio", "language"])
def test_hostile_text_in_the_profile_is_refused_and_stays(client: Client, field: str, text: str) -> None:
    log_in(client, a_member())
    response = client.post("/account/", {"display_name": "A", "bio": "B", "language": "en", field: text})
    assert response.status_code == 200
    assert response.context["form"][field].value() == text


@pytest.mark.parametrize("text", ["\u202egnp", "🙂", "<script>alert(1)</script>", "沈知远"])
def test_odd_text_in_the_profile_is_shown_as_text(client: Client, text: str) -> None:
    log_in(client, a_member())
    client.post("/account/", {"display_name": text, "bio": "", "language": "en"})
    page = client.get("/account/").text
    assert "<script>alert" not in page


# --- What it costs

QUERIES = {
    "/account/login/": 0,
    "/account/signup/": 0,
    "/account/password/reset/": 0,
    "/account/": 4,  # session, user; the form's own user; unread notifications
    "/account/2fa/": 5,  # session, user; the factors, whether there are any; unread notifications
}


@pytest.mark.parametrize("address", QUERIES)
def test_a_page_makes_this_many_queries(client: Client, queries_of: Any, address: str) -> None:
    if address in ("/account/", "/account/2fa/"):
        client.force_login(a_member())
        client.get("/")
    with queries_of(QUERIES[address]):
        assert client.get(address).status_code == 200


def test_proving_the_password_again_is_soon_forgotten(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    prove_again(client, log_in(client, a_member()))
    assert client.get("/account/2fa/totp/activate/").status_code == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert client.get("/account/2fa/totp/activate/").status_code == 302
