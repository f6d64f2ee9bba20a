"""Comments and votes through their forms, as browsers and htmx send them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.deletion import delete_account
from accounts.models import User
from blog import commenting
from blog.models import Article, Block, Comment, Vote
from config import limits
from tests.web.builders import a_comment, a_user, an_article

HTMX = {"HX-Request": "true"}


def browser(person: str = "reader", **fields: Any) -> Client:
    """Somebody's browser."""
    client = Client(raise_request_exception=False, headers={"x-forwarded-proto": "https", "host": "testserver"})
    client.force_login(a_user(person, **fields))
    return client


def send(client: Client, article: Article, body: str = "I agree.", htmx: bool = False, **fields: Any) -> Any:
    """Send the form below `article`."""
    headers = HTMX if htmx else {}
    return client.post(f"/comments/on/{article.pk}/", {"body": body, "key": uuid4(), **fields}, headers=headers)


def moderator() -> User:
    """Staff with the permission."""
    user = a_user("chief", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_comment", content_type__app_label="blog"))
    return user


# --- Writing


@pytest.mark.django_db
def test_a_comment_stands_on_the_page_after_it_was_sent() -> None:
    article, reader = an_article(), browser()
    response = send(reader, article, "**Well** said")
    assert response.headers["Location"] == f"{article.get_absolute_url()}#floor-1"
    assert "<strong>Well</strong> said" in reader.get(article.get_absolute_url()).text


@pytest.mark.django_db
def test_htmx_gets_the_comments_alone_with_the_new_one_pointed_out() -> None:
    article = an_article()
    page = send(browser(), article, "words", htmx=True).text
    assert "<html" not in page
    assert page.count("autofocus") == 1
    assert 'id="floor-1" tabindex="-1" autofocus' in page
    assert "Your comment is published." in page
    assert '<h2 id="comments-title">1 comment</h2>' in page


@pytest.mark.django_db
def test_the_anonymous_get_a_link_that_comes_back_and_no_form_and_no_cookie(client: Client) -> None:
    article = an_article()
    response = client.get(article.get_absolute_url())
    assert f"?next={article.get_absolute_url()}%23comments" in response.text.replace("%2F", "/")
    assert "<textarea" not in response.text
    assert "htmx" not in response.text
    assert not response.cookies


@pytest.mark.django_db
def test_what_was_typed_survives_the_end_of_the_session(client: Client) -> None:
    article = an_article()
    response = send(client, article, "many words")
    assert response.status_code == 403
    assert "many words" in response.text
    assert not Comment.objects.exists()


@pytest.mark.django_db
def test_what_was_typed_survives_an_expired_form_and_htmx_shows_it() -> None:
    article = an_article()
    client = Client(enforce_csrf_checks=True, headers={"x-forwarded-proto": "https", "host": "testserver"})
    client.force_login(a_user("reader"))
    response = send(client, article, "many words", htmx=True)
    assert response.status_code == 403
    assert "many words" in response.text
    assert response.headers["HX-Retarget"] == "#main"


@pytest.mark.django_db
@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("body", ["", "   \n", "\0", "\x07"])
def test_a_comment_without_words_is_refused(body: str, htmx: bool) -> None:
    article = an_article()
    response = send(browser(), article, body, htmx)
    assert response.status_code == 422
    assert 'id="comment-form"' in response.text
    assert "HX-Retarget" not in response.headers
    assert not Comment.objects.exists()


@pytest.mark.django_db
def test_a_comment_that_is_too_long_comes_back_whole() -> None:
    body = "長" * 10_001
    response = send(browser(), an_article(), body)
    assert response.status_code == 422
    assert body in response.text


@pytest.mark.django_db
def test_the_longest_comment_is_taken() -> None:
    assert send(browser(), an_article(), "長" * 10_000).status_code == 302


@pytest.mark.django_db
def test_nul_and_direction_marks_do_no_harm() -> None:
    article, reader = an_article(), browser()
    assert send(reader, article, "a\0b \u202egnp.exe 🙂").status_code == 302
    assert Comment.objects.get().body == "ab \u202egnp.exe 🙂"
    assert reader.get(article.get_absolute_url()).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("parent", ["abc", "-1", "0", "9" * 18, "9" * 30, "1.5", "\0", "１"])
def test_no_parent_makes_no_server_error_and_loses_no_text(parent: str) -> None:
    response = send(browser(), an_article(), "my words", parent=parent)
    assert response.status_code == 422
    assert "my words" in response.text


@pytest.mark.django_db
@pytest.mark.parametrize("case", ["other article", "hidden", "pending", "deleted"])
def test_only_a_visible_comment_on_the_same_article_is_answered(case: str) -> None:
    article = an_article()
    parent = a_comment(an_article(title="Other") if case == "other article" else article)
    if case != "other article":
        Comment.objects.filter(pk=parent.pk).update(status=case)
    response = send(browser("other"), article, "my words", parent=parent.pk)
    assert response.status_code == 422
    assert "my words" in response.text
    assert "What you answer is no longer there" in response.text
    assert Comment.objects.count() == 1


@pytest.mark.django_db
def test_an_answer_to_somebody_who_injects_runs_nothing() -> None:
    article, reader = an_article(), browser()
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    send(browser("mallory", display_name="<b>M</b>"), article, evil)
    first = Comment.objects.get()
    send(reader, article, evil, parent=first.pk)
    for page in (
        send(reader, article, evil, htmx=True, parent=Comment.objects.last().pk).text,  # type: ignore[union-attr]
        reader.get(f"{article.get_absolute_url()}?reply={first.pk}").text,
        send(reader, article, evil, do="preview").text,
        reader.get(f"/comments/{Comment.objects.filter(author__username='reader').first().pk}/edit/").text,  # type: ignore[union-attr]
    ):
        assert "<img src=x" not in page
        assert "<script>alert" not in page
        assert "<b>M</b>" not in page


@pytest.mark.django_db
def test_answers_stand_on_the_second_level_and_name_whom_they_answer() -> None:
    article = an_article()
    first = commenting.comment(article, a_user("one"), "first")
    second = commenting.comment(article, a_user("two"), "second", first)
    commenting.comment(article, a_user("four"), "another thread")
    third = commenting.comment(article, a_user("three"), "third", second)
    response = browser().get(article.get_absolute_url())
    assert [[seen.comment.pk for seen in thread.answers] for thread in response.context["threads"]] == [
        [second.pk, third.pk],
        [],
    ]
    assert [row.floor for row in response.context["comments"]] == [1, 2, 4, 3]
    assert [seen.names_parent for seen in response.context["threads"][0].answers] == [False, True]
    assert '<a href="#floor-2">@two #2</a>' in response.text


@pytest.mark.django_db
def test_the_form_stands_below_what_is_answered() -> None:
    article = an_article()
    first = a_comment(article, a_user("one", display_name="Uno"))
    a_comment(article)
    page = browser().get(f"{article.get_absolute_url()}?reply={first.pk}").text
    assert "Answer to @Uno #1" in page
    assert page.index('id="floor-1"') < page.index('id="comment-form"') < page.index('id="floor-2"')
    assert f'name="parent" value="{first.pk}"' in page


@pytest.mark.django_db
@pytest.mark.parametrize("reply", ["abc", "", "0", "9" * 18, "9" * 40, "１", "\0"])
def test_an_answer_to_nothing_is_a_comment(reply: str) -> None:
    response = browser().get(an_article().get_absolute_url(), {"reply": reply})
    assert response.status_code == 200
    assert "Write a comment" in response.text


@pytest.mark.django_db
def test_a_preview_writes_nothing() -> None:
    response = send(browser(), an_article(), "**bold**", do="preview")
    assert "<strong>bold</strong>" in response.text
    assert not Comment.objects.exists()


@pytest.mark.django_db
def test_a_form_sent_twice_makes_one_comment() -> None:
    article, reader, key = an_article(), browser(), uuid4()
    places = {send(reader, article, "x", key=key).headers["Location"] for _turn in range(2)}
    assert len(places) == Comment.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("htmx", [False, True])
def test_too_many_comments_are_429_with_the_text(htmx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    once = limits.Rates(limits.Rate(1, 60), limits.Rate(1, 60))
    monkeypatch.setitem(limits.RATES, "comment", once)
    article, reader = an_article(), browser()
    send(reader, article)
    response = send(reader, article, "second words", htmx)
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert "second words" in response.text
    assert Comment.objects.count() == 1


@pytest.mark.django_db
def test_closed_comments_offer_no_form_and_take_none() -> None:
    article, reader = an_article(comment_policy="closed"), browser()
    assert "<textarea" not in reader.get(article.get_absolute_url()).text
    response = send(reader, article, "words")
    assert response.status_code == 422
    assert "Comments on this article are closed." in response.text


# --- Waiting, hidden, blocked


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["pending", "hidden"])
def test_what_is_not_public_is_shown_to_its_writer_and_the_author_with_a_mark(status: str) -> None:
    article = an_article()
    a_comment(article, a_user("reader"), body="secret words", status=status)
    moderator()
    seen = {
        person: "secret words" in browser(person).get(article.get_absolute_url()).text
        for person in ("reader", "ann", "other", "chief")
    }
    assert seen == {"reader": True, "ann": True, "other": False, "chief": True}
    mark = {"pending": "waiting for approval", "hidden": "hidden by the author"}[status]
    assert mark in browser("reader").get(article.get_absolute_url()).text


@pytest.mark.django_db
def test_an_edited_comment_waits_again_where_comments_are_approved() -> None:
    article, reader = an_article(comment_policy="approve"), browser()
    written = commenting.comment(article, a_user("reader"), "harmless")
    commenting.set_status(written, Comment.Status.VISIBLE)
    reader.post(f"/comments/{written.pk}/edit/", {"body": "harmful"})
    written.refresh_from_db()
    article.refresh_from_db()
    assert (written.status, written.body, article.comment_count) == ("pending", "harmful", 0)


@pytest.mark.django_db
def test_a_blocked_reader_is_told_and_cannot_comment_on_any_article_of_the_author() -> None:
    article, other, reader = an_article(), an_article(title="Other"), browser()
    commenting.block(article.author, a_user("reader"))
    page = reader.get(other.get_absolute_url()).text
    assert "The author has blocked you" in page
    assert "<textarea" not in page
    assert send(reader, other, "words").status_code == 422
    assert send(reader, an_article(a_user("bob")), "words").status_code == 302


@pytest.mark.django_db
def test_an_author_blocks_and_unblocks() -> None:
    author, reader = browser("ann"), a_user("reader")
    assert "Block reader?" in author.get(f"/write/blocked/?reader={reader.pk}").text
    author.post("/write/blocked/", {"reader": reader.pk, "do": "block"})
    assert Block.objects.filter(author=a_user("ann"), reader=reader).exists()
    author.post("/write/blocked/", {"reader": reader.pk, "do": "unblock"})
    assert not Block.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 404),
        ({"reader": "x"}, 404),
        ({"reader": "9" * 18}, 404),
        ({"reader": "9" * 40}, 404),
        ({"reader": "me"}, 400),
    ],
)
def test_nobody_blocks_nobody_or_themselves(fields: dict[str, Any], status: int) -> None:
    author = browser("ann")
    if fields.get("reader") == "me":
        fields = {"reader": a_user("ann").pk, "do": "block"}
    assert author.post("/write/blocked/", fields).status_code == status


