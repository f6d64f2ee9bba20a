"""The blog in Django's admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from blog.models import Article, Comment
from tests.web.builders import a_category, a_comment, a_user, an_article

pytestmark = pytest.mark.django_db
MODELS = ["article", "category", "tag", "comment", "blog"]


@pytest.fixture
def staff(client: Client) -> Client:
    """A browser in which a superuser is logged in."""
    client.force_login(User.objects.create_superuser("chief", "chief@example.org", "x"))
    return client


@pytest.mark.parametrize("model", MODELS)
def test_a_list_opens_and_can_be_searched(staff: Client, model: str) -> None:
    a_comment(an_article(category=a_category(), tags=("nginx",)))
    assert staff.get(f"/admin/blog/{model}/").status_code == 200
    assert staff.get(f"/admin/blog/{model}/?q=中%00文").status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_a_list_makes_no_more_queries_for_more_rows(
    staff: Client, model: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(8):
        author = a_user(f"author{number}")
        article = an_article(author, category=a_category(author), tags=(f"tag{number}",))
        a_comment(article, a_user(f"reader{number}"))
    with django_assert_max_num_queries(9):
        staff.get(f"/admin/blog/{model}/")


def form(article: Article, **changes: Any) -> dict[str, Any]:
    """The fields of an article's form."""
    empty = {f"article_tags-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    return {
        "author": article.author_id,
        "title": article.title,
        "slug": article.slug,
        "language": "en",
        "status": "published",
        "published_at_0": "2026-05-10",
        "published_at_1": "12:00:00",
        "body": article.body,
        "summary": "",
        "category": "",
        "comment_policy": "open",
        "cover_alt": "",
        "canonical_url": "",
        **empty,
        **changes,
    }


def test_saving_an_article_renders_it(staff: Client) -> None:
    article = an_article()
    staff.post(f"/admin/blog/article/{article.pk}/change/", form(article, body="**中文**强调"))
    article.refresh_from_db()
    assert article.body_html == "<p><strong>中文</strong>强调</p>"


def test_another_authors_category_is_refused_beside_the_field(staff: Client) -> None:
    article = an_article()
    other = a_category(a_user("bob"))
    response = staff.post(f"/admin/blog/article/{article.pk}/change/", form(article, category=other.pk))
    assert response.status_code == 200
    assert "category" in response.context["adminform"].errors


@pytest.mark.parametrize(
    ("action", "status", "count"), [("hide", "hidden", 0), ("show", "visible", 1), ("delete_selected", "deleted", 0)]
)
def test_an_action_on_comments_keeps_the_counter(staff: Client, action: str, status: str, count: int) -> None:
    comment = a_comment(an_article(), status="hidden" if action == "show" else "visible")
    staff.post("/admin/blog/comment/", {"action": action, "_selected_action": [comment.pk], "post": "yes"})
    comment.refresh_from_db()
    assert (comment.status, Article.objects.get().comment_count) == (status, count)


def test_a_deleted_comment_cannot_be_shown_again(staff: Client) -> None:
    comment = a_comment(an_article(), status="deleted", body="")
    staff.post("/admin/blog/comment/", {"action": "show", "_selected_action": [comment.pk]})
    assert Comment.objects.get().status == "deleted"


def test_deleting_a_comment_keeps_its_floor_and_empties_it(staff: Client) -> None:
    comment = a_comment(an_article(), body="secret")
    staff.post(f"/admin/blog/comment/{comment.pk}/delete/", {"post": "yes"})
    comment.refresh_from_db()
    assert (comment.floor, comment.body, comment.status) == (1, "", "deleted")


def test_an_article_with_comments_can_be_deleted(staff: Client) -> None:
    article = a_comment(an_article()).article
    staff.post(f"/admin/blog/article/{article.pk}/delete/", {"post": "yes"})
    assert not Comment.objects.exists()


def test_editing_a_comment_renders_it(staff: Client) -> None:
    comment = a_comment(an_article())
    staff.post(f"/admin/blog/comment/{comment.pk}/change/", {"body": "*new*"})
    comment.refresh_from_db()
    assert comment.body_html == "<p><em>new</em></p>"
    assert comment.edited_at is not None
