"""The queue of reports: who sees it, what a decision does, and that it is done once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from blog.models import Article, Comment
from moderation import reporting
from moderation.models import AuditEntry, Report
from tests.web.builders import a_comment, a_user, an_article
from tests.web.moderation.people import PEOPLE, a_person, a_report, browser_of

QUEUE = "/admin/moderation/report/"


@pytest.fixture
def comment() -> Comment:
    """Ann's comment on bob's article, both reported, and ann too."""
    made = a_comment(an_article(a_user("bob")), a_person("ann"), body="Buy this!")
    for kind, pk in (("comment", made.pk), ("article", made.article_id), ("user", made.author_id)):
        a_report(kind, pk)
    return made


def case(kind: str, comment: Comment) -> str:
    """The page on which that is decided."""
    ids = {"comment": comment.pk, "article": comment.article_id, "user": comment.author_id}
    return f"{QUEUE}{kind}/{ids[kind]}/"


@pytest.mark.django_db
@pytest.mark.parametrize("person", PEOPLE)
def test_who_may_see_and_decide(person: str, comment: Comment) -> None:
    expected = 200 if person in ("moderator", "chief") else 302 if not person else 403
    browser = browser_of(person)
    assert browser.get(QUEUE, follow=person in ("other", "ann")).status_code == expected
    assert browser.get(f"{QUEUE}?state=handled", follow=person in ("other", "ann")).status_code == expected
    assert browser.get(case("comment", comment), follow=person in ("other", "ann")).status_code == expected
    browser.post(case("comment", comment), {"outcome": "dismissed"})
    assert Report.objects.open().count() == (2 if expected == 200 else 3)


@pytest.mark.django_db
def test_the_queue_groups_by_object_and_counts(comment: Comment) -> None:
    a_report("comment", comment.pk, by="third")
    page = browser_of("moderator").get(QUEUE)
    assert (page.context["rows"][0]["kind"], page.context["rows"][0]["total"]) == ("comment", 2)
    assert len(page.context["rows"]) == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "outcome"),
    [(kind, outcome) for kind in ("comment", "article") for outcome in ("dismissed", "removed", "suspended", "both")]
    + [("user", "dismissed"), ("user", "suspended")],
)
def test_a_decision_does_what_it_says(kind: str, outcome: str, comment: Comment) -> None:
    a_report(kind, int(case(kind, comment).split("/")[-2]), by="third")
    browser = browser_of("moderator")
    response = browser.post(case(kind, comment), {"outcome": outcome, "days": "7", "note": "advertising"})
    assert response.status_code == 302
    handled = Report.objects.filter(handled_at__isnull=False)
    assert {(r.kind, r.outcome, r.note, r.handled_by) for r in handled} == {
        (kind, outcome, "advertising", a_person("moderator"))
    }
    assert handled.count() == 2
    removed = outcome in ("removed", "both")
    comment.refresh_from_db()
    comment.article.refresh_from_db()
    assert (comment.status == "hidden") == (removed and kind == "comment")
    assert (comment.article.status == "draft") == (removed and kind == "article")
    reported = a_user("bob" if kind == "article" else "ann")
    assert reported.is_suspended == (outcome in ("suspended", "both"))
    assert AuditEntry.objects.filter(action=f"report.{outcome}", actor="moderator").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"outcome": "x"},
        {"outcome": "suspended", "days": "7"},
        {"outcome": "suspended", "note": "x", "days": "3"},
        {"outcome": "dismissed", "note": "x" * 301},
        {"outcome": "dismissed", "note": "\0"},
    ],
)
def test_a_decision_that_is_none_is_a_message(fields: dict[str, str], comment: Comment) -> None:
    response = browser_of("moderator").post(case("comment", comment), fields)
    assert response.status_code == 422
    assert "errorlist" in response.text
    assert Report.objects.open().count() == 3


@pytest.mark.django_db
def test_the_second_moderator_hears_that_it_is_decided(comment: Comment) -> None:
    for person in ("moderator", "chief"):
        response = browser_of(person).post(case("comment", comment), {"outcome": "removed"}, follow=True)
    assert "Somebody else has decided" in response.text
    assert AuditEntry.objects.filter(action="comment.hidden").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_moderators_at_one_moment_decide_once() -> None:
    article = an_article(a_user("ann"))
    a_report("article", article.pk)
    deciders = [a_person("moderator"), a_person("chief")] * 3
    codes: list[Any] = []

    def decide(number: int) -> None:
        try:
            codes.append(reporting.resolve("article", article.pk, deciders[number], Report.Outcome.REMOVED))
        except reporting.ReportingError as error:
            codes.append(error.code)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(decide, range(6)))
    assert sorted(codes, key=str) == [1, *["handled"] * 5]
    assert AuditEntry.objects.filter(action="article.unpublished").count() == 1


@pytest.mark.django_db
def test_a_moderator_cannot_suspend_staff_and_nothing_else_happens_then(comment: Comment) -> None:
    a_user("bob").__class__.objects.filter(username="bob").update(is_staff=True)
    browser = browser_of("moderator")
    page = browser.get(case("article", comment))
    assert 'value="both"' not in page.text
    assert browser.post(case("article", comment), {"outcome": "both", "days": "7", "note": "x"}).status_code == 422
    with pytest.raises(reporting.ReportingError, match="forbidden"):
        reporting.resolve("article", comment.article_id, a_person("moderator"), Report.Outcome.BOTH, "x")
    assert Article.objects.get().status == "published"
    assert Report.objects.open().count() == 3


@pytest.mark.django_db
def test_what_is_gone_can_be_dismissed(comment: Comment) -> None:
    Article.objects.all().delete()
    browser = browser_of("moderator")
    assert browser.get(QUEUE).status_code == 200
    page = browser.get(case("comment", comment))
    assert 'value="removed"' not in page.text
    assert browser.post(case("comment", comment), {"outcome": "dismissed"}).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["comment/" + "9" * 18, "comment/" + "9" * 30, "xyz/1", "user/%00", "add", "1/change", "1/delete"]
)
def test_there_is_nothing_else(path: str, comment: Comment) -> None:
    assert browser_of("chief").get(f"{QUEUE}{path}/").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["page=abc", "page=" + "9" * 30, "state=%00", "state=handled&page=-1"])
def test_odd_queries_are_answered(query: str, comment: Comment) -> None:
    assert browser_of("chief").get(f"{QUEUE}?{query}").status_code == 200


@pytest.mark.django_db
def test_the_author_reads_why_an_article_is_a_draft_again(comment: Comment) -> None:
    browser_of("moderator").post(case("article", comment), {"outcome": "removed", "note": "copied from a book"})
    page = browser_of("bob").get(f"/write/{comment.article_id}/").text
    assert "copied from a book" in page
    assert "moderator@" not in page


@pytest.mark.django_db
@pytest.mark.parametrize("objects", [1, 8])
def test_the_queues_queries(objects: int, queries_of: Any) -> None:
    article = an_article(a_user("bob"))
    for number in range(objects):
        made = a_comment(article, a_user(f"author{number}"))
        a_report("comment", made.pk)
        a_report("user", made.author_id)
        a_report("article", an_article(a_user(f"author{number}")).pk)
    browser = browser_of("chief")
    with queries_of(7):  # session, user; count, groups; comments, articles, users
        browser.get(QUEUE)
