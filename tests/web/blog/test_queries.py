"""Each page asks the database a fixed number of questions, however many articles there are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from django.test import Client

from blog.models import Category
from tests.web.builders import MAY, a_comment, a_user, an_article

pytestmark = pytest.mark.django_db

PAGES = {
    "/": 5,  # months (they give the count), articles, their tags; recommended, recent tags
    "/tag/nginx/": 4,  # tag; count, articles, their tags
    "/2026/05/": 3,  # count, articles, their tags
    "/ann/": 6,  # author; months (they give the count), articles, their tags; categories, tags
    "/ann/category/notes/": 8,  # ... and the category, and its count
    "/ann/tag/nginx/": 8,  # ... and the tag, and its count
    "/ann/2026/05/": 7,  # ... and its count
    "/search/": 0,
    "/search/?q=部署": 5,  # what matches; articles with their texts, tags; authors, tags of all that match
    "/search/?q=word": 7,  # ... and the stems of the words asked for, and of those that may be marked
    "/search/?q=word&author=ann&tag=nginx": 9,  # ... and author, tag
    "/feed.atom": 2,  # articles, their tags
    "/ann/feed.atom": 3,  # ... and the author
    "/feed.rss": 2,
    "/ann/feed.rss": 3,
    "/tag/nginx/feed.atom": 4,  # tag, whether it is in use; articles, their tags
    "/tag/nginx/feed.rss": 4,
    "ARTICLE": 7,  # article, its tags; comments, their count; previous, next; related
    "/sitemap.xml": 5,  # the counts of articles, authors, tags; the last change, of the front page and the articles
    "/sitemap-front.xml": 1,
    "/sitemap-articles.xml": 2,  # count, articles
    "/sitemap-authors.xml": 2,
    "/sitemap-tags.xml": 2,
    "/robots.txt": 0,
    "/healthz": 0,
}


def fill(articles: int) -> str:
    """A site of one author with that many articles of May, each with tags, category and comments; returns the address
    of one with neighbours.
    """
    author = a_user("ann")
    category = Category.objects.filter(author=author).first() or Category.objects.create(author=author, name="Notes")
    for number in range(articles):
        article = an_article(
            author,
            title=f"number {number}",
            tags=("nginx", f"tag{number}"),
            category=category,
            body="Some words, 部署.",
            published_at=MAY + timedelta(minutes=number),
        )
        if number == 1:
            address = article.get_absolute_url()
        for floor in range(1, number + 2):
            parent = article.comments.first()
            a_comment(article, a_user(f"reader{floor}"), floor=floor, parent=parent)
    return address


@pytest.mark.parametrize("articles", [3, 9])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_makes_this_many_queries(
    page: str, articles: int, client: Client, queries_of: Callable[[int], AbstractContextManager[object]]
) -> None:
    address = fill(articles)
    with queries_of(PAGES[page]):
        response = client.get(address if page == "ARTICLE" else page)
    assert response.status_code == 200


@pytest.mark.parametrize("page", ["/", "ARTICLE"])
def test_a_logged_in_reader_costs_three_queries_more(
    page: str, client: Client, queries_of: Callable[[int], AbstractContextManager[object]]
) -> None:
    address = fill(3)
    client.force_login(a_user("reader1"))
    with queries_of(PAGES[page] + 3):  # session, user, unread notifications
        client.get(address if page == "ARTICLE" else page)
