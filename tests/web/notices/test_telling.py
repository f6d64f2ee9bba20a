"""Who is told of a comment, how, and how often."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from accounts.deletion import delete_account
from accounts.models import User
from blog import commenting
from blog.models import Article, Comment
from config.mail import stored
from config.models import OutgoingMail
from notices.models import Kind, Notice, OptOut
from tests.web.accounts.people import a_member
from tests.web.builders import a_user, an_article, later


def told() -> set[tuple[str, str]]:
    """Who was told of what."""
    return set(Notice.objects.values_list("recipient__username", "kind"))


def mailed() -> list[str]:
    """To whom mail went, in order."""
    return [str(message.to[0]).partition("@")[0] for message in mail.outbox]


def article_of(author: str = "ann", **fields: Any) -> Article:
    """An article by somebody with an address."""
    return an_article(a_member(author), **fields)


@pytest.mark.django_db
def test_the_author_is_told_of_a_comment() -> None:
    comment = commenting.comment(article_of(title="On ships"), a_member("bob"), "Well said.\nTruly.")
    assert told() == {("ann", "comment")}
    assert mailed() == ["ann"]
    message = mail.outbox[0]
    assert message.subject == "[Slipway] bob commented on “On ships”"
    assert "> Well said.\n> Truly." in message.body
    assert f"https://testserver/comments/{comment.pk}/" in message.body


@pytest.mark.django_db
def test_nobody_is_told_of_what_they_did_themselves() -> None:
    article = article_of()
    first = commenting.comment(article, a_member("ann"), "mine")
    commenting.comment(article, a_member("ann"), "mine too", first)
    assert told() == set()


@pytest.mark.django_db
def test_who_is_answered_is_told_and_the_author_once() -> None:
    article = article_of()
    first = commenting.comment(article, a_member("bob"), "first")
    own = commenting.comment(article, a_member("ann"), "second", first)
    mail.outbox.clear()
    commenting.comment(article, a_member("eve"), "third", own)
    assert mailed() == ["ann"]
    assert told() == {("ann", "comment"), ("bob", "reply")}


@pytest.mark.django_db
def test_before_approval_only_the_author_is_told() -> None:
    article = article_of(comment_policy="approve")
    first = commenting.comment(article, a_member("ann"), "first")
    second = commenting.comment(article, a_member("bob"), "second", first)
    commenting.set_status(second, Comment.Status.VISIBLE, by=a_member("ann"))
    mail.outbox.clear()
    Notice.objects.all().delete()
    third = commenting.comment(article, a_member("eve"), "third", second)
    assert told() == {("ann", "comment")}
    assert "waits for you" in mail.outbox[0].subject
    assert "/write/comments/" in mail.outbox[0].body
    commenting.set_status(third, Comment.Status.VISIBLE, by=a_member("ann"))
    assert told() == {("ann", "comment"), ("eve", "approved"), ("bob", "reply")}
    assert mailed() == ["ann", "eve", "bob"]


@pytest.mark.django_db
def test_hidden_and_shown_again_tells_nobody_twice() -> None:
    article = article_of(comment_policy="approve")
    comment = commenting.comment(article, a_member("bob"), "words")
    for status in ("visible", "hidden", "visible", "pending", "visible"):
        comment = commenting.set_status(comment, Comment.Status(status))
    assert mailed() == ["ann", "bob"]
    assert Notice.objects.count() == 2


@pytest.mark.django_db
def test_the_suspended_and_the_blocked_are_not_told() -> None:
    article = article_of()
    for name in ("gone", "blocked"):
        first = commenting.comment(article, a_member(name), "first")
        if name == "gone":
            User.objects.filter(username=name).update(is_active=False)
        else:
            commenting.block(article.author, a_member(name))
        commenting.comment(article, a_member("eve"), "answer", first)
    assert {recipient for recipient, _kind in told()} == {"ann"}


@pytest.mark.django_db
def test_mail_goes_to_verified_addresses_only() -> None:
    article = article_of()
    EmailAddress.objects.update(verified=False)
    commenting.comment(article, a_member("bob"), "words")
    assert (told(), mailed()) == ({("ann", "comment")}, [])


@pytest.mark.django_db
def test_mail_is_in_the_recipients_language() -> None:
    article = an_article(a_member("ann", language="zh-hans"), title="船")
    commenting.comment(article, a_member("bob"), "x")
    assert mail.outbox[0].subject == "[Slipway] bob 评论了《船》"


@pytest.mark.django_db
def test_a_subject_is_one_line_whatever_names_and_titles_hold() -> None:
    article = article_of()
    Article.objects.filter(pk=article.pk).update(title="A\nBcc: x@example.org\u202e" + "t" * 150)
    article.refresh_from_db()
    bob = a_member("bob")
    User.objects.filter(pk=bob.pk).update(display_name="b\r\nob")
    bob.refresh_from_db()
    commenting.comment(article, bob, "x")
    assert "\n" not in mail.outbox[0].subject
    assert "\u202e" not in mail.outbox[0].subject
    assert stored(mail.outbox[0]).subject


@pytest.mark.django_db
def test_what_is_rolled_back_was_told_to_nobody(settings: Any) -> None:
    settings.EMAIL_BACKEND = "config.mail.OutboxBackend"
    article = article_of()
    with transaction.atomic():
        commenting.comment(article, a_member("bob"), "x")
        assert OutgoingMail.objects.count() == Notice.objects.count() == 1
        transaction.set_rollback(True)
    assert OutgoingMail.objects.count() == Notice.objects.count() == 0


@pytest.mark.django_db
def test_who_wants_no_mail_or_no_list_gets_the_other() -> None:
    article = article_of()
    ann = a_member("ann")
    optout = OptOut.objects.create(user=ann, kind=Kind.COMMENT, channel="mail")
    commenting.comment(article, a_member("bob"), "x")
    assert (mailed(), Notice.objects.listed_for(ann).count()) == ([], 1)
    OptOut.objects.filter(pk=optout.pk).update(channel="site")
    commenting.comment(article, a_member("bob"), "x")
    assert (mailed(), Notice.objects.listed_for(ann).count()) == (["ann"], 1)


@pytest.mark.django_db
def test_notifications_go_with_the_account() -> None:
    article = article_of()
    first = commenting.comment(article, a_member("bob"), "x")
    commenting.comment(article, a_member("eve"), "y", first)
    delete_account(a_member("bob"))
    assert told() == {("ann", "comment")}


@pytest.mark.django_db
def test_a_release_without_the_tables_may_delete_accounts_and_comments() -> None:
    article = article_of()
    commenting.comment(article, a_member("bob"), "x")
    commenting.block(article.author, a_member("eve"))
    OptOut.objects.create(user=a_member("eve"), kind=Kind.REPLY, channel="mail")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM blog_comment")
        cursor.execute("DELETE FROM account_emailaddress")
        cursor.execute("DELETE FROM accounts_user WHERE username = 'eve'")
    assert Notice.objects.count() == OptOut.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_approved_many_times_at_one_moment_tells_once() -> None:
    article = article_of(comment_policy="approve")
    first = commenting.comment(article, a_member("ann"), "first")
    comment = commenting.comment(article, a_member("bob"), "x", first)
    mail.outbox.clear()

    def approve(_number: int) -> None:
        try:
            commenting.set_status(comment, Comment.Status.VISIBLE)
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(approve, range(10)))
    assert mailed() == ["bob"]
    assert Notice.objects.filter(kind=Kind.APPROVED).count() == 1


# --- The end of mails


def stop_address() -> str:
    """The path in the newest mail's List-Unsubscribe header."""
    found = re.fullmatch(r"<https://testserver(/unsubscribe/\S+/)>", mail.outbox[-1].extra_headers["List-Unsubscribe"])
    assert found
    return found[1]


