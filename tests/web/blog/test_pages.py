"""What the pages show, and to which addresses they answer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from blog import models
from blog.models import Article, Comment
from tests.web.builders import MAY, a_category, a_comment, a_user, an_article, later

pytestmark = pytest.mark.django_db


def titles(client: Client, address: str) -> list[str]:
    """The titles of the articles that the page at `address` lists."""
    response = client.get(address)
    assert response.status_code == 200
    return [article.title for article in response.context["page_obj"]]


def test_the_front_page_lists_the_newest_first() -> None:
    for number in range(3):
        an_article(title=f"number {number}", published_at=MAY + timedelta(days=number))
    assert titles(Client(), "/") == ["number 2", "number 1", "number 0"]


def test_the_front_page_has_ten_articles_and_the_next_the_rest(client: Client) -> None:
    for number in range(12):
        an_article(title=f"number {number:02}", published_at=MAY + timedelta(days=number))
    assert len(titles(client, "/")) == 10
    assert titles(client, "/?page=2") == ["number 01", "number 00"]


def test_the_front_page_shows_what_is_recommended_tagged_and_filed_by_month(client: Client) -> None:
    an_article(title="Popular", tags=("nginx",))
    context = client.get("/").context
    assert [article.title for article in context["recommended"]] == ["Popular"]
    assert [(tag.name, tag.article_count) for tag in context["tags"]] == [("nginx", 1)]
    assert [entry["count"] for entry in context["months"]] == [1]


@pytest.mark.parametrize("page", ["abc", "0", "-1", "1.5", "99", "9" * 40, "１", "", "1 ", "%00", "+1"])
def test_a_page_that_is_not_there_is_404(client: Client, page: str) -> None:
    an_article()
    assert client.get(f"/?page={page}").status_code == 404


def test_an_empty_site_has_a_front_page(client: Client) -> None:
    assert titles(client, "/") == []


def test_an_authors_page_lists_only_the_authors(client: Client) -> None:
    an_article(a_user("ann"), title="hers")
    an_article(a_user("bob"), title="his")
    assert titles(client, "/ann/") == ["hers"]


def test_an_author_without_a_blog_has_a_page_under_the_own_name(client: Client) -> None:
    a_user("ann", display_name="Ann A.")
    assert client.get("/ann/").context["blog"].title == "Ann A."


def test_an_author_nobody_knows_is_404(client: Client) -> None:
    assert client.get("/nobody/").status_code == 404


def test_an_authors_page_in_another_case_is_redirected(client: Client) -> None:
    a_user("Ann")
    response = client.get("/ANN/?page=1")
    assert (response.status_code, response["Location"]) == (301, "/Ann/?page=1")


def test_a_category_lists_its_articles(client: Client) -> None:
    an_article(title="in", category=a_category(name="数据库"))
    an_article(title="out")
    assert titles(client, "/ann/category/数据库/") == ["in"]


def test_a_category_without_articles_is_an_empty_page(client: Client) -> None:
    a_category(name="Notes")
    assert titles(client, "/ann/category/notes/") == []


def test_a_category_of_another_author_is_404(client: Client) -> None:
    a_category(a_user("bob"), "Notes")
    a_user("ann")
    assert client.get("/ann/category/notes/").status_code == 404


def test_a_tag_lists_the_articles_of_all_authors_or_of_one(client: Client) -> None:
    an_article(a_user("ann"), title="hers", tags=("中文",))
    an_article(a_user("bob"), title="his", tags=("中文",), published_at=MAY - timedelta(days=1))
    assert titles(client, "/tag/中文/") == ["hers", "his"]
    assert titles(client, "/bob/tag/中文/") == ["his"]


def test_a_tag_that_only_drafts_have_is_404(client: Client) -> None:
    an_article(status="draft", tags=("secret",))
    assert client.get("/tag/secret/").status_code == 404
    assert client.get("/ann/tag/secret/").status_code == 404


def test_a_month_lists_its_articles_of_all_authors_or_of_one(client: Client) -> None:
    an_article(a_user("ann"), title="May", published_at=MAY)
    an_article(a_user("ann"), title="March", published_at=MAY - timedelta(days=60))
    assert titles(client, "/2026/05/") == ["May"]
    assert titles(client, "/ann/2026/03/") == ["March"]


@pytest.mark.parametrize("address", ["/2026/13/", "/2026/00/", "/2026/5/", "/0000/01/", "/9999/12/", "/2020/01/"])
def test_a_month_that_is_none_or_has_nothing_is_404(client: Client, address: str) -> None:
    an_article()
    assert client.get(address).status_code == 404
    assert client.get(f"/ann{address}").status_code == 404


def test_the_title_of_a_month_is_in_the_readers_language(client: Client) -> None:
    an_article(published_at=MAY)
    assert client.get("/2026/05/", headers={"accept-language": "en"}).context["heading"] == "May 2026"
    assert client.get("/2026/05/", headers={"accept-language": "zh-hans"}).context["heading"] == "2026年5月"


def test_an_article_with_a_chinese_address_is_there(client: Client) -> None:
    article = an_article(a_user("沈知远"), title="一个请求的一生")
    assert client.get(article.get_absolute_url()).status_code == 200


def test_an_article_shows_its_text_and_comments(client: Client) -> None:
    article = an_article(body="**中文**")
    a_comment(article, body="first")
    response = client.get(article.get_absolute_url())
    assert "<strong>中文</strong>" in response.text
    assert [comment.body for comment in response.context["comments"]] == ["first"]


@pytest.mark.parametrize("path", ["/ann/{0}-another/", "/ann/{0}/", "/ANN/{0}-a-title/", "/bob/{0}-a-title/"])
def test_an_article_under_another_name_or_slug_is_redirected_to_its_address(client: Client, path: str) -> None:
    a_user("bob")
    article = an_article()
    response = client.get(path.format(article.pk))
    assert (response.status_code, response["Location"]) == (301, article.get_absolute_url())


@pytest.mark.parametrize("fields", [{"status": "draft"}, {"status": "trashed"}, {"published_at": later(days=1)}])
def test_an_article_that_is_not_public_is_404_under_every_address(client: Client, fields: dict[str, Any]) -> None:
    article = an_article(**fields)
    assert client.get(article.get_absolute_url()).status_code == 404
    assert client.get(f"/ann/{article.pk}/").status_code == 404


@pytest.mark.parametrize("reference", ["0", "999", "9" * 18, "9" * 19, "-1", "abc"])
def test_an_article_that_is_not_there_is_404(client: Client, reference: str) -> None:
    a_user("ann")
    assert client.get(f"/ann/{reference}-x/").status_code == 404


def test_previous_and_next_are_the_authors_neighbours(client: Client) -> None:
    first, second, third = (an_article(title=str(day), published_at=MAY + timedelta(days=day)) for day in range(3))
    an_article(a_user("bob"), published_at=MAY + timedelta(days=1))
    context = client.get(second.get_absolute_url()).context
    assert (context["previous"], context["next"]) == (first, third)


def test_related_articles_share_tags_and_those_of_the_same_language_come_first(client: Client) -> None:
    article = an_article(title="this", tags=("a", "b"))
    an_article(title="one tag", tags=("a",))
    an_article(a_user("bob"), title="two tags", tags=("a", "b", "c"), published_at=MAY - timedelta(days=9))
    an_article(title="中文", tags=("a", "b"), language="zh-hans")
    an_article(title="nothing shared", tags=("c",))
    an_article(title="draft", tags=("a",), status="draft")
    context = client.get(article.get_absolute_url()).context
    assert [related.title for related in context["related"]] == ["two tags", "one tag", "中文"]


def test_an_article_without_tags_has_no_related_ones(client: Client) -> None:
    an_article(title="other")
    assert client.get(an_article(title="this").get_absolute_url()).context["related"] == []


def test_of_a_tag_that_everything_has_only_the_newest_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "NEWEST_OF_TAG", 2)
    articles = [an_article(title=str(number), tags=("a",)) for number in range(4)]
    assert set(Article.objects.published().related_to(articles[0])) == set(articles[2:])


def structured_data(client: Client, article: Article) -> dict[str, Any]:
    """The JSON-LD of an article's page."""
    text = client.get(article.get_absolute_url()).text
    return json.loads(text.split('<script type="application/ld+json">')[1].split("</script>")[0])


