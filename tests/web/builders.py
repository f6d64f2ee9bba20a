"""Rows for tests, with only what a test says differing from the ordinary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from blog.models import Article, Category, Comment, Tag

MAY = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)


def a_user(username: str = "ann", **fields: Any) -> User:
    """A user; the same one when asked for twice."""
    found = User.objects.filter(username=username).first()
    return found or User.objects.create_user(username, **fields)


def an_article(
    author: User | None = None, title: str = "A title", tags: tuple[str, ...] = (), **fields: Any
) -> Article:
    """A published article."""
    values = {"status": "published", "published_at": MAY, "body": "Some words.", **fields}
    article = Article.objects.create(author=author or a_user(), title=title, **values)
    article.tags.set([Tag.objects.named(name) for name in tags])
    return article


def a_category(author: User | None = None, name: str = "Notes") -> Category:
    """A category."""
    return Category.objects.create(author=author or a_user(), name=name)


def a_comment(article: Article, author: User | None = None, **fields: Any) -> Comment:
    """A comment, on the next floor."""
    values = {"body": "I agree.", "floor": article.comments.count() + 1, **fields}
    return Comment.objects.create(article=article, author=author or a_user("reader"), **values)


def later(**delta: float) -> datetime:
    """A moment to come."""
    return timezone.now() + timedelta(**delta)