@pytest.fixture
def mail_program() -> Client:
    """Something that has no cookies and no token, and checks that none is needed."""
    return Client(enforce_csrf_checks=True, headers={"x-forwarded-proto": "https", "host": "testserver"})


@pytest.mark.django_db
def test_one_click_ends_mails_of_that_kind_and_a_look_does_not(mail_program: Client) -> None:
    article = article_of()
    first = commenting.comment(article, a_member("bob"), "x")
    address = stop_address()
    assert mail.outbox[0].extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert address in mail.outbox[0].body
    assert mail_program.get(address).status_code == 200
    assert not OptOut.objects.exists()
    for _turn in range(2):
        assert mail_program.post(address, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert OptOut.objects.values_list("user__username", "kind", "channel").get() == ("ann", "comment", "mail")
    commenting.comment(article, a_member("eve"), "y", first)
    assert mailed() == ["ann", "bob"]


@pytest.mark.django_db
def test_all_mails_can_be_ended_at_once(mail_program: Client) -> None:
    commenting.comment(article_of(), a_member("bob"), "x")
    mail_program.post(stop_address(), {"all": "1"})
    assert OptOut.objects.filter(channel="mail").count() == len(Kind)


@pytest.mark.django_db
def test_the_address_works_when_the_account_is_gone(mail_program: Client) -> None:
    first = commenting.comment(article_of(), a_member("bob"), "x")
    commenting.comment(first.article, a_member("eve"), "y", first)
    address = stop_address()
    delete_account(a_member("bob"))
    assert mail_program.post(address).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("change", [lambda token: token[:-1] + "_", lambda token: "9" + token, lambda token: "x"])
def test_a_forged_address_is_404(change: Any, mail_program: Client) -> None:
    commenting.comment(article_of(), a_member("bob"), "x")
    token = stop_address().split("/")[2]
    assert mail_program.post(f"/unsubscribe/{change(token)}/").status_code == 404
    assert not OptOut.objects.exists()


@pytest.mark.django_db
def test_mail_is_stored_with_its_headers() -> None:
    commenting.comment(article_of(), a_member("bob"), "x")
    row = stored(mail.outbox[0])
    assert set(row.headers) == {"List-Unsubscribe", "List-Unsubscribe-Post"}


@pytest.mark.django_db
def test_the_tables_can_be_undone_and_made_again() -> None:
    for target in ("zero", "0001"):
        call_command("migrate", "notices", target, verbosity=0)
    assert Notice.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(("days", "told"), [(None, 0), (2, 0), (-1, 1)])
def test_who_is_suspended_is_told_nothing_until_the_suspension_ends(days: int | None, told: int) -> None:
    author = a_member("ann")
    until = None if days is None else later(days=days)
    User.objects.filter(pk=author.pk).update(is_active=False, suspended_at=later(days=-2), suspended_until=until)
    commenting.comment(an_article(author), a_user("reader"), "Hello.")
    assert Notice.objects.filter(recipient=author).count() == told
    assert len(mail.outbox) == told
