"""Reporting a comment, an article or a user."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from blog.models import Article, Comment
from config import limits
from moderation import reporting
from moderation.models import LONGEST_TEXT, Report
from tests.web.builders import a_comment, a_user, an_article, later
from tests.web.moderation.people import PEOPLE, a_report, browser_of

pytestmark = pytest.mark.django_db
KINDS = ["comment", "article", "user"]
SPAM = {"reason": "spam", "text": "Look at it."}


@pytest.fixture
def comment() -> Comment:
    """Ann's comment on ann's article."""
    return a_comment(an_article(a_user("ann")), a_user("ann"))


def address(kind: str, comment: Comment) -> str:
    """Where that is reported."""
    ids = {"comment": comment.pk, "article": comment.article_id, "user": comment.author_id}
    return f"/report/{kind}/{ids[kind]}/"


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("kind", KINDS)
def test_who_may_report(kind: str, person: str, comment: Comment) -> None:
    browser = browser_of(person)
    expected = {"": 302, "ann": 404}.get(person, 200)
    assert browser.get(address(kind, comment)).status_code == expected
    expected = {"ann": 404}.get(person, 302)
    assert browser.post(address(kind, comment), SPAM | ({"text": ""} if not person else {})).status_code == expected
    assert Report.objects.count() == (person not in ("", "ann"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_is_stored_and_leads_back(kind: str, comment: Comment) -> None:
    response = browser_of("other").post(address(kind, comment), SPAM, follow=True)
    stored = Report.objects.get()
    assert (stored.kind, stored.reporter, stored.reason, stored.text) == (kind, a_user("other"), "spam", SPAM["text"])
    assert "A moderator will look at it" in response.text


@pytest.mark.parametrize("kind", KINDS)
def test_one_open_report_a_reader_and_object(kind: str, comment: Comment) -> None:
    browser = browser_of("other")
    for _turn in range(2):
        response = browser.post(address(kind, comment), SPAM, follow=True)
    assert "already" in response.text
    assert Report.objects.count() == 1


def test_after_a_decision_it_can_be_reported_again(comment: Comment) -> None:
    browser = browser_of("other")
    browser.post(address("comment", comment), SPAM)
    Report.objects.update(handled_at=later(), outcome="dismissed")
    browser.post(address("comment", comment), SPAM)
    assert Report.objects.count() == 2


@pytest.mark.parametrize(
    "fields",
    [{}, {"reason": "x"}, {"reason": "other"}, {"reason": "spam", "text": "x" * (LONGEST_TEXT + 1)}, {"reason": "\0"}],
)
def test_what_cannot_be_a_report_is_a_message_and_keeps_the_text(fields: dict[str, str], comment: Comment) -> None:
    response = browser_of("other").post(address("comment", comment), fields)
    assert response.status_code == 422
    assert "errorlist" in response.text
    assert fields.get("text", "") in response.text
    assert not Report.objects.exists()


def test_a_nul_is_a_message(comment: Comment) -> None:
    response = browser_of("other").post(address("comment", comment), {"reason": "spam", "text": "a\0b"})
    assert response.status_code == 422


@pytest.mark.parametrize(
    "path", ["comment/" + "9" * 18, "comment/" + "9" * 19, "xyz/1", "user/-1", "article/%00", "user/1x"]
)
def test_what_is_nothing_is_404(path: str) -> None:
    assert browser_of("other").get(f"/report/{path}/").status_code == 404


@pytest.mark.parametrize("status", ["hidden", "pending", "deleted"])
def test_what_readers_cannot_see_cannot_be_reported(status: str, comment: Comment) -> None:
    Comment.objects.update(status=status)
    assert browser_of("other").get(address("comment", comment)).status_code == 404
    Article.objects.update(status="draft")
    assert browser_of("other").get(address("article", comment)).status_code == 404


def test_neither_can_a_comment_on_a_draft(comment: Comment) -> None:
    Article.objects.update(status="draft")
    assert browser_of("other").get(address("comment", comment)).status_code == 404


def test_too_many_reports_are_429_with_the_text(comment: Comment, monkeypatch: Any) -> None:
    rate = limits.Rate(0, 600)
    monkeypatch.setitem(limits.RATES, "report", limits.Rates(address=rate, account=rate))
    response = browser_of("other").post(address("comment", comment), SPAM)
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert SPAM["text"] in response.text
    assert not Report.objects.exists()


def test_what_was_typed_is_kept_when_the_session_has_ended(comment: Comment, client: Client) -> None:
    response = client.post(address("comment", comment), SPAM)
    assert response.status_code == 403
    assert SPAM["text"] in response.text


def test_without_a_token_nothing_is_stored_and_nothing_lost(comment: Comment) -> None:
    browser = browser_of("other", Client(enforce_csrf_checks=True, headers={"x-forwarded-proto": "https"}))
    response = browser.post(address("comment", comment), SPAM)
    assert response.status_code == 403
    assert SPAM["text"] in response.text
    assert not Report.objects.exists()


@pytest.mark.parametrize("person", ["", "other", "ann"])
def test_the_links_stand_on_the_pages(person: str, comment: Comment) -> None:
    browser = browser_of(person)
    article = browser.get(comment.article.get_absolute_url()).text
    author = browser.get("/ann/").text
    for kind, page in (("comment", article), ("article", article), ("user", author)):
        # Beside a comment there is nothing to do for who is not logged in.
        assert (address(kind, comment) in page) == (person == "other" or (person == "" and kind != "comment"))


def test_who_is_reported_never_learns_by_whom(comment: Comment) -> None:
    a_report("article", comment.article_id, by="secretive")
    ann = browser_of("ann")
    for page in (comment.article.get_absolute_url(), "/ann/", f"/write/{comment.article_id}/", "/account/"):
        assert "secretive" not in ann.get(page).text


def test_a_report_outlives_the_account_of_its_writer(comment: Comment) -> None:
    a_report("comment", comment.pk, by="gone")
    User.objects.get(username="gone").delete()
    assert Report.objects.get().reporter is None


def test_an_old_release_may_delete_a_reporter_by_sql(comment: Comment) -> None:
    from django.db import connection

    report = a_report("comment", comment.pk, by="gone")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_takenname WHERE user_id = %s", [report.reporter_id])
        cursor.execute("DELETE FROM accounts_user WHERE id = %s", [report.reporter_id])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    report.refresh_from_db()
    assert report.reporter_id is None


def test_the_pages_queries(comment: Comment, queries_of: Any) -> None:
    browser = browser_of("other")
    with queries_of(4):  # session, user, unread notifications; the comment with its article and authors
        browser.get(address("comment", comment))


def test_nobody_reports_what_is_theirs_by_any_way(comment: Comment) -> None:
    with pytest.raises(reporting.ReportingError, match="own"):
        reporting.report(comment, "comment", a_user("ann"), "spam", "")
