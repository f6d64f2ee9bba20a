"""What the author of an article does with comments is in the audit log; what a moderator took away stays away."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from blog import commenting
from blog.commenting import CommentingError, set_status
from blog.models import Comment
from moderation import reporting
from moderation.models import AuditEntry, Report
from tests.web.accounts.people import a_member
from tests.web.builders import a_comment, a_user, an_article
from tests.web.moderation.people import a_person, a_report, browser_of

pytestmark = pytest.mark.django_db
HIDDEN, VISIBLE = Comment.Status.HIDDEN, Comment.Status.VISIBLE


def recorded() -> list[tuple[str, str, str]]:
    """Who did what to what, oldest first."""
    return list(AuditEntry.objects.order_by("pk").values_list("actor", "action", "object_type"))


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        ("pending", "visible", "comment.approved"),
        ("hidden", "visible", "comment.shown"),
        ("visible", "hidden", "comment.hidden"),
        ("pending", "hidden", "comment.hidden"),
        ("visible", "deleted", "comment.deleted"),
    ],
)
def test_what_an_author_does_with_a_comment_is_recorded_once(before: str, after: str, action: str) -> None:
    article = an_article()
    comment = a_comment(article, status=before)
    for _again in range(2):
        set_status(comment, Comment.Status(after), by=article.author)
    assert recorded() == [("ann", action, "blog.comment")]


def test_blocking_is_recorded_and_so_is_its_end() -> None:
    author, reader = a_user("ann"), a_user("reader")
    for _again in range(2):
        commenting.block(author, reader)
    for _again in range(2):
        commenting.unblock(author, reader)
    assert recorded() == [("ann", "user.blocked", "accounts.user"), ("ann", "user.unblocked", "accounts.user")]


def test_what_the_pages_do_is_recorded(client: Client) -> None:
    author = a_member("ann")
    comment = a_comment(an_article(author), status="pending")
    client.force_login(author)
    AuditEntry.objects.get(action="login")
    client.post("/write/comments/", {"do": "show", "comment": comment.pk})
    client.post(f"/comments/{comment.pk}/moderate/", {"do": "hide"})
    client.post("/write/blocked/", {"do": "block", "reader": comment.author_id})
    assert [action for _actor, action, _kind in recorded()][1:] == [
        "comment.approved",
        "comment.hidden",
        "user.blocked",
    ]


@pytest.fixture
def removed() -> Comment:
    """A comment below an article of ann's that a moderator took away upon a report."""
    comment = a_comment(an_article(a_person("ann")))
    a_report("comment", comment.pk)
    reporting.resolve("comment", comment.pk, a_person("moderator"), Report.Outcome.REMOVED)
    comment.refresh_from_db()
    assert comment.status == HIDDEN
    return comment


def test_the_article_s_author_cannot_show_it_again(removed: Comment) -> None:
    with pytest.raises(CommentingError, match="taken_away"):
        set_status(removed, VISIBLE, by=removed.article.author)
    removed.refresh_from_db()
    assert removed.status == HIDDEN


@pytest.mark.parametrize("person", ["moderator", "chief"])
def test_staff_can(removed: Comment, person: str) -> None:
    assert set_status(removed, VISIBLE, by=a_person(person)).status == VISIBLE


def test_a_dismissed_report_takes_nothing_from_the_author() -> None:
    comment = a_comment(an_article(), status="hidden")
    a_report("comment", comment.pk)
    reporting.resolve("comment", comment.pk, a_person("moderator"), Report.Outcome.DISMISSED)
    assert set_status(comment, VISIBLE, by=comment.article.author).status == VISIBLE


def test_the_button_is_not_offered_and_what_is_sent_all_the_same_is_refused(removed: Comment) -> None:
    author = browser_of("ann")
    own = a_comment(removed.article, body="Another.", status="hidden")
    page = author.get(removed.article.get_absolute_url()).text
    assert page.count('value="show"') == 1
    assert "Taken away by a moderator" in page
    address = f"/comments/{removed.pk}/moderate/"
    assert "only a moderator can show it" in author.post(address, {"do": "show"}, follow=True).text
    answer: Any = author.post(address, {"do": "show"}, headers={"hx-request": "true"})
    assert 'value="show"' not in answer.text
    removed.refresh_from_db()
    assert removed.status == HIDDEN
    assert author.get("/write/comments/?state=hidden").text.count(" disabled>") == 1
    sent = {"do": "show", "comment": [removed.pk, own.pk]}
    told = author.post("/write/comments/?state=hidden", sent, follow=True).text
    assert "only a moderator can show it" in told
    assert "1 comment is shown" in told
    removed.refresh_from_db()
    own.refresh_from_db()
    assert (removed.status, own.status) == (HIDDEN, VISIBLE)
