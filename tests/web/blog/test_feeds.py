"""The Atom feeds."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from django.test import Client

from blog.models import Article, Blog
from tests.web.builders import MAY, a_user, an_article, later

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"
XML = "{http://www.w3.org/XML/1998/namespace}"


def feed(client: Client, address: str = "/feed.atom") -> ET.Element:
    """The feed, parsed."""
    response = client.get(address)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/atom+xml; charset=utf-8"
    return ET.fromstring(response.content)  # noqa: S314  (our own)


def text(element: ET.Element, name: str) -> str:
    """The text of a child."""
    return element.findtext(f"{ATOM}{name}") or ""


def test_an_entry_has_the_whole_text_as_its_content(client: Client) -> None:
    an_article(title="标题", body="**全文**", summary="摘要", language="zh-hans")
    (entry,) = feed(client).findall(f"{ATOM}entry")
    content = entry.find(f"{ATOM}content")
    assert content is not None
    assert (content.text, content.get("type")) == ("<p><strong>全文</strong></p>", "html")
    assert content.get(f"{XML}lang") == "zh-hans"
    assert (text(entry, "title"), text(entry, "summary")) == ("标题", "摘要")


def test_an_entrys_id_stays_when_its_address_and_date_change(client: Client) -> None:
    article = an_article()
    before = text(feed(client).findall(f"{ATOM}entry")[0], "id")
    article.slug, article.published_at = "another", MAY + timedelta(days=3)
    article.save()
    assert (
        before
        == text(feed(client).findall(f"{ATOM}entry")[0], "id")
        == f"tag:testserver,2026-05-10:article/{article.pk}"
    )


def test_addresses_are_absolute_and_relative_ones_have_a_base(client: Client) -> None:
    article = an_article()
    root = feed(client)
    (entry,) = root.findall(f"{ATOM}entry")
    links = [link.get("href") for link in (*root.findall(f"{ATOM}link"), *entry.findall(f"{ATOM}link"))]
    assert links == [
        "https://testserver/",
        "https://testserver/feed.atom",
        f"https://testserver{article.get_absolute_url()}",
    ]
    assert root.get(f"{XML}base") == "https://testserver/"


def test_what_is_not_public_is_in_no_feed(client: Client) -> None:
    for fields in ({"status": "draft"}, {"status": "trashed"}, {"published_at": later(days=1)}):
        an_article(**fields)
    assert not feed(client).findall(f"{ATOM}entry")
    assert not feed(client, "/ann/feed.atom").findall(f"{ATOM}entry")


def test_an_authors_feed_has_only_the_authors_and_is_called_like_the_blog(client: Client) -> None:
    Blog.objects.create(author=a_user("ann"), title="Harbour Notes")
    an_article(a_user("ann"), title="hers")
    an_article(a_user("bob"), title="his")
    root = feed(client, "/ann/feed.atom")
    assert [text(entry, "title") for entry in root.findall(f"{ATOM}entry")] == ["hers"]
    assert text(root, "title") == "Harbour Notes"


def test_a_feed_of_nobody_is_404(client: Client) -> None:
    assert client.get("/nobody/feed.atom").status_code == 404


def test_a_feed_has_the_twenty_newest(client: Client) -> None:
    for number in range(22):
        an_article(title=str(number), published_at=MAY + timedelta(hours=number))
    entries = feed(client).findall(f"{ATOM}entry")
    assert (len(entries), text(entries[0], "title")) == (20, "21")


def test_an_article_changed_later_is_dated_so(client: Client) -> None:
    article = an_article()
    Article.objects.filter(pk=article.pk).update(updated_at=MAY + timedelta(days=1))
    assert text(feed(client).findall(f"{ATOM}entry")[0], "updated").startswith("2026-05-11")


def test_a_feed_is_in_the_sites_language_whoever_asks(client: Client) -> None:
    response = client.get("/feed.atom", headers={"accept-language": "zh-hans"})
    assert response["Content-Language"] == "en"


def test_a_feed_that_has_not_changed_is_answered_without_a_body(client: Client) -> None:
    an_article()
    first = client.get("/feed.atom")
    assert "Last-Modified" in first
    assert client.get("/feed.atom", headers={"if-modified-since": first["Last-Modified"]}).status_code == 304


def test_characters_that_xml_forbids_do_not_break_the_feed(client: Client) -> None:
    article = an_article()
    Article.objects.filter(pk=article.pk).update(title="a\x0bb", body_html="<p>\x1f</p>", excerpt="\x0c")
    assert text(feed(client).findall(f"{ATOM}entry")[0], "title") == "ab"