@pytest.mark.django_db
def test_the_author_approves_many_at_once_and_only_on_own_articles() -> None:
    article, others = an_article(comment_policy="approve"), an_article(a_user("bob"), comment_policy="approve")
    waiting = [commenting.comment(article, a_user("reader"), f"n {n}") for n in range(3)]
    foreign = commenting.comment(others, a_user("reader"), "foreign")
    author = browser("ann")
    page = author.get("/write/comments/").text
    assert "n 0" in page
    assert "foreign" not in page
    assert "3 waiting" in author.get("/write/").text
    ids = [waiting[0].pk, waiting[1].pk, foreign.pk, "x", "9" * 30]
    assert author.post("/write/comments/", {"do": "show", "comment": ids}).status_code == 302
    assert Comment.objects.visible().count() == 2
    article.refresh_from_db()
    assert article.comment_count == 2


@pytest.mark.django_db
def test_staff_with_the_permission_moderate_everywhere() -> None:
    comment = commenting.comment(an_article(comment_policy="approve"), a_user("reader"), "words")
    moderator()
    chief = browser("chief")
    assert "words" in chief.get("/write/comments/?of=all").text
    chief.post("/write/comments/?of=all", {"do": "show", "comment": [comment.pk]})
    comment.refresh_from_db()
    assert comment.status == "visible"


