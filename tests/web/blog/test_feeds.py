"""The feeds."""

from __future__ import annotations

import html
from datetime import timedelta
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from django.test import Client

from blog.models import Article, Blog
from tests.web.builders import MAY, a_user, an_article, later

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}"
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


@pytest.mark.parametrize(
    "address", ["/nobody/feed.atom", "/nobody/feed.rss", "/tag/none/feed.atom", "/tag/none/feed.rss"]
)
def test_a_feed_of_nobody_or_nothing_is_404(client: Client, address: str) -> None:
    assert client.get(address).status_code == 404


def test_a_feed_of_a_tag_that_only_drafts_have_is_404(client: Client) -> None:
    an_article(status="draft", tags=("secret",))
    assert client.get("/tag/secret/feed.atom").status_code == 404


@pytest.mark.parametrize("address", ["/tag/中文/feed.atom", "/ann/feed.atom", "/feed.atom"])
def test_a_feed_says_where_it_is(client: Client, address: str) -> None:
    an_article(tags=("中文",))
    links = {link.get("rel"): link.get("href") for link in feed(client, address).findall(f"{ATOM}link")}
    assert links["self"] == f"https://testserver{quote(address)}"


def test_a_tags_feed_has_the_articles_of_all_authors_with_it(client: Client) -> None:
    an_article(a_user("ann"), title="hers", tags=("nginx",))
    an_article(a_user("bob"), title="his", tags=("nginx",), published_at=MAY - timedelta(days=1))
    an_article(a_user("bob"), title="other")
    root = feed(client, "/tag/nginx/feed.atom")
    assert [text(entry, "title") for entry in root.findall(f"{ATOM}entry")] == ["hers", "his"]
    assert text(root, "title") == "#nginx · Slipway"


@pytest.mark.parametrize("address", ["/feed.rss", "/ann/feed.rss", "/tag/nginx/feed.rss"])
def test_rss_has_the_whole_text_too(client: Client, address: str) -> None:
    article = an_article(title="标题", body="**全文**", summary="摘要", tags=("nginx",))
    response = client.get(address)
    assert response["Content-Type"] == "application/rss+xml; charset=utf-8"
    (item,) = ET.fromstring(response.content).findall("channel/item")  # noqa: S314  (our own)
    assert [item.findtext(name) for name in ("title", "description", "link", f"{CONTENT}encoded")] == [
        "标题",
        "摘要",
        f"https://testserver{article.get_absolute_url()}",
        "<p><strong>全文</strong></p>",
    ]
    guid = item.find("guid")
    assert guid is not None
    assert (guid.text, guid.get("isPermaLink")) == (f"tag:testserver,2026-05-10:article/{article.pk}", "false")


@pytest.mark.parametrize("address", ["/feed.atom", "/feed.rss"])
def test_the_addresses_in_a_text_are_whole_and_code_stays_as_it_is(client: Client, address: str) -> None:
    article = an_article(body='[a](/b/) ![c](/media/d.png) e[^1] `<a href="/f">` [g](https://h.example/)\n\n[^1]: note')
    text = html.unescape(client.get(address).text)
    here = f"https://testserver{article.get_absolute_url()}"
    assert '<a href="https://testserver/b/">' in text
    assert 'src="https://testserver/media/d.png"' in text
    assert f'href="{here}#u-fn1"' in text
    assert 'href="/f"' in text
    assert 'href="https://h.example/"' in text


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


@pytest.mark.parametrize("address", ["/feed.atom", "/feed.rss", "/ann/feed.rss", "/tag/nginx/feed.atom"])
def test_a_feed_that_has_not_changed_is_answered_without_a_body(client: Client, address: str) -> None:
    an_article(tags=("nginx",))
    first = client.get(address)
    assert client.get(address, headers={"if-modified-since": first["Last-Modified"]}).status_code == 304
    assert client.get(address, headers={"if-none-match": first["ETag"]}).status_code == 304


def test_characters_that_xml_forbids_do_not_break_the_feed(client: Client) -> None:
    article = an_article()
    Article.objects.filter(pk=article.pk).update(title="a\x0bb", body_html="<p>\x1f</p>", excerpt="\x0c")
    assert text(feed(client).findall(f"{ATOM}entry")[0], "title") == "ab"
