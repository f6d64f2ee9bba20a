"""Deleting one's own account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.files.base import ContentFile
from django.test import Client

from accounts.models import User
from blog import voting
from blog.models import Article, Comment
from tests.web.accounts.people import PASSWORD, a_member, log_in, sign_up
from tests.web.builders import a_comment, a_user, an_article

pytestmark = pytest.mark.django_db


def delete(client: Client, **changes: Any) -> Any:
    """Send the form."""
    return client.post("/account/delete/", {"password": PASSWORD, "sure": "on", **changes})


@pytest.fixture
def ann(client: Client, settings: Any, tmp_path: Path) -> User:
    """An author who is logged in, with articles in every status."""
    settings.MEDIA_ROOT = tmp_path
    author = log_in(client, a_member("ann"))
    an_article(author)
    an_article(author, status="draft", published_at=None)
    an_article(author, status="trashed")
    return author


def test_the_account_and_every_article_go(client: Client, ann: User) -> None:
    assert delete(client)["Location"] == "/"
    assert not User.objects.filter(username="ann").exists()
    assert not Article.objects.exists()
    assert not EmailAddress.objects.exists()


def test_who_was_deleted_is_logged_out(client: Client, ann: User) -> None:
    delete(client)
    assert client.get("/account/").status_code == 302


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"password": ""}, {"sure": ""}, {"password": "\0"}])
def test_nothing_goes_without_the_password_and_the_tick(client: Client, ann: User, changes: dict[str, str]) -> None:
    assert delete(client, **changes).status_code == 200
    assert Article.objects.count() == 3


def test_a_link_deletes_nothing(client: Client, ann: User) -> None:
    client.get("/account/delete/?password=x&sure=on")
    assert User.objects.filter(username="ann").exists()


def test_the_password_cannot_be_guessed_here_either(client: Client, ann: User) -> None:
    answers = {delete(client, password=f"wrong{number}").status_code for number in range(12)}
    assert answers == {200, 429}


def test_comments_on_articles_of_others_stay_without_their_author(client: Client, ann: User) -> None:
    article = an_article(a_user("bob"))
    comment = a_comment(article, ann)
    reply = a_comment(article, a_user("carl"), parent=comment)
    delete(client)
    comment.refresh_from_db()
    assert (comment.author, comment.body, Comment.objects.get(pk=reply.pk).parent) == (None, "I agree.", comment)


def test_votes_go_and_the_counters_with_them(client: Client, ann: User) -> None:
    article = an_article(a_user("bob"))
    voting.vote(article, ann, 1)
    delete(client)
    article.refresh_from_db()
    assert article.up_count == 0


def test_pictures_go_with_the_account(client: Client, ann: User, tmp_path: Path) -> None:
    ann.avatar.save("a.webp", ContentFile(b"x"))
    article = ann.articles.first()
    assert article is not None
    article.cover.name = article.cover.storage.save("covers/c.webp", ContentFile(b"x"))
    article.save(update_fields=["cover"])
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
    delete(client)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_fails_on_the_way_leaves_everything(client: Client, ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(User, "delete", fail)
    assert delete(client).status_code == 500
    assert Article.objects.count() == 3


@pytest.mark.parametrize("name", ["ann", "Ann"])
def test_nobody_can_step_into_the_place_of_who_has_gone(client: Client, ann: User, name: str) -> None:
    delete(client)
    assert "username" in sign_up(client, username=name).context["form"].errors
    assert client.get("/ann/").status_code == 404


def test_the_only_superuser_stays(client: Client) -> None:
    User.objects.create_superuser("chief", "", PASSWORD)
    client.post("/account/login/", {"login": "chief", "password": PASSWORD})
    assert "only administrator" in delete(client).text
    assert User.objects.filter(username="chief").exists()


def test_one_of_two_superusers_can_go(client: Client) -> None:
    User.objects.create_superuser("chief", "", PASSWORD)
    User.objects.create_superuser("second", "", "x")
    client.post("/account/login/", {"login": "chief", "password": PASSWORD})
    delete(client)
    assert not User.objects.filter(username="chief").exists()


def test_a_stranger_cannot_delete_anything(client: Client) -> None:
    a_member("ann")
    assert delete(client)["Location"].startswith("/account/login/")
    assert User.objects.filter(username="ann").exists()
