"""Language and colour scheme, chosen without an account."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_a_chosen_theme_is_on_the_next_page(client: Client) -> None:
    response = client.post("/preferences/theme/", {"theme": "dark", "next": "/robots.txt"})
    assert (response.status_code, response["Location"]) == (302, "/robots.txt")
    assert client.get("/").context["theme"] == "dark"


def test_an_unknown_theme_is_refused(client: Client) -> None:
    assert client.post("/preferences/theme/", {"theme": "pink"}).status_code == 400


def test_a_forged_theme_cookie_counts_as_none(client: Client) -> None:
    client.cookies["theme"] = '"><script>'
    assert client.get("/").context["theme"] == "auto"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_the_way_back_never_leaves_the_site(client: Client, target: str) -> None:
    response = client.post("/preferences/theme/", {"theme": "dark", "next": target})
    assert response["Location"] == "/"


def test_another_sites_form_cannot_choose(client: Client) -> None:
    response = client.post("/preferences/theme/", {"theme": "dark"}, headers={"origin": "https://evil.example"})
    assert response.status_code == 403


def test_this_sites_form_can_choose(client: Client) -> None:
    response = client.post("/preferences/theme/", {"theme": "dark"}, headers={"origin": "https://testserver"})
    assert response.status_code == 302


def test_choosing_needs_post(client: Client) -> None:
    assert client.get("/preferences/theme/").status_code == 405
    assert client.get("/i18n/setlang/").status_code == 405


def test_a_chosen_language_is_on_the_next_page(client: Client) -> None:
    client.post("/i18n/setlang/", {"language": "zh-hans", "next": "/"})
    response = client.get("/")
    assert response["Content-Language"] == "zh-hans"
    assert '<html lang="zh-hans"' in response.text


def test_an_unknown_language_changes_nothing(client: Client) -> None:
    client.post("/i18n/setlang/", {"language": "tlh", "next": "/"})
    assert client.get("/")["Content-Language"] == "en"


def test_the_browsers_language_decides_without_a_choice(client: Client) -> None:
    assert client.get("/", headers={"accept-language": "zh-CN,zh;q=0.9"})["Content-Language"] == "zh-hans"


def test_a_public_page_sets_no_cookie(client: Client) -> None:
    assert "Set-Cookie" not in client.get("/")
