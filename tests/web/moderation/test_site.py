"""The admin as a whole: what everybody may see in it, what it costs, and what its start page says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.core.files.storage import default_storage
from django.test import Client

from accounts.models import User
from blog import voting
from blog.models import Article, Block, Comment, PreviewLink, Revision
from config.models import OutgoingMail
from moderation import roles
from moderation.site import Audited
from notices.models import Notice, OptOut
from tests.web.accounts.people import PASSWORD, a_member, log_in
from tests.web.builders import a_category, a_comment, a_user, an_article, later
from tests.web.moderation.people import a_person, a_report, browser_of
from tests.web.uploads.making import a_picture
from uploads.models import Picture

pytestmark = pytest.mark.django_db

# The queries of each list as a superuser, whatever its length, and whether a moderator sees it.
LISTS = {
    "account/emailaddress": (4, False),
    "accounts/takenname": (4, False),
    "accounts/user": (5, True),  # ... and the groups of the filter
    "auth/group": (4, False),
    "blog/article": (4, False),
    "blog/block": (4, False),
    "blog/blog": (4, False),
    "blog/category": (4, False),
    "blog/comment": (4, True),
    "blog/previewlink": (4, False),
    "blog/revision": (4, False),
    "blog/tag": (4, False),
    "blog/vote": (4, False),
    "config/outgoingmail": (6, False),  # ... and the years of its dates
    "django_tasks_database/dbtaskresult": (6, False),  # ... and the priorities and queues of the filter
    "mfa/authenticator": (4, False),
    "moderation/auditentry": (4, True),
    "moderation/report": (4, True),  # no targets to load of more than one kind
    "notices/notice": (4, False),
    "notices/optout": (4, False),
    "uploads/picture": (4, False),
    "usersessions/usersession": (4, False),
}
# What has no list of its own, and why.
ELSEWHERE = {
    "blog.articletag": "on the page of its article",
    "blog.autosave": "half a text that its author has shown nobody",
    "blog.searchentry": "follows from the article",
    "uploads.use": "follows from the texts",
}
OWN = {"accounts", "blog", "config", "moderation", "notices", "uploads"}


def fill(rows: int) -> None:
    """So many rows in every list."""
    for number in range(rows):
        author, reader = a_member(f"author{number}"), a_user(f"reader{number}")
        article = an_article(author, title=f"t{number}", category=a_category(author), tags=(f"tag{number}",))
        comment = a_comment(article, reader)
        voting.vote(article, reader, 1)
        a_report("comment", comment.pk, by=reader.username)
        Revision.objects.create(article=article, author=author, title="x", checksum="x")
        PreviewLink.objects.create(article=article, token_hash=f"{number}", expires_at=later(days=1))
        OutgoingMail.objects.create(sender="a@b.c", recipients=["a@b.c"], subject="x")
        Authenticator.objects.create(user=author, type="totp", data={"secret": "hidden-seed"})
        UserSession.objects.create(user=author, ip="127.0.0.1", session_key=f"hidden-key{number}", user_agent="x")
        Group.objects.create(name=f"group{number}")
        Notice.objects.create(recipient=author, kind="comment", comment=comment)
        OptOut.objects.create(user=author, kind="comment", channel="mail")
        Block.objects.create(author=author, reader=reader)
        Picture.objects.create(owner=author, name=f"pictures/00/{number}.jpg", width=1, height=1, bytes=1)


@pytest.fixture(autouse=True)
def server(settings: Any) -> None:
    """A mail server: without one the outbox says so."""
    settings.EMAIL_HOST = "mail.example.org"


def test_every_model_of_the_admin_has_a_row() -> None:
    assert {model._meta.label_lower.replace(".", "/") for model in admin.site._registry} == set(LISTS)


def test_every_model_of_the_site_has_a_list_or_a_reason() -> None:
    own = {model._meta.label_lower for model in apps.get_models() if model._meta.app_label in OWN}
    assert own - {model._meta.label_lower for model in admin.site._registry} == set(ELSEWHERE)


@pytest.mark.parametrize("by", ["page", "action"])
def test_a_picture_is_deleted_with_its_files_and_from_covers(
    by: str, settings: Any, tmp_path: Path, django_capture_on_commit_callbacks: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    picture = a_picture(a_user("ann"), kind="JPEG")
    article = an_article(a_user("ann"), cover=picture.name)
    path, sent = {
        "page": (f"/admin/uploads/picture/{picture.pk}/delete/", {}),
        "action": ("/admin/uploads/picture/", {"action": "delete_selected", "_selected_action": picture.pk}),
    }[by]
    assert default_storage.exists(picture.name)
    with django_capture_on_commit_callbacks(execute=True):
        assert browser_of("chief").post(path, {"post": "yes", **sent}).status_code == 302
    article.refresh_from_db()
    assert (Picture.objects.count(), str(article.cover)) == (0, "")
    assert not default_storage.exists(picture.name)


def test_every_model_tells_the_audit_log() -> None:
    assert all(isinstance(own, Audited) for own in admin.site._registry.values())


@pytest.mark.parametrize("rows", [1, 7])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_makes_this_many_queries(name: str, rows: int, queries_of: Any) -> None:
    fill(rows)
    browser = browser_of("chief")
    browser.get("/admin/")
    with queries_of(LISTS[name][0] + (name == "moderation/report")):
        assert browser.get(f"/admin/{name}/").status_code == 200


@pytest.mark.parametrize("person", ["", "other", "staff", "moderator", "chief"])
@pytest.mark.parametrize("name", LISTS)
def test_who_may_see_a_list(name: str, person: str) -> None:
    fill(1)
    allowed = person == "chief" or (person == "moderator" and LISTS[name][1])
    status = browser_of(person).get(f"/admin/{name}/", follow=person == "other").status_code
    assert status == (200 if allowed else 302 if not person else 403)


@pytest.mark.parametrize("person", ["staff", "moderator"])
@pytest.mark.parametrize("name", sorted({*LISTS} - {"moderation/report"}))
def test_without_rights_nothing_is_added_changed_or_deleted(name: str, person: str) -> None:
    fill(1)
    model = next(m for m in admin.site._registry if m._meta.label_lower.replace(".", "/") == name)
    first: Any = model._default_manager.first()
    pk = first.pk if first is not None else 1
    browser = browser_of(person)
    for path in ("add/", f"{pk}/change/", f"{pk}/delete/"):
        assert browser.post(f"/admin/{name}/{path}", {"post": "yes"}).status_code in (302, 403), path
        assert first is None or model._default_manager.filter(pk=pk).exists()
    assert browser.post(f"/admin/{name}/{pk}/change/", {}).status_code in (302, 403)


@pytest.mark.parametrize(
    "query", ["q=中%00文", "q=" + "x" * 5000, "p=abc", "o=99.1", "e=1", "q='\"<", "q=" + "9" * 30, "q=%40ann", "q=%40"]
)
@pytest.mark.parametrize("name", LISTS)
def test_odd_queries_are_answered(name: str, query: str) -> None:
    assert browser_of("chief").get(f"/admin/{name}/?{query}", follow=True).status_code == 200


@pytest.mark.parametrize("pk", ["9" * 18, "9" * 40, "abc", "%00", "-1"])
@pytest.mark.parametrize("name", sorted({*LISTS} - {"moderation/report"}))
def test_odd_ids_are_no_server_error(name: str, pk: str) -> None:
    browser = browser_of("chief")
    for page in ("change", "delete", "history"):
        assert browser.get(f"/admin/{name}/{pk}/{page}/").status_code in (302, 403, 404)


# --- Secrets


def test_no_page_of_the_admin_shows_a_secret() -> None:
    fill(1)
    browser = browser_of("chief")
    for model in (Authenticator, UserSession):
        row: Any = model.objects.first()
        page = browser.get(f"/admin/{model._meta.label_lower.replace('.', '/')}/{row.pk}/change/")
        assert page.status_code == 200
        assert "hidden-" not in page.text


def test_a_moderator_sees_no_address_and_no_password() -> None:
    user = a_member("ann")
    browser = browser_of("moderator")
    for page in ("", f"{user.pk}/change/", "?q=example.org"):
        text = browser.get(f"/admin/accounts/user/{page}").text
        assert "ann@example.org" not in text
        assert user.password not in text
    assert "result_list" not in browser.get("/admin/accounts/user/?q=ann%40example").text


@pytest.mark.parametrize("field", ["email__startswith", "password__startswith", "emailaddress__email", "email"])
def test_a_moderator_cannot_guess_what_is_hidden_by_filters(field: str) -> None:
    a_member("ann")
    response = browser_of("moderator").get(f"/admin/accounts/user/?{field}=ann")
    assert response.status_code in (302, 400)


# --- The start page


def test_the_start_page_says_what_waits() -> None:
    comment = a_comment(an_article(comment_policy="approve"), status="pending")
    a_report("comment", comment.pk)
    a_report("comment", comment.pk, by="third")
    a_user("gone", is_active=False)
    OutgoingMail.objects.create(sender="a@b.c", recipients=["a@b.c"], subject="x", next_attempt_at=None)
    for person, expected in (("chief", [1, 1, 1, 1]), ("moderator", [1, 1, 1]), ("staff", [])):
        page = browser_of(person).get("/admin/")
        assert [number for _label, number, _address in page.context["waiting"]] == expected
        for _label, _number, address in page.context["waiting"]:
            assert browser_of(person).get(address).status_code == 200


def test_the_start_page_makes_this_many_queries(queries_of: Any) -> None:
    browser = browser_of("chief")
    browser.get("/admin/")
    with queries_of(8):  # session, user; the four numbers, the second factor; what one did last
        browser.get("/admin/")


def test_who_has_no_second_factor_is_reminded() -> None:
    chief = browser_of("chief")
    assert "no second factor" in chief.get("/admin/").text
    Authenticator.objects.create(user=a_person("chief"), type="totp", data={})
    assert "no second factor" not in chief.get("/admin/").text


def test_the_admin_speaks_chinese() -> None:
    browser = browser_of("chief")
    browser.cookies["django_language"] = "zh-hans"
    text = browser.get("/admin/").text
    assert "待处理事项" in text
    assert "审计日志" in text
    assert "Reports" not in text


# --- Roles


def test_the_group_has_exactly_its_rights_and_is_made_again() -> None:
    def rights() -> set[str]:
        granted = Permission.objects.filter(group__name=roles.GROUP).select_related("content_type")
        return {f"{right.content_type.app_label}.{right.codename}" for right in granted}

    assert rights() == roles.PERMISSIONS
    Group.objects.get(name=roles.GROUP).permissions.clear()
    roles.make_group()
    roles.make_group()
    assert rights() == roles.PERMISSIONS
    assert Group.objects.filter(name=roles.GROUP).count() == 1


def test_a_moderator_hides_a_comment_but_changes_no_text() -> None:
    comment = a_comment(an_article())
    browser = browser_of("moderator")
    browser.post("/admin/blog/comment/", {"action": "hide", "_selected_action": [comment.pk]})
    comment.refresh_from_db()
    assert comment.status == Comment.Status.HIDDEN
    assert browser.post(f"/admin/blog/comment/{comment.pk}/change/", {"body": "x"}).status_code == 403
    assert browser.get(f"/write/{comment.article_id}/").status_code == 404


# --- Users


def an_editor() -> Client:
    """The browser of staff who may change users, and is no superuser."""
    staff = a_person("staff")
    staff.user_permissions.add(*Permission.objects.filter(codename__in=["change_user", "view_user", "delete_user"]))
    return browser_of("staff")


def test_staff_cannot_give_rights_or_change_staff() -> None:
    user, chief = a_person("ann"), a_person("chief")
    browser = an_editor()
    page = browser.get(f"/admin/accounts/user/{user.pk}/change/")
    assert 'name="is_superuser"' not in page.text
    values = {k: v for k, v in page.context["adminform"].form.initial.items() if isinstance(v, str) and v}
    browser.post(f"/admin/accounts/user/{user.pk}/change/", {**values, "is_superuser": "on", "is_staff": "on"})
    user.refresh_from_db()
    assert (user.is_superuser, user.is_staff) == (False, False)
    assert browser.post(f"/admin/accounts/user/{chief.pk}/change/", values).status_code == 403
    passwords = {"password1": "long-enough-9", "password2": "long-enough-9"}
    assert browser.post(f"/admin/accounts/user/{chief.pk}/password/", passwords).status_code == 403
    assert browser.post(f"/admin/accounts/user/{chief.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_last_superuser_stays_one() -> None:
    browser = browser_of("chief")
    chief = a_person("chief")
    page = browser.get(f"/admin/accounts/user/{chief.pk}/change/")
    values = {k: v for k, v in page.context["adminform"].form.initial.items() if isinstance(v, str) and v}
    response = browser.post(f"/admin/accounts/user/{chief.pk}/change/", {**values, "is_staff": "on"})
    assert "is_superuser" in response.context["adminform"].errors
    assert browser.post(f"/admin/accounts/user/{chief.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("query", "found"),
    [("suspended=yes", {"gone"}), ("verified=no", {"gone", "chief"}), ("verified=yes", {"ann"}), ("q=ann%40", {"ann"})],
)
def test_users_are_filtered(query: str, found: set[str]) -> None:
    a_member("ann")
    a_user("gone", is_active=False)
    page = browser_of("chief").get(f"/admin/accounts/user/?{query}")
    assert {user.username for user in page.context["cl"].result_list} == found


def test_users_come_with_what_they_wrote() -> None:
    article = an_article(a_user("ann"))
    an_article(a_user("ann"), status="draft")
    a_comment(article, a_user("bob"))
    found = browser_of("chief").get("/admin/accounts/user/").context["cl"].result_list
    assert {user.username: (user.article_total, user.comment_total) for user in found} == {
        "ann": (2, 0),
        "bob": (0, 1),
        "chief": (0, 0),
    }


def test_sessions_are_ended_and_resets_sent(client: Client) -> None:
    user = log_in(client, a_member("ann"))
    browser = browser_of("chief")
    fields = {"_selected_action": [user.pk]}
    browser.post("/admin/accounts/user/", {"action": "end_sessions", **fields})
    assert client.get("/account/").status_code == 302
    browser.post("/admin/accounts/user/", {"action": "send_reset", **fields})
    assert mail.outbox[-1].to == ["ann@example.org"]
    assert PASSWORD not in str(mail.outbox[-1].body)


# --- Articles


@pytest.mark.parametrize("status", ["draft", "trashed", "published"])
@pytest.mark.parametrize("query", ["部署", "word", "{pk}", "@ANN"])
def test_articles_of_every_status_are_found(query: str, status: str) -> None:
    article = an_article(a_user("ann"), title="我的部署笔记", body="One word.", status=status)
    an_article(a_user("bob"), title="Other", body="Nothing.")
    page = browser_of("chief").get("/admin/blog/article/", {"q": query.format(pk=article.pk)})
    assert [found.pk for found in page.context["cl"].result_list] == [article.pk]


def test_articles_go_back_to_draft_by_an_action() -> None:
    article, trashed = an_article(), an_article(status="trashed")
    browser_of("chief").post(
        "/admin/blog/article/", {"action": "unpublish", "_selected_action": [article.pk, trashed.pk]}
    )
    assert set(Article.objects.values_list("pk", "status")) == {(article.pk, "draft"), (trashed.pk, "trashed")}


def test_no_row_of_a_kept_list_can_be_written() -> None:
    fill(1)
    browser = browser_of("chief")
    for name in (
        "blog/vote",
        "blog/revision",
        "accounts/takenname",
        "account/emailaddress",
        "usersessions/usersession",
    ):
        assert browser.get(f"/admin/{name}/add/").status_code == 403
    assert User.objects.filter(username="author0").exists()


def test_a_password_is_changed_on_the_sites_own_page() -> None:
    response = browser_of("chief").get("/admin/password_change/")
    assert (response.status_code, response["Location"]) == (302, "/account/password/change/")
