"""The sitemap."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client

from blog import sitemaps
from tests.web.builders import MAY, a_user, an_article, later

pytestmark = pytest.mark.django_db
NAMESPACE = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


def entries(client: Client, address: str) -> dict[str, str]:
    """The addresses in a sitemap, each with its date of change."""
    response = client.get(address)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/xml"
    root = ET.fromstring(response.content)  # noqa: S314  (our own)
    return {entry.findtext(f"{NAMESPACE}loc") or "": entry.findtext(f"{NAMESPACE}lastmod") or "" for entry in root}


def test_the_index_names_every_part_and_each_part_answers(client: Client) -> None:
    an_article(a_user("ann"), tags=("nginx",))
    parts = entries(client, "/sitemap.xml")
    listed = [address for part in parts for address in entries(client, part.removeprefix("https://testserver"))]
    assert len(parts) == 4
    assert {address.removeprefix("https://testserver") for address in listed} >= {"/", "/ann/", "/tag/nginx/"}
    assert len(listed) == 4


def test_an_article_is_dated_by_its_last_change(client: Client) -> None:
    article = an_article(published_at=MAY)
    dates = entries(client, "/sitemap-articles.xml")
    assert dates == {f"https://testserver{article.get_absolute_url()}": f"{article.updated_at:%Y-%m-%d}"}


def test_an_article_that_came_out_after_its_last_change_is_dated_by_that(client: Client) -> None:
    article = an_article()
    type(article).objects.filter(pk=article.pk).update(updated_at=MAY - timedelta(days=9))
    assert set(entries(client, "/sitemap-articles.xml").values()) == {"2026-05-10"}


@pytest.mark.parametrize("fields", [{"status": "draft"}, {"status": "trashed"}, {"published_at": later(days=1)}])
def test_what_is_not_public_is_in_no_part(client: Client, fields: dict[str, Any]) -> None:
    an_article(tags=("secret",), **fields)
    for part in ("articles", "authors", "tags"):
        assert entries(client, f"/sitemap-{part}.xml") == {}


def test_a_part_that_is_full_is_followed_by_another(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemaps.Part, "limit", 2)
    articles = [an_article(title=str(number)) for number in range(3)]
    assert "https://testserver/sitemap-articles.xml?p=2" in entries(client, "/sitemap.xml")
    second = entries(client, "/sitemap-articles.xml?p=2")
    assert list(second) == [f"https://testserver{articles[2].get_absolute_url()}"]


@pytest.mark.parametrize("address", ["/sitemap-none.xml", "/sitemap-articles.xml?p=9", "/sitemap-articles.xml?p=abc"])
def test_a_part_that_is_not_there_is_404(client: Client, address: str) -> None:
    assert client.get(address).status_code == 404


def test_an_empty_site_has_a_sitemap(client: Client) -> None:
    assert len(entries(client, "/sitemap.xml")) == 4
