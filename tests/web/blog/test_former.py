"""Addresses of the article's blog."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from tests.web.builders import a_category, a_user, an_article, later

pytestmark = pytest.mark.django_db


def target(client: Client, address: str) -> str | None:
    """Where `address` leads for good; None when it is 404."""
    response = client.get(quote(address))
    if response.status_code == 404:
        return None
    assert response.status_code == 301
    return response["Location"]


def test_the_front_page(client: Client) -> None:
    assert target(client, "/index/") == "/"


@pytest.mark.parametrize("address", ["/ann/articles/{0}", "/ann/articles/{0}/", "/ANN/articles/{0}"])
def test_an_article(client: Client, address: str) -> None:
    article = an_article(a_user("ann"))
    assert target(client, address.format(article.pk)) == article.get_absolute_url()


@pytest.mark.parametrize("fields", [{"status": "draft"}, {"status": "trashed"}, {"published_at": later(days=1)}])
def test_an_article_that_is_not_public_is_404(client: Client, fields: dict[str, Any]) -> None:
    assert target(client, f"/ann/articles/{an_article(**fields).pk}") is None


def test_an_article_of_another_author_is_404(client: Client) -> None:
    a_user("bob")
    assert target(client, f"/bob/articles/{an_article(a_user('ann')).pk}") is None


@pytest.mark.parametrize("number", ["0", "x", "9" * 18, "9" * 30, "-1"])
def test_an_article_that_is_not_there_is_404(client: Client, number: str) -> None:
    a_user("ann")
    assert target(client, f"/ann/articles/{number}") is None


@pytest.mark.parametrize("name", ["Docker Compose", "docker compose", "ＤＯＣＫＥＲ COMPOSE"])
def test_a_tag_by_its_name(client: Client, name: str) -> None:
    an_article(tags=("Docker Compose",))
    assert target(client, f"/ann/tag/{name}") == target(client, f"/ANN/tag/{name}/") == "/ann/tag/docker-compose/"


def test_a_tag_whose_name_could_be_a_slug(client: Client) -> None:
    an_article(tags=("Nginx", "数据库"))
    assert target(client, "/ann/tag/Nginx/") == target(client, "/ann/tag/nginx") == "/ann/tag/nginx/"
    assert target(client, "/ann/tag/数据库") == quote("/ann/tag/数据库/")


def test_a_category_by_its_name(client: Client) -> None:
    a_category(a_user("ann"), "C++ Notes")
    assert target(client, "/ann/category/C++ Notes") == "/ann/category/c-notes/"
    assert target(client, "/Ann/category/c++ notes/") == "/ann/category/c-notes/"


def test_a_category_of_another_author_is_404(client: Client) -> None:
    a_category(a_user("bob"), "C++ Notes")
    a_user("ann")
    assert target(client, "/ann/category/C++ Notes") is None


@pytest.mark.parametrize("address", ["/ann/archive/2026/05", "/ann/archive/2026/05/", "/ANN/archive/2026/05"])
def test_a_month(client: Client, address: str) -> None:
    an_article(a_user("ann"))
    assert target(client, address) == "/ann/2026/05/"


@pytest.mark.parametrize(
    "address",
    [
        *("/nobody/articles/1", "/nobody/tag/a", "/nobody/category/a", "/nobody/archive/2026/05", "/ann/tag/none"),
        *("/ann/category/none", "/ann/archive/2026/13", "/ann/archive/2026/00", "/ann/archive/notadate", "/ann/tag/ "),
        *("/ann/archive/0000/05", "/ann/tag/\0", "/ann/tag/a\0", "/ann/tag/" + "x" * 200),
    ],
)
def test_what_names_nothing_is_404(client: Client, address: str) -> None:
    a_user("ann")
    assert target(client, address) is None
