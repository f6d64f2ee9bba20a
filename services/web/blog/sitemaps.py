"""The sitemap: an index, and parts of at most 5,000 addresses."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.sitemaps import Sitemap
from django.db.models import Exists, Max, OuterRef
from django.db.models.functions import Greatest
from django.urls import reverse

from accounts.models import User
from blog.models import Article, ArticleTag, Tag

CHANGED = Greatest("updated_at", "published_at")


class Part(Sitemap):
    """What the parts have in common: their addresses are the public ones, whatever host was asked."""

    limit = 5_000
    protocol = urlsplit(settings.SITE_URL).scheme

    def get_domain(self, site: Any = None) -> str:
        """The host, and the port if it is an odd one."""
        return urlsplit(settings.SITE_URL).netloc


def latest() -> datetime | None:
    """When an article was changed last."""
    return Article.objects.published().aggregate(latest=Max(CHANGED))["latest"]


class FrontPart(Part):
    """The front page."""

    def items(self) -> list[str]:
        """One."""
        return ["blog:front"]

    def location(self, item: str) -> str:
        """Its address."""
        return reverse(item)

    def lastmod(self, item: str) -> datetime | None:
        """It changes with the articles."""
        return latest()


class ArticlePart(Part):
    """The articles, oldest first, so that a part that is full keeps what it has."""

    def items(self) -> Any:
        """All that are public."""
        articles = Article.objects.published().annotate(changed=CHANGED).select_related("author").order_by("pk")
        return articles.only("slug", "author__username")

    def lastmod(self, item: Any) -> datetime:
        """When it was changed last; never before it was published."""
        return item.changed

    def get_latest_lastmod(self) -> datetime | None:
        """The last of them; Django's own would load every article."""
        return latest()


class AuthorPart(Part):
    """The authors with public articles."""

    def items(self) -> Any:
        """By id."""
        own = Article.objects.published().filter(author=OuterRef("pk"))
        return User.objects.filter(Exists(own)).only("username").order_by("pk")


class TagPart(Part):
    """The tags of public articles."""

    def items(self) -> Any:
        """By id."""
        used = ArticleTag.objects.filter(tag=OuterRef("pk"), article__in=Article.objects.published())
        return Tag.objects.filter(Exists(used)).only("slug").order_by("pk")


PARTS: dict[str, type[Sitemap]] = {
    "front": FrontPart,
    "articles": ArticlePart,
    "authors": AuthorPart,
    "tags": TagPart,
}