# --- Editing and deleting


@pytest.mark.django_db
def test_a_comment_can_be_changed_for_a_quarter_of_an_hour() -> None:
    article, reader = an_article(), browser()
    comment = commenting.comment(article, a_user("reader"), "first")
    assert reader.get(f"/comments/{comment.pk}/edit/").status_code == 200
    assert reader.post(f"/comments/{comment.pk}/edit/", {"body": "second"}).status_code == 302
    assert "edited" in reader.get(article.get_absolute_url()).text
    Comment.objects.update(created_at=timezone.now() - timedelta(minutes=15, seconds=1))
    assert reader.get(f"/comments/{comment.pk}/edit/").status_code == 403
    response = reader.post(f"/comments/{comment.pk}/edit/", {"body": "third words"})
    assert response.status_code == 422
    assert "third words" in response.text
    assert Comment.objects.get().body == "second"


@pytest.mark.django_db
def test_a_comment_can_be_deleted_any_time_and_leaves_a_gap() -> None:
    article, reader = an_article(), browser()
    comment = commenting.comment(article, a_user("reader"), "my secret")
    commenting.comment(article, a_user("other"), "an answer", comment)
    Comment.objects.update(created_at=timezone.now() - timedelta(days=400))
    assert "my secret" in reader.get(f"/comments/{comment.pk}/delete/").text
    assert reader.post(f"/comments/{comment.pk}/delete/").status_code == 302
    page = reader.get(article.get_absolute_url()).text
    assert "my secret" not in page
    assert "This comment was removed." in page
    assert "an answer" in page
    assert 'id="floor-1"' in page