def test_an_article_says_what_it_is_as_json_ld(client: Client) -> None:
    article = an_article(
        a_user("ann", display_name="Ann A."), title="标题", body="正文", language="zh-hans", tags=("中文",)
    )
    assert structured_data(client, article) == {
        "@context": "https://schema.org",
        "@type": "BlogPosting",
        "mainEntityOfPage": f"https://testserver{article.get_absolute_url()}",
        "headline": "标题",
        "description": "正文",
        "inLanguage": "zh-hans",
        "datePublished": "2026-05-10T12:00:00+00:00",
        "dateModified": article.updated_at.isoformat(),
        "author": {"@type": "Person", "name": "Ann A.", "url": "https://testserver/ann/"},
        "publisher": {"@type": "Organization", "name": "Slipway", "url": "https://testserver/"},
        "keywords": ["中文"],
        "timeRequired": "PT1M",
        "commentCount": 0,
    }


def test_no_title_can_end_the_json_ld(client: Client) -> None:
    title = "</script><script>alert(1)</script><!-- & \u2028"
    article = an_article(title=title)
    assert structured_data(client, article)["headline"] == article.title
    assert "<script>alert" not in client.get(article.get_absolute_url()).text


def test_an_article_tells_its_dates_section_and_tags(client: Client) -> None:
    article = an_article(category=a_category(name="Notes"), tags=("nginx",), published_at=MAY)
    page = client.get(article.get_absolute_url()).text
    for name, value in {
        "published_time": "2026-05-10T12:00:00+00:00",
        "modified_time": article.updated_at.isoformat(),
        "section": "Notes",
        "tag": "nginx",
    }.items():
        assert f'<meta property="article:{name}" content="{value}">' in page


