"""Headers that protect the reader."""

from __future__ import annotations

import re

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from blog.views import page

pytestmark = pytest.mark.django_db


def test_the_content_security_policy_allows_nothing_inline_and_nobody_else(client: Client) -> None:
    policy = client.get("/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("address", ["/", "/nobody/", "/admin/login/"])
def test_every_page_has_the_headers(client: Client, address: str) -> None:
    response = client.get(address)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Content-Security-Policy" in response


def test_a_page_says_what_it_varies_by(client: Client) -> None:
    assert set(re.split(r",\s*", client.get("/")["Vary"])) == {"Accept-Language", "Cookie"}


def test_a_page_varies_by_the_cookies_even_if_its_template_asks_for_none() -> None:
    response = page(lambda request: HttpResponse())(RequestFactory().get("/"))
    assert response["Vary"] == "Accept-Language, Cookie"


def test_an_unchanged_page_is_answered_without_a_body(client: Client) -> None:
    first = client.get("/")
    again = client.get("/", headers={"if-none-match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_forwarded_address_is_not_believed(client: Client) -> None:
    response = client.get("/", headers={"x-forwarded-for": "1.2.3.4", "x-forwarded-host": "evil.example"})
    assert response.wsgi_request.META["REMOTE_ADDR"] == "127.0.0.1"
    assert response.wsgi_request.get_host() == "testserver"


def test_a_form_without_token_gets_a_page_that_says_so(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True, headers={"x-forwarded-proto": "https", "host": "testserver"})
    response = strict.post(
        "/admin/login/", {"username": "x", "password": "y"}, headers={"referer": "https://testserver/"}
    )
    assert response.status_code == 403
    assert "403_csrf.html" in [template.name for template in response.templates]