@pytest.mark.django_db
def test_what_is_deleted_stays_deleted() -> None:
    comment = commenting.comment(an_article(), a_user("reader"), "words")
    commenting.set_status(comment, Comment.Status.DELETED)
    assert commenting.set_status(comment, Comment.Status.VISIBLE).status == "deleted"
    with pytest.raises(commenting.CommentingError, match="late"):
        commenting.edit(comment, "back again", by=a_user("reader"))


@pytest.mark.django_db
def test_the_comments_of_a_deleted_account_keep_their_floor() -> None:
    article = an_article()
    commenting.comment(article, a_user("reader"), "I was here")
    delete_account(a_user("reader"))
    page = browser("other").get(article.get_absolute_url()).text
    assert "I was here" in page
    assert "Deleted account" in page


# --- Where a comment is


@pytest.mark.django_db
def test_a_permalink_leads_to_the_page_on_which_it_stands(client: Client) -> None:
    article, reader = an_article(), a_user("reader")
    rows = [Comment(article=article, author=reader, floor=n, thread=n, body="x") for n in range(1, 102)]
    last = Comment.objects.bulk_create(rows)[-1]
    address = article.get_absolute_url()
    assert client.get(last.get_absolute_url()).headers["Location"] == f"{address}?page=2#floor-101"
    # An answer to the first thread stands on the first page, and moves one that was there to the second.
    answer = commenting.comment(article, reader, "y", rows[0])
    assert client.get(answer.get_absolute_url()).headers["Location"] == f"{address}#floor-102"
    hundredth = Comment.objects.get(article=article, floor=100)
    assert client.get(hundredth.get_absolute_url()).headers["Location"] == f"{address}?page=2#floor-100"