def test_comments_that_are_not_public_are_not_on_the_page(client: Client) -> None:
    article = an_article()
    for status in Comment.Status:
        a_comment(article, body=f"it is {status}", status=status)
    page = client.get(article.get_absolute_url()).text
    assert "it is visible" in page
    assert all(f"it is {status}" not in page for status in ("pending", "hidden", "deleted"))


def test_a_hidden_comment_is_not_quoted_on_the_page(client: Client) -> None:
    article = an_article()
    parent = a_comment(article, body="take that", status="hidden")
    a_comment(article, body="calm down", parent=parent)
    page = client.get(article.get_absolute_url()).text
    assert "calm down" in page
    assert "take that" not in page


def test_what_a_reader_wrote_is_escaped_in_comments_names_and_quotations(client: Client) -> None:
    article = an_article(title="<script>alert(1)</script>", tags=("<i>",))
    parent = a_comment(article, a_user("mallory", display_name="<b>M</b>"), body="<img src=x onerror=alert(1)>")
    a_comment(article, parent=parent)
    page = client.get(article.get_absolute_url()).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<b>M</b>" not in page


def test_a_long_thread_is_paged(client: Client) -> None:
    article = an_article()
    reader = a_user("reader")
    Comment.objects.bulk_create(
        Comment(article=article, author=reader, floor=number, body="x", body_html="<p>x</p>")
        for number in range(1, 103)
    )
    assert len(client.get(article.get_absolute_url()).context["comments"]) == 100
    assert [comment.floor for comment in client.get(f"{article.get_absolute_url()}?page=2").context["comments"]] == [
        101,
        102,
    ]


def test_a_canonical_address_of_the_authors_own_is_used(client: Client) -> None:
    article = an_article(canonical_url="https://elsewhere.example/first")
    assert client.get(article.get_absolute_url()).context["canonical_url"] == "https://elsewhere.example/first"


def test_the_canonical_address_keeps_the_page_and_no_other_parameter(client: Client) -> None:
    for number in range(11):
        an_article(title=str(number))
    assert client.get("/?page=2&utm_source=x").context["canonical_url"] == "https://testserver/?page=2"
    assert client.get("/?page=1").context["canonical_url"] == "https://testserver/"


READABLE = [
    "/",
    "/search/?q=words",
    "/ann/",
    "/tag/nginx/",
    "/2026/05/",
    "/ann/tag/nginx/",
    "/ann/2026/05/",
    "/feed.atom",
    "/ann/feed.atom",
    "/feed.rss",
    "/tag/nginx/feed.atom",
    "/sitemap.xml",
    "/sitemap-articles.xml",
]


@pytest.mark.parametrize("address", [*READABLE, "/robots.txt", "/index/", "/ann/articles/1"])
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_a_page_that_is_read_refuses_other_methods(address: str, method: str) -> None:
    an_article(tags=("nginx",))
    strict = Client(enforce_csrf_checks=True)
    assert getattr(strict, method)(address).status_code == 405


@pytest.mark.parametrize("address", READABLE)
def test_a_page_answers_head_without_a_body(client: Client, address: str) -> None:
    an_article(tags=("nginx",))
    response = client.head(address)
    assert (response.status_code, response.content) == (200, b"")


def test_robots_are_kept_from_the_admin(client: Client) -> None:
    response = client.get("/robots.txt")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert "Disallow: /admin/" in response.text
    assert "Sitemap: https://testserver/sitemap.xml" in response.text


@pytest.mark.parametrize("address", ["/ann", "/tag/nginx", "/2026/05"])
def test_a_missing_slash_is_added(client: Client, address: str) -> None:
    an_article(tags=("nginx",))
    response = client.get(address)
    assert (response.status_code, response["Location"]) == (301, f"{address}/")


def test_the_404_page_is_the_sites_own(client: Client) -> None:
    response = client.get("/no/such/page/")
    assert response.status_code == 404
    assert "404.html" in [template.name for template in response.templates]
