"""The pages of notifications."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.test import Client

from blog import commenting
from blog.models import Article, Comment
from notices.models import Notice, OptOut
from tests.web.accounts.people import a_member
from tests.web.builders import an_article

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client: Client) -> Client:
    """The browser of an author."""
    client.force_login(a_member("ann"))
    return client


def told(times: int = 2) -> Article:
    """An article of ann's that bob commented on, that often."""
    article = an_article(a_member("ann"), title="On <ships>")
    for number in range(times):
        commenting.comment(article, a_member("bob"), f"words {number} <b>")
    return article


def test_the_list_says_what_happened_and_the_header_how_much(ann: Client) -> None:
    told()
    page = ann.get("/notifications/").text
    assert "bob commented on “On &lt;ships&gt;”" in page
    assert "words 1 &lt;b&gt;" in page
    assert '2<span class="hidden"> unread notifications' in page


def test_following_one_leads_to_the_comment_and_marks_it_read(ann: Client) -> None:
    told()
    notice = Notice.objects.latest("pk")
    assert ann.get(f"/notifications/{notice.pk}/").headers["Location"] == f"/comments/{notice.comment_id}/"
    assert Notice.objects.unread().count() == 1


def test_one_that_waits_leads_to_where_it_is_approved(ann: Client) -> None:
    article = an_article(a_member("ann"), comment_policy="approve")
    commenting.comment(article, a_member("bob"), "words")
    assert ann.get(f"/notifications/{Notice.objects.get().pk}/").headers["Location"] == "/write/comments/"


def test_one_or_all_are_marked_as_read(ann: Client) -> None:
    told(3)
    ann.post("/notifications/read/", {"notice": Notice.objects.latest("pk").pk})
    assert Notice.objects.unread().count() == 2
    assert ann.post("/notifications/read/").status_code == 302
    assert Notice.objects.unread().count() == 0


@pytest.mark.parametrize("number", ["0", "x", "9" * 18, "9" * 30, "１"])
def test_no_notification_is_404(ann: Client, number: str) -> None:
    assert ann.post("/notifications/read/", {"notice": number}).status_code == 404
    assert ann.get(f"/notifications/{number}/").status_code == 404


def test_those_of_others_are_404_and_stay_unread(client: Client) -> None:
    told()
    client.force_login(a_member("bob"))
    notice = Notice.objects.latest("pk")
    assert client.get(f"/notifications/{notice.pk}/").status_code == 404
    assert client.post("/notifications/read/", {"notice": notice.pk}).status_code == 404
    client.post("/notifications/read/")
    assert Notice.objects.unread().count() == 2
    assert "ships" not in client.get("/notifications/").text


@pytest.mark.parametrize("status", ["hidden", "deleted"])
def test_what_was_removed_is_not_told_any_more(ann: Client, status: str) -> None:
    told(1)
    commenting.set_status(Comment.objects.get(), Comment.Status(status))
    page = ann.get("/notifications/").text
    assert "words" not in page
    assert "This comment was removed." in page


def test_wishes_are_kept(ann: Client) -> None:
    page = ann.get("/notifications/settings/").text
    assert page.count("checked") == 6
    ann.post("/notifications/settings/", {"mail": ["reply"], "site": ["comment", "reply", "approved"]})
    assert set(OptOut.objects.values_list("kind", "channel")) == {("comment", "mail"), ("approved", "mail")}
    assert ann.get("/notifications/settings/").text.count("checked") == 4


def test_another_wish_is_refused(ann: Client) -> None:
    response = ann.post("/notifications/settings/", {"mail": ["everything"]})
    assert "everything" in response.text
    assert not OptOut.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "anonymous", "member"),
    [
        ("get", "/notifications/", 302, 200),
        ("post", "/notifications/", 302, 405),
        ("get", "/notifications/read/", 302, 405),
        ("post", "/notifications/read/", 302, 302),
        ("get", "/notifications/settings/", 302, 200),
        ("post", "/notifications/settings/", 302, 302),
        ("get", "/notifications/5/", 302, 404),
        ("get", "/unsubscribe/x/", 404, 404),
        ("post", "/unsubscribe/x/", 404, 404),
        ("put", "/unsubscribe/x/", 405, 405),
    ],
)
def test_who_may(method: str, path: str, anonymous: int, member: int, client: Client) -> None:
    assert getattr(client, method)(path).status_code == anonymous
    client.force_login(a_member("ann"))
    assert getattr(client, method)(path).status_code == member


QUERIES = {
    "/notifications/": 5,  # session, user; count, notifications; unread
    "/notifications/settings/": 4,  # session, user; wishes; unread
}


@pytest.mark.parametrize("comments", [1, 9])
@pytest.mark.parametrize("page", QUERIES)
def test_the_pages_make_this_many_queries(
    page: str, comments: int, ann: Client, queries_of: Callable[[int], AbstractContextManager[object]]
) -> None:
    told(comments)
    with queries_of(QUERIES[page]):
        assert ann.get(page).status_code == 200