@pytest.mark.django_db
def test_comments_of_a_release_without_threads_stand_in_the_order_of_their_floors(client: Client) -> None:
    article = an_article()
    for _turn in range(3):
        a_comment(article)
    Comment.objects.update(thread=None)
    assert [row.floor for row in client.get(article.get_absolute_url()).context["comments"]] == [1, 2, 3]


# --- Votes


@pytest.mark.django_db
def test_a_vote_is_cast_changed_and_taken_back() -> None:
    article, reader = an_article(), browser()
    for value, counts in (("1", (1, 0)), ("-1", (0, 1)), ("0", (0, 0))):
        response = reader.post(f"/votes/{article.pk}/", {"value": value})
        assert response.headers["Location"] == f"{article.get_absolute_url()}#votes"
        article.refresh_from_db()
        assert (article.up_count, article.down_count) == counts


@pytest.mark.django_db
def test_htmx_gets_the_block_with_the_new_numbers() -> None:
    article = an_article()
    page = browser().post(f"/votes/{article.pk}/", {"value": "1"}, headers=HTMX).text
    assert "<html" not in page
    assert 'name="value" value="0" aria-pressed="true"' in page
    assert 'Recommend <span class="count">1</span>' in page
    assert 'id="counts" hx-swap-oob="true"' in page


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["2", "", "up", "\0", "01"])
def test_another_vote_is_400(value: str) -> None:
    assert browser().post(f"/votes/{an_article().pk}/", {"value": value}).status_code == 400


@pytest.mark.django_db
def test_authors_see_no_buttons_for_their_own_article() -> None:
    article = an_article()
    author = browser("ann")
    assert "vote-up" not in author.get(article.get_absolute_url()).text
    assert author.post(f"/votes/{article.pk}/", {"value": "1"}).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("htmx", [False, True])
def test_too_many_votes_are_429(htmx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.RATES, "vote", limits.Rates(limits.Rate(0, 60)))
    response = browser().post(f"/votes/{an_article().pk}/", {"value": "1"}, headers=HTMX if htmx else {})
    assert response.status_code == 429
    assert "Retry-After" in response.headers


@pytest.mark.django_db
def test_an_ended_session_sends_htmx_to_log_in_as_a_whole_page(client: Client) -> None:
    response = client.post(f"/votes/{an_article().pk}/", {"value": "1"}, headers=HTMX)
    assert response.headers["HX-Redirect"].startswith("/account/login/")


# --- Who may


ANONYMOUS = 302
# What each gets: anonymous, another reader, the commenter, the article's author, staff with the permission.
PEOPLE = ("", "other", "reader", "ann", "chief")
ACCESS = {
    ("get", "/comments/{comment}/"): (302, 302, 302, 302, 302),
    ("get", "/comments/{hidden}/"): (404, 404, 302, 302, 302),
    ("post", "/comments/{comment}/"): (405, 405, 405, 405, 405),
    ("get", "/comments/{comment}/edit/"): (302, 404, 200, 404, 404),
    ("post", "/comments/{comment}/edit/"): (302, 404, 422, 404, 404),
    ("get", "/comments/{comment}/delete/"): (302, 404, 200, 404, 404),
    ("post", "/comments/{comment}/delete/"): (302, 404, 302, 404, 404),
    ("get", "/comments/{comment}/moderate/"): (302, 405, 405, 405, 405),
    ("post", "/comments/{comment}/moderate/"): (302, 403, 403, 302, 302),
    ("post", "/comments/{hidden}/moderate/"): (302, 404, 403, 302, 302),
    ("get", "/comments/on/{article}/"): (302, 405, 405, 405, 405),
    ("post", "/comments/on/{article}/"): (302, 422, 422, 422, 422),
    ("post", "/comments/on/{draft}/"): (302, 404, 404, 404, 404),
    ("get", "/votes/{article}/"): (302, 405, 405, 405, 405),
    ("post", "/votes/{article}/"): (302, 400, 400, 400, 400),
    ("post", "/votes/{draft}/"): (302, 404, 404, 404, 404),
    ("get", "/write/comments/?of=all"): (302, 404, 404, 404, 200),
}


