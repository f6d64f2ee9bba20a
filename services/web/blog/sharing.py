"""Preview links: whoever has one reads an article that is not published, until it expires or is revoked."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from django.utils import timezone
from django.utils.crypto import salted_hmac

from blog.models import Article, PreviewLink

# Choices of how long a link lives, in days.
LIFETIMES = (1, 7, 30)


def token_for(article: Article, key: str) -> str:
    """The secret of the link that the form named `key` makes.

    It follows from the key and the site's secret, so that a form sent twice makes one link, and the page after it can
    show the link although only its hash is stored.
    """
    return salted_hmac("blog.sharing", f"{article.pk}:{key}", algorithm="sha256").hexdigest()


def hashed(token: str) -> str:
    """What is stored of a token: who reads the database can open nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


def share(article: Article, key: str, days: int) -> PreviewLink:
    """Make a link that lives for `days`, one of LIFETIMES; the same key makes the same link. Raises ValueError."""
    if days not in LIFETIMES:
        raise ValueError(f"a link does not live for {days} days")
    link, _created = PreviewLink.objects.get_or_create(
        token_hash=hashed(token_for(article, key)),
        defaults={"article": article, "expires_at": timezone.now() + timedelta(days=days)},
    )
    return link


def live_links(article: Article) -> list[PreviewLink]:
    """The links of this article that open it now, newest first."""
    return list(article.preview_links.filter(expires_at__gt=timezone.now()).order_by("-pk"))


def shared_article(token: str) -> tuple[Article, PreviewLink] | None:
    """The article that the link with this token opens, and the link; None when it opens none."""
    links = PreviewLink.objects.select_related("article", "article__author", "article__author__blog").prefetch_related(
        "article__tags"
    )
    link = (
        links.filter(token_hash=hashed(token), expires_at__gt=timezone.now())
        .exclude(article__status=Article.Status.TRASHED)
        .first()
    )
    return (link.article, link) if link else None
