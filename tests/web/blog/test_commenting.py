"""Comments: floors, replies, who sees what, and the counter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from blog.commenting import CommentingError, comment, edit, set_status
from blog.models import LONGEST_COMMENT, Comment
from tests.web.builders import a_user, an_article, later


@pytest.mark.django_db
def test_comments_get_floors_in_order() -> None:
    article = an_article()
    assert [comment(article, a_user("reader"), "x").floor for _turn in range(3)] == [1, 2, 3]


@pytest.mark.django_db
def test_a_visible_comment_counts() -> None:
    article = an_article()
    comment(article, a_user("reader"), "x")
    article.refresh_from_db()
    assert article.comment_count == 1


@pytest.mark.django_db
def test_a_comment_that_waits_for_approval_does_not_count_until_shown() -> None:
    article = an_article(comment_policy="approve")
    written = comment(article, a_user("reader"), "x")
    article.refresh_from_db()
    assert (written.status, article.comment_count) == ("pending", 0)
    set_status(written, Comment.Status.VISIBLE)
    article.refresh_from_db()
    assert article.comment_count == 1


@pytest.mark.django_db
def test_authors_need_not_wait_for_themselves() -> None:
    article = an_article(comment_policy="approve")
    assert comment(article, article.author, "x").status == "visible"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "body", "code"),
    [
        ({"comment_policy": "closed"}, "x", "closed"),
        ({"status": "draft", "published_at": None}, "x", "unpublished"),
        ({"published_at": later(days=1)}, "x", "unpublished"),
        ({}, " \n\0 ", "empty"),
        ({}, "x" * (LONGEST_COMMENT + 1), "long"),
    ],
)
def test_a_comment_that_may_not_be_is_refused(fields: dict[str, Any], body: str, code: str) -> None:
    with pytest.raises(CommentingError, match=code):
        comment(an_article(**fields), a_user("reader"), body)


@pytest.mark.django_db
def test_a_reply_to_another_articles_comment_is_refused() -> None:
    parent = comment(an_article(), a_user("reader"), "x")
    with pytest.raises(CommentingError, match="parent"):
        comment(an_article(title="Other"), a_user("reader"), "y", parent)


@pytest.mark.django_db
def test_a_reply_to_a_hidden_comment_is_refused() -> None:
    article = an_article()
    parent = comment(article, a_user("reader"), "x")
    set_status(parent, Comment.Status.HIDDEN)
    with pytest.raises(CommentingError, match="parent"):
        comment(article, a_user("reader"), "y", parent)


@pytest.mark.django_db
def test_a_deleted_comment_keeps_its_floor_and_loses_its_text() -> None:
    article = an_article()
    first = comment(article, a_user("reader"), "secret")
    comment(article, a_user("reader"), "reply", first)
    deleted = set_status(first, Comment.Status.DELETED)
    assert (deleted.floor, deleted.body, deleted.body_html) == (1, "", "")
    assert comment(article, a_user("reader"), "next").floor == 3


@pytest.mark.django_db
def test_a_hidden_comment_is_not_quoted() -> None:
    article = an_article()
    parent = comment(article, a_user("reader"), "x")
    reply = comment(article, a_user("reader"), "y", parent)
    assert reply.quoted == parent
    set_status(parent, Comment.Status.HIDDEN)
    assert Comment.objects.get(pk=reply.pk).quoted is None


@pytest.mark.django_db
def test_an_edited_comment_is_rendered_anew_and_dated() -> None:
    written = comment(an_article(), a_user("reader"), "x")
    changed = edit(written, "**y**")
    assert changed.body_html == "<p><strong>y</strong></p>"
    assert changed.edited_at is not None


@pytest.mark.django_db(transaction=True)
def test_comments_at_one_moment_get_different_floors_and_all_count() -> None:
    article, reader = an_article(), a_user("reader")

    def write(number: int) -> int:
        try:
            return comment(article, reader, f"number {number}").floor
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        floors = sorted(pool.map(write, range(12)))
    article.refresh_from_db()
    assert floors == list(range(1, 13))
    assert article.comment_count == 12
