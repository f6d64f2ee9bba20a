"""What the database itself refuses, and what it keeps, tried by SQL past every check of Django's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from accounts.models import User
from blog.models import Article, Comment, Vote
from tests.web.builders import a_category, a_comment, a_user, an_article

pytestmark = pytest.mark.django_db


def sql(statement: str, *values: Any) -> None:
    """Run a statement, with the deferred constraints checked at its end."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def refused(constraint: str) -> Any:
    """`with refused(name):` passes when the database names that constraint."""
    return pytest.raises(IntegrityError, match=constraint)


def test_an_article_cannot_be_in_another_authors_category() -> None:
    category = a_category(a_user("bob"))
    article = an_article()
    with refused("article_category_of_author"):
        sql("UPDATE blog_article SET category_id = %s WHERE id = %s", category.pk, article.pk)


def test_a_category_cannot_move_to_another_author_with_its_articles() -> None:
    category = a_category()
    an_article(category=category)
    with refused("article_category_of_author"):
        sql("UPDATE blog_category SET author_id = %s WHERE id = %s", a_user("bob").pk, category.pk)


def test_deleting_a_category_by_sql_keeps_its_articles_and_their_author() -> None:
    category = a_category()
    article = an_article(category=category)
    sql("DELETE FROM blog_category WHERE id = %s", category.pk)
    article.refresh_from_db()
    assert (article.category_id, article.author.username) == (None, "ann")


def test_deleting_a_category_in_django_keeps_its_articles() -> None:
    category = a_category()
    article = an_article(category=category)
    category.delete()
    assert Article.objects.get(pk=article.pk).category is None


def test_a_reply_cannot_be_to_a_comment_on_another_article() -> None:
    parent = a_comment(an_article())
    reply = a_comment(an_article(title="Another"))
    with refused("comment_parent_on_article"):
        sql("UPDATE blog_comment SET parent_id = %s WHERE id = %s", parent.pk, reply.pk)


def test_deleting_a_comment_by_sql_keeps_the_replies() -> None:
    article = an_article()
    parent = a_comment(article)
    reply = a_comment(article, parent=parent)
    sql("DELETE FROM blog_comment WHERE id = %s", parent.pk)
    reply.refresh_from_db()
    assert (reply.parent_id, reply.article_id) == (None, article.pk)


def test_deleting_a_commenter_keeps_what_was_said_and_the_replies() -> None:
    article = an_article()
    parent = a_comment(article, a_user("gone"))
    reply = a_comment(article, a_user("stays"), parent=parent)
    User.objects.get(username="gone").delete()
    parent.refresh_from_db()
    reply.refresh_from_db()
    assert (parent.author, parent.body) == (None, "I agree.")
    assert reply.parent_id == parent.pk


def test_an_author_with_articles_cannot_be_deleted_in_django() -> None:
    with pytest.raises(ProtectedError):
        an_article().author.delete()


def test_an_author_with_articles_cannot_be_deleted_by_sql() -> None:
    author = an_article().author
    with refused("blog_article_author"):
        sql("DELETE FROM accounts_user WHERE id = %s", author.pk)


def test_a_comment_cannot_answer_itself() -> None:
    comment = a_comment(an_article())
    with refused("comment_not_its_own_parent"):
        sql("UPDATE blog_comment SET parent_id = id WHERE id = %s", comment.pk)


def test_two_comments_cannot_have_one_floor() -> None:
    article = an_article()
    a_comment(article, floor=1)
    with refused("comment_floor_unique"):
        a_comment(article, floor=1)


def test_a_vote_needs_a_voter() -> None:
    article = an_article()
    with refused("voter_id"):
        sql("INSERT INTO blog_vote (article_id, voter_id, value, created_at) VALUES (%s, NULL, 1, now())", article.pk)


def test_a_reader_votes_once() -> None:
    article = an_article()
    reader = a_user("reader")
    Vote.objects.create(article=article, voter=reader, value=1)
    with refused("vote_once"):
        Vote.objects.create(article=article, voter=reader, value=-1)


@pytest.mark.parametrize("value", [0, 2, -7])
def test_a_vote_is_up_or_down(value: int) -> None:
    article = an_article()
    with refused("vote_up_or_down"):
        Vote.objects.create(article=article, voter=a_user("reader"), value=value)


@pytest.mark.parametrize(
    ("assignment", "constraint"),
    [
        ("published_at = NULL", "article_published_has_date"),
        ("first_published_at = NULL", "article_published_has_date"),
        ("status = 'removed'", "article_status_known"),
        ("comment_policy = 'maybe'", "article_comment_policy_known"),
        ("up_count = -1", "article_counters_not_negative|up_count_check"),
        ("down_count = -1", "article_counters_not_negative|down_count_check"),
        ("comment_count = -1", "article_counters_not_negative|comment_count_check"),
        ("title = ''", "article_titled"),
        ("slug = ''", "article_titled"),
        ("body = repeat('中', 66667)", "article_body_not_too_large"),
    ],
)
def test_an_article_in_a_state_that_cannot_be_is_refused(assignment: str, constraint: str) -> None:
    article = an_article()
    with refused(constraint):
        sql(f"UPDATE blog_article SET {assignment} WHERE id = %s", article.pk)


@pytest.mark.parametrize(
    ("assignment", "constraint"),
    [
        ("floor = 0", "comment_floor_counts_from_1"),
        ("status = 'spam'", "comment_status_known"),
        ("body = ''", "comment_says_something"),
    ],
)
def test_a_comment_in_a_state_that_cannot_be_is_refused(assignment: str, constraint: str) -> None:
    comment = a_comment(an_article())
    with refused(constraint):
        sql(f"UPDATE blog_comment SET {assignment} WHERE id = %s", comment.pk)


def test_an_author_has_one_category_of_a_name_in_any_case_and_width() -> None:
    a_category(name="Deploying")
    with refused("category_name_unique"):
        a_category(name="ＤＥＰＬＯＹＩＮＧ")


def test_two_authors_may_have_a_category_of_one_name() -> None:
    assert a_category(a_user("ann")).slug == a_category(a_user("bob")).slug


def test_an_article_has_a_tag_once() -> None:
    article = an_article(tags=("nginx",))
    tag = article.tags.get()
    with refused("article_tag_unique"):
        sql("INSERT INTO blog_articletag (article_id, tag_id) VALUES (%s, %s)", article.pk, tag.pk)


def test_two_tags_cannot_have_one_slug() -> None:
    an_article(tags=("nginx",))
    with refused("blog_tag_slug"):
        sql("INSERT INTO blog_tag (name, key, slug) VALUES ('other', 'other', 'nginx')")


@pytest.mark.parametrize("remove", [lambda row: row.delete(), lambda row: type(row).objects.filter(pk=row.pk).delete()])
def test_deleting_an_article_takes_its_own_rows_and_nobody_elses(remove: Callable[[Any], Any]) -> None:
    article, other = an_article(tags=("a",)), an_article(title="Other", tags=("a",))
    a_comment(article)
    a_comment(other)
    remove(article)
    assert list(Comment.objects.values_list("article", flat=True)) == [other.pk]
    assert other.tags.count() == 1