@pytest.mark.django_db
@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("request_line", ACCESS, ids=" ".join)
def test_who_may(request_line: tuple[str, str], person: str, client: Client) -> None:
    method, route = request_line
    article = an_article()
    moderator()
    rows = {
        "article": article.pk,
        "draft": an_article(title="Draft", status="draft", published_at=None).pk,
        "comment": commenting.comment(article, a_user("reader"), "words").pk,
        "hidden": a_comment(article, status="hidden").pk,
    }
    who = browser(person) if person else client
    fields = {"do": "hide"} if "moderate" in route else {}
    response = getattr(who, method)(route.format(**rows), fields)
    assert response.status_code == ACCESS[request_line][PEOPLE.index(person)]


@pytest.mark.django_db
@pytest.mark.parametrize("route", ["/comments/{}/", "/comments/{}/edit/", "/comments/{}/delete/", "/comments/on/{}/"])
@pytest.mark.parametrize("number", ["0", "9" * 18, "9" * 19])
def test_unknown_ids_are_404(route: str, number: str) -> None:
    reader = browser()
    assert reader.get(route.format(number)).status_code in (404, 405)
    assert reader.post(route.format(number), {"body": "x"}).status_code in (404, 405)


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["?state=x", "?page=0", "?page=x", "?state=%00", "?of=all"])
def test_the_moderation_page_takes_no_nonsense(query: str) -> None:
    assert browser("ann").get(f"/write/comments/{query}").status_code == 404


QUERIES = {
    "/write/comments/": 5,
    "/write/blocked/": 6,
}


@pytest.mark.django_db
@pytest.mark.parametrize("page", QUERIES)
def test_the_pages_of_the_back_office_make_this_many_queries(
    page: str, queries_of: Callable[[int], AbstractContextManager[object]]
) -> None:
    article = an_article(comment_policy="approve")
    for number in range(5):
        commenting.comment(article, a_user(f"reader{number}"), "x")
        commenting.block(article.author, a_user(f"blocked{number}"))
    author = browser("ann")
    with queries_of(QUERIES[page]):
        assert author.get(page).status_code == 200


# --- At one moment


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Call all in threads of their own, each with a connection of its own; their results."""

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.django_db(transaction=True)
def test_one_form_sent_many_times_at_one_moment_makes_one_comment() -> None:
    article, key = an_article(), uuid4()
    readers = [browser() for _turn in range(5)]
    statuses = at_once([lambda c=c: send(c, article, "x", key=key).status_code for c in readers])  # type: ignore[misc]
    assert statuses == [302] * 5
    assert Comment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_votes_of_many_at_one_moment_all_count() -> None:
    article = an_article()
    readers = [browser(f"reader{number}") for number in range(6)]
    at_once(
        [
            lambda c=c, v=v: c.post(f"/votes/{article.pk}/", {"value": v})  # type: ignore[misc]
            for v in ("-1", "1")
            for c in readers
        ]
    )
    article.refresh_from_db()
    votes = list(Vote.objects.values_list("value", flat=True))
    assert len(votes) == 6
    assert (article.up_count, article.down_count) == (votes.count(1), votes.count(-1))


@pytest.mark.django_db(transaction=True)
def test_a_comment_edited_and_deleted_at_one_moment_is_deleted() -> None:
    article = an_article()
    for _turn in range(5):
        comment = commenting.comment(article, a_user("reader"), "words")
        one, two = browser(), browser()
        at_once(
            [
                lambda: one.post(f"/comments/{comment.pk}/edit/", {"body": "other words"}),  # noqa: B023
                lambda: two.post(f"/comments/{comment.pk}/delete/"),  # noqa: B023
            ]
        )
        comment.refresh_from_db()
        assert (comment.status, comment.body, comment.body_html) == ("deleted", "", "")
    article.refresh_from_db()
    assert article.comment_count == 0
